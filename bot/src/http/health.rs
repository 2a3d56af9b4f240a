//! For orchestrators and load balancers: is the process up, and can it do its work?

use axum::{Json, extract::State};
use serde_json::{Value, json};

use super::Problem;
use crate::{app::App, store::Purpose};

static ONE: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(1);

/// The process answers, and its executor's loop comes round, whatever it can do then. A process whose loop does not is to be
/// started anew; one whose database is away is not.
pub async fn alive(State(app): State<App>) -> Result<Json<Value>, Problem> {
    let pulse = app.engine.lease().pulse();
    if pulse.came_round >= pulse.limit {
        return Err(Problem::unavailable(format!(
            "the executor's loop has not come round for {} s: start lastgood anew; nothing is lost by that",
            pulse.came_round.as_secs()
        )));
    }
    Ok(Json(json!({ "status": "up" })))
}

/// The store answers, too, and the work gets on.
pub async fn ready(State(app): State<App>) -> Result<Json<Value>, Problem> {
    let pulse = app.engine.lease().pulse();
    if pulse.turned >= pulse.limit {
        return Err(Problem::unavailable(format!(
            "nothing was taken up for {} s: the database does not answer the executor, or its loop stands still",
            pulse.turned.as_secs()
        )));
    }
    if let Some(beaten) = pulse.beaten.filter(|beaten| *beaten >= pulse.limit) {
        return Err(Problem::unavailable(format!(
            "the lease was not renewed for {} s: other replicas take the work over",
            beaten.as_secs()
        )));
    }
    // Not behind a flood at the doors: this server is well, and can be sent more. One at a time, so that whoever asks in a
    // flood does not stand before the lease: the pulse above says nearly as much.
    if let Ok(_alone) = ONE.try_acquire() {
        app.engine.store.on(Purpose::Lease).ping().await?;
    }
    let beaten = pulse.beaten.map(|beaten| beaten.as_secs_f64());
    let executor =
        json!({ "turned_seconds_ago": pulse.turned.as_secs_f64(), "lease_renewed_seconds_ago": beaten });
    Ok(Json(json!({ "status": "ready", "executor": executor })))
}
