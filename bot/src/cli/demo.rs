//! The main job in a terminal, with nothing to install.

use std::process::ExitCode;

use clap::Args;

use super::{Ended, Fault};
use crate::{
    config::LogFormat,
    demo::{self, world::Scenario},
    telemetry,
};

#[derive(Debug, Args)]
pub struct Demo {
    /// `recovers`, or `target-broken`: going back does not help, and somebody is called.
    #[arg(long, default_value = "recovers")]
    scenario: Scenario,
    /// Approve by itself; so it does without a terminal.
    #[arg(long)]
    yes: bool,
    /// Print each committed event as a line of JSON.
    #[arg(long)]
    json: bool,
}

pub async fn run(asked: Demo) -> Ended {
    telemetry::init(LogFormat::Text, "error");
    let options = demo::Options { scenario: asked.scenario, yes: asked.yes, json: asked.json };
    demo::run(options).await.map_err(|error| Fault::new(format!("{error:#}")))?;
    Ok(ExitCode::SUCCESS)
}
