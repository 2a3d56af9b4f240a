//! `lastgood alert`: which alerts are known, and the end of those that nobody resolves.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use super::{
    Context, Ended, Fault,
    context::operator,
    output::{self, plain, say, table as columns},
};
use crate::{
    app::App,
    clock::rfc3339,
    command::table,
    store::{self, alerts::Listed},
};

/// A week in milliseconds: how long silent alerts are listed.
const WEEK: i64 = 7 * 86_400_000;
/// Of each service.
const LISTED: i64 = 10_000;

#[derive(Debug, Subcommand)]
pub enum What {
    #[command(about = table::ALERTS.help)]
    List {
        /// Only this one's.
        service: Option<String>,
        /// For programs.
        #[arg(long)]
        json: bool,
    },
    #[command(about = table::END_ALERT.help)]
    End {
        /// As the configuration names it.
        service: String,
        /// Its fingerprint, or its title or name.
        #[arg(value_name = "FINGERPRINT|TITLE", required_unless_present = "all", conflicts_with = "all")]
        alert: Option<String>,
        /// All alerts of the service.
        #[arg(long)]
        all: bool,
    },
}

pub async fn run(context: &Context, what: What) -> Ended {
    let app = context.open().await?;
    match what {
        What::List { service, json } => list(&app, service.as_deref(), json).await,
        What::End { service, alert, .. } => {
            let by = operator(&app.config);
            let ended = app.engine.end_alerts(&service, alert.as_deref(), &by, None).await?;
            for title in ended {
                say(format!("{} of {service} counts as over", plain(&title)))?;
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn list(app: &App, only: Option<&str>, json: bool) -> Ended {
    let services = match only {
        Some(name) => vec![app.engine.service(name).map_err(Fault::from)?],
        None => app.services.iter().cloned().collect(),
    };
    let now = app.engine.now();
    let db = app.engine.store.reader();
    let mut all: Vec<(String, Listed)> = Vec::new();
    for service in services {
        let silent_before = now - service.alert_expires;
        let listed = store::alerts::listed(db, &service.id, silent_before, now - WEEK, LISTED).await?;
        all.extend(listed.into_iter().map(|alert| (service.id.0.clone(), alert)));
    }
    if json {
        let one = |(service, of): &(String, Listed)| {
            json!({
                "service": service, "fingerprint": of.fingerprint, "title": of.title, "is": of.condition.word(),
                "since": of.starts_at, "last_told_at": of.last_at, "told": of.count,
            })
        };
        output::json(&all.iter().map(one).collect::<Vec<_>>())?;
    } else if all.is_empty() {
        say("no alert fires, and none fell silent within a week")?;
    } else {
        let row = |(service, of): &(String, Listed)| {
            [
                plain(service),
                of.condition.word().to_owned(),
                plain(&of.title),
                rfc3339(of.starts_at),
                rfc3339(of.last_at),
                of.count.to_string(),
                plain(&of.fingerprint),
            ]
        };
        let rows: Vec<_> = all.iter().map(row).collect();
        say(columns(["SERVICE", "IS", "ALERT", "SINCE", "LAST TOLD", "TOLD", "FINGERPRINT"], &rows))?;
    }
    Ok(ExitCode::SUCCESS)
}
