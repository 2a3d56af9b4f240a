//! The service that the demo rolls back: it knows its own version, and one of its versions fails some of its requests
//! while its health endpoint keeps saying 200, as bad releases do.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use lastgood_core::Artifact;
use serde_json::json;

/// What the servers of one pool run.
pub struct Process {
    artifact: Artifact,
    /// Of a hundred requests.
    failing: u64,
    served: AtomicU64,
}

impl Process {
    pub fn new(artifact: Artifact, failing: u64) -> Arc<Self> {
        Arc::new(Self { artifact, failing, served: AtomicU64::new(0) })
    }
}

pub fn app(process: Arc<Process>) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/version", get(version))
        .fallback(buy)
        .with_state(process)
}

async fn version(State(process): State<Arc<Process>>) -> Json<serde_json::Value> {
    Json(json!({ "version": process.artifact.version, "digest": process.artifact.digest.as_str() }))
}

async fn buy(State(process): State<Arc<Process>>) -> Response {
    let served = process.served.fetch_add(1, Ordering::Relaxed);
    if spread(served) % 100 < process.failing {
        let body = json!({ "error": "no connection left in the pool", "version": process.artifact.version });
        return (StatusCode::INTERNAL_SERVER_ERROR, Json(body)).into_response();
    }
    Json(json!({ "order": served, "version": process.artifact.version })).into_response()
}

/// Numbers that look thrown but come out the same in every run, so that the demo is no gamble (the finaliser of
/// SplitMix64, Steele et al., "Fast splittable pseudorandom number generators", 2014).
fn spread(n: u64) -> u64 {
    let n = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_thirty_of_a_hundred_fail_in_every_stretch() {
        for start in (0..2_000).step_by(100) {
            let failed = (start..start + 100).filter(|n| spread(*n) % 100 < 30).count();
            assert!((15..=45).contains(&failed), "{failed} of the hundred from {start}");
        }
    }
}
