//! `lastgood record`: a pipeline or a person tells what was deployed.

use std::process::ExitCode;

use clap::Args as Arguments;
use serde_json::json;

use super::{
    Context, Ended, Fault,
    context::operator,
    output::{self, plain, say},
};
use crate::inbound::deployment::Deployment;

#[derive(Debug, Arguments)]
pub struct Args {
    /// As the configuration names it.
    service: String,
    /// What people call it: v2.4.1
    #[arg(long)]
    version: String,
    /// What it is: sha256:…
    #[arg(long)]
    digest: String,
    /// preview, canary or live [default: live]
    #[arg(long)]
    phase: Option<String>,
    /// Where it went.
    #[arg(long)]
    pool: Option<String>,
    /// When: RFC 3339 or milliseconds since 1970 [default: now]
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Where to read about it.
    #[arg(long)]
    url: Option<String>,
    /// Who deployed it [default: you]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Why going back behind it needs thought: "drops column x"
    #[arg(long, value_name = "WHY")]
    irreversible: Option<String>,
    /// Your own id of this deployment: recording it again changes nothing.
    #[arg(long)]
    id: Option<String>,
    /// For programs.
    #[arg(long)]
    json: bool,
}

pub async fn run(context: &Context, args: Args) -> Ended {
    let app = context.open().await?;
    let deployment = Deployment {
        service: args.service,
        version: args.version,
        digest: args.digest,
        phase: args.phase,
        pool: args.pool,
        at: args.at,
        url: args.url,
        by: args.by,
        irreversible: args.irreversible,
        id: args.id,
    };
    let by = operator(&app.config);
    let release =
        deployment.release(app.engine.now(), &by.id).map_err(|error| Fault::new(error.to_string()))?;
    let recorded = app.engine.record(&release).await?;
    let missing = app.engine.pool_is_missing(&release).await?;
    if args.json {
        let warnings: Vec<_> = missing.into_iter().collect();
        output::json(&json!({ "id": recorded.id.to_string(), "new": recorded.new, "warnings": warnings }))?;
    } else {
        let known = if recorded.new { "recorded" } else { "was recorded before" };
        let version = plain(&release.artifact.version);
        let digest = release.artifact.digest.short();
        say(format!("{version} ({digest}) of {} {known}: {}", release.service, recorded.id))?;
        if let Some(missing) = missing {
            output::note(&plain(&missing));
        }
    }
    Ok(ExitCode::SUCCESS)
}
