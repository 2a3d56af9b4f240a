//! Bodies: read whole, up to a limit in size and time.

use std::time::Duration;

use axum::{body::Body, http::StatusCode};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;

use super::Problem;

/// Bytes.
pub const MOST: usize = 1024 * 1024;
/// What is read and thrown away of a body that is too large, so that its sender, who may not listen before it has sent
/// everything, gets to read why.
const DRAINED: usize = 64 * MOST;
/// Senders on the way to an incident are fast.
const WITHIN: Duration = Duration::from_secs(20);

/// # Errors
/// 413, 408, or 400 when the connection breaks.
pub async fn read(body: Body) -> Result<Bytes, Problem> {
    let slow = || Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not come within 20 s");
    tokio::time::timeout(WITHIN, whole(body)).await.map_err(|_| slow())?
}

async fn whole(body: Body) -> Result<Bytes, Problem> {
    let mut chunks = body.into_data_stream();
    let (mut kept, mut seen) = (BytesMut::new(), 0_usize);
    while let Some(chunk) = chunks.next().await {
        let broken = |error| Problem::new(StatusCode::BAD_REQUEST, format!("the body broke off: {error}"));
        let chunk = chunk.map_err(broken)?;
        seen = seen.saturating_add(chunk.len());
        if seen <= MOST {
            kept.extend_from_slice(&chunk);
        } else {
            kept.clear();
        }
        if seen > DRAINED {
            break;
        }
    }
    if seen > MOST {
        let detail = format!("the body is larger than {} KiB", MOST / 1024);
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    Ok(kept.freeze())
}
