//! The command line: one file per subcommand. Commands other than `serve` act on the database through the engine; a server
//! that runs takes up what follows from them.

mod alert;
mod check;
mod context;
mod demo;
mod discover;
mod gate;
mod health;
mod incident;
mod mark;
pub mod output;
mod record;
mod releases;
mod rollback;
mod said;
mod serve;
mod status;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::command::table;

pub use context::{Context, Fault};
pub use output::{note, say};

/// Brings the last known-good version back, from an incident channel.
#[derive(Debug, Parser)]
#[command(name = "lastgood", version, about, arg_required_else_help = true, after_help = said::help())]
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
    /// Checks the configuration, and asks everything in it whether it can be reached.
    Check,
    /// Lists what runs in a namespace of Kubernetes, as a configuration to start from.
    Discover(discover::Args),
    /// Records a deployment, so that it can be found, judged and returned to.
    Record(record::Args),
    /// Lists what was deployed to a service, newest first, with its marks.
    #[command(visible_alias = table::HISTORY.name)]
    Releases(releases::Args),
    #[command(about = table::MARK.help)]
    Mark(mark::Args),
    /// May this artifact be deployed? Exits with 0 (allowed), 1 (denied) or 2 (could not tell).
    Gate(gate::Args),
    /// Lists, shows and closes incidents.
    #[command(subcommand)]
    Incident(incident::What),
    /// Lists alerts, and ends those that nobody resolves.
    #[command(subcommand)]
    Alert(alert::What),
    #[command(about = table::STATUS.help)]
    Status(status::Args),
    /// Asks a running server whether it is up; for containers.
    Health(health::Args),
    /// Commands that have no options here: as they are typed in chat.
    #[command(external_subcommand)]
    Said(Vec<String>),
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
            Command::Check => check::run(&context).await,
            Command::Discover(args) => discover::run(args).await,
            Command::Record(args) => record::run(&context, args).await,
            Command::Releases(args) => releases::run(&context, args).await,
            Command::Mark(args) => mark::run(&context, args).await,
            Command::Gate(args) => gate::run(&context, args).await,
            Command::Incident(what) => incident::run(&context, what).await,
            Command::Alert(what) => alert::run(&context, what).await,
            Command::Status(args) => status::run(&context, args).await,
            Command::Health(args) => health::run(&context, args).await,
            Command::Said(words) => said::run(&context, &words).await,
        }
    }

    /// What errors exit with: a gate that fails could not tell.
    pub fn failure(&self) -> ExitCode {
        match self.command {
            Command::Gate(_) => gate::COULD_NOT_TELL.into(),
            _ => ExitCode::FAILURE,
        }
    }
}
