//! Arguments, then the command, then its exit code. Everything else is in the library.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Parser as _;
use lastgood::cli::{Cli, Fault};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let failure = cli.failure();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&Fault::new(format!("no threads to run on: {error}")), failure),
    };
    let ended = runtime.block_on(cli.run());
    // A blocking call that hangs, in a name look-up say, must not hold the process.
    runtime.shutdown_background();
    ended.unwrap_or_else(|fault| failed(&fault, failure))
}

fn failed(fault: &Fault, code: ExitCode) -> ExitCode {
    let mut err = io::stderr().lock();
    for line in &fault.lines {
        writeln!(err, "error: {line}").ok();
    }
    code
}
