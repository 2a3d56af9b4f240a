//! `GET /v1/rollbacks/{id}`: one rollback, as stored, with its whole history.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use lastgood_core::RollbackId;
use serde_json::{Value, json};

use super::{Problem, auth::Caller};
use crate::{
    app::App,
    clock::rfc3339,
    config::May,
    store::{
        self,
        rollbacks::{Committed, Saved},
    },
};

pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    caller.must(May::Read)?;
    let (saved, events) = load(&app, &id).await?;
    let events: Vec<_> = events
        .iter()
        .map(|event| {
            json!({
                "seq": event.seq, "at": event.at, "time": rfc3339(event.at),
                "kind": event.event.kind(), "body": event.event,
            })
        })
        .collect();
    let state = &saved.state;
    Ok(Json(json!({
        "id": state.id.to_string(), "service": state.service, "phase": state.phase.word(),
        "active": state.active(), "state": state, "events": events,
    })))
}

/// A rollback by the number that people say.
pub(super) async fn load(app: &App, id: &str) -> Result<(Saved, Vec<Committed>), Problem> {
    let missing = |said: String| Problem::new(StatusCode::NOT_FOUND, format!("there is no rollback {said}"));
    let typed = || missing(format!("{:?}", id.chars().take(80).collect::<String>()));
    let id: RollbackId = id.parse().map_err(|_| typed())?;
    let db = app.engine.store.reader();
    let saved = store::rollbacks::get(db, id).await?.ok_or_else(|| missing(id.to_string()))?;
    Ok((saved, store::rollbacks::events(db, id, 0).await?))
}
