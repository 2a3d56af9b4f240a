//! How fast lastgood is, beside the floor that its surroundings set: `tests/bench` builds and runs this, and
//! docs/performance.md says what each figure means. It is no test: nothing fails for being slow.

mod adapters;
mod floor;
mod growth;
mod pods;
mod program;
mod rollbacks;
mod spy;
mod storms;
mod table;
mod world;

use table::Table;

/// Rollbacks that are measured, after [`WARM_UP`] others.
const ROLLBACKS: usize = 60;
const WARM_UP: usize = 5;

fn main() {
    let only: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wanted = |part: &str| only.is_empty() || only.iter().any(|word| word == part);
    // Off unless RUST_LOG says otherwise: writing it down takes time, too.
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    // As the program itself runs.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut table = Table::default();
    runtime.block_on(async {
        lastgood_tests::client::tls();
        if wanted("rollbacks") {
            rollbacks::measure(&mut table, ROLLBACKS, WARM_UP).await;
        }
        if wanted("adapters") {
            adapters::measure(&mut table).await;
        }
        if wanted("pods") {
            pods::measure(&mut table).await;
        }
        if wanted("lookup") {
            growth::lookup(&mut table).await;
        }
        if wanted("history") {
            growth::history(&mut table).await;
        }
        if wanted("program") {
            program::measure(&mut table).await;
        }
        if wanted("storms") {
            println!("{}", storms::measure().await);
        }
    });
    if !table.is_empty() {
        println!("{}", table.markdown());
    }
}
