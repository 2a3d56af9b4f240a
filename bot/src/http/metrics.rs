//! The bot's own numbers, for Prometheus (its text format, version 0.0.4). Numbers only: no names of anything.

use std::fmt::{Display, Write as _};

use axum::{
    extract::State,
    http::{HeaderName, header},
};

use crate::{
    app::App,
    store::{self, Result},
};

/// Those of the process come whatever the database does: that it does not answer is when they are looked at.
pub async fn show(State(app): State<App>) -> ([(HeaderName, &'static str); 1], String) {
    let mut text = String::new();
    let counted = counts(&app).await;
    if let Err(error) = &counted {
        tracing::warn!(%error, "metrics without the database's");
    }
    let answers = i64::from(counted.is_ok());
    for (name, help, value) in counted.unwrap_or_default() {
        gauge(&mut text, name, help, "", value);
    }
    gauge(&mut text, "lastgood_database_up", "Whether the database answered.", "", answers);
    let lease = app.engine.lease();
    let executes = i64::from(lease.executes());
    gauge(&mut text, "lastgood_executes", "Whether this process may run effects.", "", executes);
    let pulse = lease.pulse();
    let help = "Seconds since the executor last got through what is due.";
    gauge(&mut text, "lastgood_executor_turn_age_seconds", help, "", pulse.turned.as_secs_f64());
    if let Some(beaten) = pulse.beaten {
        let help = "Seconds since the lease was last renewed.";
        gauge(&mut text, "lastgood_lease_age_seconds", help, "", beaten.as_secs_f64());
    }
    let version = concat!("{version=\"", env!("CARGO_PKG_VERSION"), "\"}");
    gauge(&mut text, "lastgood_build_info", "Which build this is.", version, 1);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

type Count = (&'static str, &'static str, i64);

async fn counts(app: &App) -> Result<Vec<Count>> {
    let db = app.engine.store.reader();
    let services: Vec<_> = app.services.iter().map(|service| service.id.clone()).collect();
    let open = i64::try_from(store::incidents::list(db, false).await?.len()).unwrap_or(i64::MAX);
    let pauses = i64::try_from(store::pauses::in_force(db).await?.len()).unwrap_or(i64::MAX);
    Ok(vec![
        ("lastgood_pauses", "Pauses in force; that of all services counts as one.", pauses),
        (
            "lastgood_rollbacks_running",
            "Rollbacks that have not ended.",
            store::rollbacks::running(db).await?,
        ),
        ("lastgood_incidents_open", "Incidents without a root cause (at most 200 are counted).", open),
        (
            "lastgood_effects_unfinished",
            "Effects that are waiting or running.",
            store::effects::unfinished(db).await?,
        ),
        (
            "lastgood_effects_undeclared",
            "Unfinished effects of services that the configuration does not have: nobody here runs them.",
            store::effects::foreign(db, &services).await?,
        ),
        (
            "lastgood_messages_refused",
            "Chat messages that a platform refused for good.",
            store::messages::refused(db).await?,
        ),
        (
            "lastgood_rollbacks_untold",
            "Rollbacks whose news can't be drawn, or whose service the configuration does not have.",
            store::rollbacks::untold(db, &services).await?,
        ),
    ])
}

fn gauge(text: &mut String, name: &str, help: &str, labels: &str, value: impl Display) {
    // Writing to a string can't fail.
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name}{labels} {value}").ok();
}
