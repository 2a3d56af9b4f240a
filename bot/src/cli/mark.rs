//! `lastgood mark`: a person knows better than the inventory. Audited, and it needs a reason.

use std::process::ExitCode;

use clap::{Args as Arguments, ValueEnum};
use lastgood_core::inventory::Stability;

use super::{Context, Ended, context::operator, output::say};

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum As {
    /// It may be returned to, however short it was live.
    Stable,
    /// It is never returned to, and the gate refuses it.
    Unstable,
}

#[derive(Debug, Arguments)]
pub struct Args {
    /// As the configuration names it.
    service: String,
    /// A version, or (the beginning of) a digest.
    #[arg(value_name = "DIGEST|VERSION")]
    artifact: String,
    stability: As,
    /// Why, for whoever reads it at night.
    #[arg(long)]
    reason: String,
}

pub async fn run(context: &Context, args: Args) -> Ended {
    let app = context.open().await?;
    let service = app.engine.service(&args.service)?;
    let digest = app.engine.resolve(&service.id, &args.artifact).await?;
    let (stability, word) = match args.stability {
        As::Stable => (Stability::Stable { by_person: true }, "stable"),
        As::Unstable => (Stability::Unstable { why: args.reason.clone(), provisional: false }, "unstable"),
    };
    app.engine.mark(&args.service, &digest, &stability, &args.reason, &operator(&app.config), None).await?;
    say(format!("{} of {} is marked {word}", digest.short(), service.id))?;
    Ok(ExitCode::SUCCESS)
}
