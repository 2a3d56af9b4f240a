//! Many services alerting at once: one summary in their rooms, so that nobody rolls back four innocent releases.

use std::collections::BTreeSet;

use lastgood_core::ServiceId;

use super::project::nonce;
use crate::{
    engine::Engine,
    render,
    store::{Result, messages::ROOT, write},
};

/// Not a service: what a summary's thread belongs to.
const SHARED: &str = "*";

/// Says it, or says it anew when more services joined; nothing happens while they are few.
///
/// # Errors
/// As the store says; the alerts themselves are taken, whatever becomes of the summary.
pub async fn announce(engine: &Engine) -> Result<()> {
    let Some(services) = engine.alerting_together().await? else { return Ok(()) };
    let declared = services.iter().filter_map(|id| engine.services.get(id));
    let rooms: BTreeSet<String> =
        declared.flat_map(|service| &service.rooms).map(ToString::to_string).collect();
    let card = render::together(&services);
    let (shared, at) = (ServiceId::from(SHARED), engine.now());
    write!(engine.store, |tx| {
        tx.lock(&shared).await?;
        let thread = match tx.open_thread(&shared, at).await? {
            Some(thread) => thread,
            None => tx.new_thread(&shared, &[], at).await?,
        };
        // It has no run that could end it: it takes more for as long as any ended thread does.
        tx.thread_ended(thread, Some(at)).await?;
        for room in &rooms {
            tx.put_message(thread, room, ROOT, &nonce(), &card, false).await?;
        }
        Ok(())
    })
}
