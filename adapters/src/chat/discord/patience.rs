//! Calls that are tried a few times more, by whoever can wait and has nobody else to try again for them.

use std::time::Duration;

use serde_json::Value;

use super::fault::Failed;
use crate::Fault;

const TRIES: u32 = 4;
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What a repetition would do after an answer got lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// Nothing: it may be repeated.
    Safe,
    /// The same thing twice.
    Twice,
}

/// # Errors
/// As the last try.
pub(super) async fn patiently<F, Ended>(again: Again, mut call: F) -> Result<Value, Failed>
where
    F: FnMut() -> Ended,
    Ended: Future<Output = Result<Value, Failed>>,
{
    let mut number = 1;
    loop {
        let failed = match call().await {
            Ok(answer) => return Ok(answer),
            Err(failed) if number == TRIES => return Err(failed),
            Err(failed) => failed,
        };
        let grown = Duration::from_millis(250) * 2_u32.pow(number);
        let wait = match &failed.fault {
            Fault::RateLimited { after, .. } if after.is_none_or(|after| after <= LONGEST_WAIT) => {
                after.unwrap_or(grown)
            }
            Fault::Unavailable(_) => grown,
            Fault::Unknown(_) if again == Again::Safe => grown,
            _ => return Err(failed),
        };
        number += 1;
        tokio::time::sleep(wait).await;
    }
}
