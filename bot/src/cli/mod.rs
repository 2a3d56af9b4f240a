//! The command line: one file per subcommand. Commands other than `serve` act on the database through the engine; a server
//! that runs takes up what follows from them.

mod context;
mod demo;
mod output;
mod rollback;
mod serve;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

pub use context::{Context, Fault};
pub use output::{note, say};

/// Brings the last known-good version back, from an incident channel.
#[derive(Debug, Parser)]
#[command(name = "lastgood", version, about, arg_required_else_help = true, propagate_version = true)]
pub struct Cli {
    /// The configuration file.
    #[arg(
        long,
        global = true,
        env = "LASTGOOD_CONFIG",
        default_value = "lastgood.toml",
        value_name = "FILE"
    )]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the bot: webhooks, API, and all rollbacks.
    Serve,
    /// Shows the main job in this terminal, in a world of its own.
    Demo(demo::Demo),
    /// Break glass: proposes and runs a rollback from this terminal, for when chat is down.
    Rollback(rollback::Rollback),
}

/// What a command came to.
pub type Ended = Result<ExitCode, Fault>;

impl Cli {
    /// Runs the command to its end.
    ///
    /// # Errors
    /// What to tell the person.
    pub async fn run(self) -> Ended {
        let context = Context::new(self.config);
        match self.command {
            Command::Serve => serve::run(&context).await,
            Command::Demo(asked) => demo::run(asked).await,
            Command::Rollback(asked) => rollback::run(&context, asked).await,
        }
    }

    /// What errors exit with: a gate that fails could not tell.
    pub fn failure(&self) -> ExitCode {
        ExitCode::FAILURE
    }
}
