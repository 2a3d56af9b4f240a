//! `lastgood status`: what runs, what is open, what is live as far as was recorded.

use std::process::ExitCode;

use clap::Args as Arguments;
use lastgood_core::ServiceId;
use serde_json::json;

use super::{
    Context, Ended, incident,
    output::{self, plain, say},
};
use crate::{clock::rfc3339, store};

#[derive(Debug, Arguments)]
pub struct Args {
    /// Only this one.
    service: Option<String>,
    /// For programs.
    #[arg(long)]
    json: bool,
}

pub async fn run(context: &Context, args: Args) -> Ended {
    let app = context.open().await?;
    let only = args.service.as_deref().map(|name| app.engine.service(name)).transpose()?;
    let concerns = |service: &ServiceId| only.as_ref().is_none_or(|only| only.id == *service);
    let db = app.engine.store.reader();
    let mut runs = Vec::new();
    for service in app.services.iter().filter(|service| concerns(&service.id)) {
        runs.extend(store::rollbacks::active(db, &service.id).await?);
    }
    let mut incidents = store::incidents::list(db, false).await?;
    incidents.retain(|incident| concerns(&incident.service));
    let mut truces = store::truces::in_force(db).await?;
    truces.retain(|truce| concerns(&truce.service));
    let mut pauses = store::pauses::in_force(db).await?;
    pauses.retain(|pause| pause.service.as_ref().is_none_or(concerns));
    let unfinished = store::effects::unfinished(db).await?;
    if args.json {
        output::json(&json!({
            "rollbacks": runs.iter().map(incident::run_for_programs).collect::<Vec<_>>(),
            "incidents": incidents.iter().map(incident::for_programs).collect::<Vec<_>>(),
            "suspended": truces.iter().map(|of| json!({"service": of.service, "rollback": of.rollback.to_string(), "who": of.who})).collect::<Vec<_>>(),
            "pauses": pauses.iter().map(|of| json!({"service": of.service, "by": of.by.id, "since": of.at, "reason": of.reason})).collect::<Vec<_>>(),
            "unfinished_effects": unfinished,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let runs = match runs.as_slice() {
        [] => "no rollback is running".to_owned(),
        runs => incident::runs_table(runs),
    };
    let incidents = match incidents.as_slice() {
        [] => "no incident is open".to_owned(),
        incidents => incident::rows(incidents),
    };
    let mut text = format!("{runs}\n\n{incidents}");
    for truce in &truces {
        text += &format!(
            "\n\n{} is suspended since {}, for {}",
            plain(&truce.who),
            truce.rollback,
            truce.service
        );
    }
    for pause in &pauses {
        let what = pause.service.as_ref().map_or("all services", |service| &service.0);
        let reason = if pause.reason.is_empty() { "no reason was given" } else { &pause.reason };
        text += &format!(
            "\n\npaused: {what}: nothing is shifted without a click, said {} at {} ({})",
            plain(&pause.by.name),
            rfc3339(pause.at),
            plain(reason)
        );
    }
    say(text)?;
    Ok(ExitCode::SUCCESS)
}
