//! Whatever a person causes is remembered by the platform's own id of it, in the transaction that does it: the same delivery
//! once more does nothing, and is answered the same.

use lastgood_core::At;

use crate::store::{Result, Tx};

/// Where an act came from: platform, and the platform's own id of the delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub source: String,
    pub id: String,
}

/// The answer that this delivery got before.
pub(super) async fn before(tx: &mut Tx, delivery: Option<&Delivery>) -> Result<Option<String>> {
    match delivery {
        Some(delivery) => tx.answered(&delivery.source, &delivery.id).await,
        None => Ok(None),
    }
}

pub(super) async fn keep(
    tx: &mut Tx,
    delivery: Option<&Delivery>,
    what: &str,
    answer: &str,
    at: At,
) -> Result<()> {
    match delivery {
        Some(delivery) => tx.keep_inbox(&delivery.source, &delivery.id, what, answer, at).await,
        None => Ok(()),
    }
}
