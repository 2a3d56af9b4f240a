//! On PostgreSQL, a commit of one replica wakes the others. Only a hint: whoever misses it finds the work by its poll.

use std::{sync::Arc, time::Duration};

use rand::Rng as _;
use sqlx::{Executor as _, postgres::PgListener};
use tokio::{sync::watch, task::AbortHandle, time::timeout};

const CHANNEL: &str = "lastgood";

/// Who tells, so that nobody is woken twice by their own commit: what else is sent through the channel means nothing.
pub(super) fn name() -> String {
    format!("{:016x}", rand::rng().random::<u64>())
}

/// Sent in the transaction that it tells of. (The name is made of digits: nothing to quote.)
pub(super) fn tell(name: &str) -> String {
    format!("NOTIFY {CHANNEL}, '{name}'")
}

/// Longest wait before the connection is tried again.
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// After so long without a word the connection is asked whether it still works: one that a network dropped is silent, too.
const QUIET: Duration = Duration::from_secs(15);
const ANSWER: Duration = Duration::from_secs(5);

/// Ends its task when the last store that shares it goes.
pub(super) struct Listening(AbortHandle);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Listens on a connection of its own for as long as it is held.
pub(super) fn listen(url: String, name: String, committed: Arc<watch::Sender<u64>>) -> Listening {
    let task = tokio::spawn(async move {
        let mut wait = Duration::from_secs(1);
        loop {
            match attend(&url, &name, &committed).await {
                Ok(()) => wait = Duration::from_secs(1),
                // Without a word of the address, which may hold a password.
                Err(error) => {
                    tracing::debug!(%error, "other replicas' commits are not heard; the poll finds them")
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(MAX_BACKOFF);
        }
    });
    Listening(task.abort_handle())
}

/// Returns when the connection was lost after it had worked.
async fn attend(url: &str, name: &str, committed: &watch::Sender<u64>) -> sqlx::Result<()> {
    let mut listener = PgListener::connect(url).await?;
    listener.listen(CHANNEL).await?;
    loop {
        match timeout(QUIET, listener.try_recv()).await {
            Ok(told) => match told? {
                Some(told) if told.payload() == name => {}
                Some(_) => committed.send_modify(|count| *count = count.wrapping_add(1)),
                // The connection broke. What came meanwhile is not known, so it counts as something.
                None => break,
            },
            Err(_) => match timeout(ANSWER, listener.execute("SELECT 1")).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(error),
                Err(_) => break,
            },
        }
    }
    committed.send_modify(|count| *count = count.wrapping_add(1));
    Ok(())
}
