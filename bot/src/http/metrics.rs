//! The bot's own numbers, for Prometheus (its text format, version 0.0.4). Numbers only: no names of anything.

use std::fmt::Write as _;

use axum::{
    extract::State,
    http::{HeaderName, header},
};

use super::Problem;
use crate::{app::App, store};

pub async fn show(State(app): State<App>) -> Result<([(HeaderName, &'static str); 1], String), Problem> {
    let db = app.engine.store.reader();
    let running = store::rollbacks::running(db).await?;
    let open = i64::try_from(store::incidents::list(db, false).await?.len()).unwrap_or(i64::MAX);
    let unfinished = store::effects::unfinished(db).await?;
    let refused = store::messages::refused(db).await?;
    let pauses = i64::try_from(store::pauses::in_force(db).await?.len()).unwrap_or(i64::MAX);
    let executes = i64::from(app.engine.lease().owner().is_some());
    let mut text = String::new();
    for (name, help, value) in [
        ("lastgood_rollbacks_running", "Rollbacks that have not ended.", running),
        ("lastgood_incidents_open", "Incidents without a root cause (at most 200 are counted).", open),
        ("lastgood_effects_unfinished", "Effects that are waiting or running.", unfinished),
        ("lastgood_messages_refused", "Chat messages that a platform refused for good.", refused),
        ("lastgood_pauses", "Pauses in force; that of all services counts as one.", pauses),
        ("lastgood_executes", "Whether this process may run effects.", executes),
    ] {
        gauge(&mut text, name, help, "", value);
    }
    let version = concat!("{version=\"", env!("CARGO_PKG_VERSION"), "\"}");
    gauge(&mut text, "lastgood_build_info", "Which build this is.", version, 1);
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text))
}

fn gauge(text: &mut String, name: &str, help: &str, labels: &str, value: i64) {
    // Writing to a string can't fail.
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name}{labels} {value}").ok();
}
