//! What the process says of itself, on standard error: standard output belongs to answers.

use std::io;

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Starts logging. `RUST_LOG` decides what is logged; otherwise `default` does (`info`, `warn`). Calling it again changes
/// nothing.
pub fn init(format: LogFormat, default: &str) {
    let filter = EnvFilter::try_from_default_env()
        .or_else(|_| EnvFilter::try_new(format!("{default},sqlx=warn,hyper=warn,h2=warn,rustls=warn")))
        .unwrap_or_default();
    // Its spans hold addresses of answers to people, which are as good as passwords: whatever RUST_LOG says.
    let filter = match "serenity=warn".parse() {
        Ok(quiet) => filter.add_directive(quiet),
        Err(_) => filter,
    };
    let to_stderr = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = match format {
        LogFormat::Text => {
            let colours = std::io::IsTerminal::is_terminal(&io::stderr());
            to_stderr.with_ansi(colours).try_init()
        }
        LogFormat::Json => to_stderr.json().flatten_event(true).try_init(),
    };
    // A test may have begun to log before.
    started.ok();
}
