//! Bodies: read whole, up to a limit in size and time.

use std::{sync::Arc, time::Duration};

use axum::{body::Body, http::StatusCode};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Problem;

/// Bytes.
pub const MOST: usize = 1024 * 1024;
/// Bytes of a large body: a group of some ten thousand alerts.
pub const MOST_LARGE: usize = 16 * MOST;
/// How many bodies above [`MOST`] are held at a time.
const LARGE_AT_ONCE: usize = 2;
/// What is read and thrown away of a body that is too large, so that its sender, who may not listen before it has sent
/// everything, gets to read why.
const DRAINED: usize = 64 * MOST;
/// Senders on the way to an incident are fast.
const WITHIN: Duration = Duration::from_secs(20);

/// # Errors
/// 413, 408, or 400 when the connection breaks.
pub async fn read(body: Body) -> Result<Bytes, Problem> {
    within(whole(body, MOST, |_| true)).await
}

async fn within(reading: impl Future<Output = Result<Bytes, Problem>>) -> Result<Bytes, Problem> {
    let slow = || Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not come within 20 s");
    tokio::time::timeout(WITHIN, reading).await.map_err(|_| slow())?
}

/// Lets through a few large bodies at a time, so that what they take in memory has a limit whoever sends them.
#[derive(Debug, Clone)]
pub struct Large(Arc<Semaphore>);

/// A body that was read. A large one counts until its slot is dropped.
pub struct Held {
    bytes: Bytes,
    slot: Option<OwnedSemaphorePermit>,
}

impl Held {
    /// Lets go of the body, while what was read from it still counts.
    pub fn into_slot(self) -> Option<OwnedSemaphorePermit> {
        self.slot
    }
}

impl std::ops::Deref for Held {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Default for Large {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LARGE_AT_ONCE)))
    }
}

impl Large {
    /// As [`read`], up to [`MOST_LARGE`].
    ///
    /// # Errors
    /// As [`read`]; and 503 while as many others are held as may be.
    pub async fn read(&self, body: Body) -> Result<Held, Problem> {
        let mut slot = None;
        let room = |seen: usize| {
            if seen > MOST && slot.is_none() {
                slot = self.0.clone().try_acquire_owned().ok();
            }
            seen <= MOST || slot.is_some()
        };
        let bytes = within(whole(body, MOST_LARGE, room)).await?;
        Ok(Held { bytes, slot })
    }
}

/// Asks of every length whether there is room for it.
async fn whole(body: Body, most: usize, mut room: impl FnMut(usize) -> bool) -> Result<Bytes, Problem> {
    let mut chunks = body.into_data_stream();
    let (mut kept, mut seen, mut busy) = (BytesMut::new(), 0_usize, false);
    while let Some(chunk) = chunks.next().await {
        let broken = |error| Problem::new(StatusCode::BAD_REQUEST, format!("the body broke off: {error}"));
        let chunk = chunk.map_err(broken)?;
        seen = seen.saturating_add(chunk.len());
        busy = busy || (seen <= most && !room(seen));
        if seen <= most && !busy {
            kept.extend_from_slice(&chunk);
        } else {
            kept = BytesMut::new();
        }
        if seen > DRAINED {
            break;
        }
    }
    if seen > most {
        let detail = format!("the body is larger than {} KiB", most / 1024);
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    if busy {
        return Err(Problem::unavailable("other large requests are being read; send it again"));
    }
    Ok(kept.freeze())
}
