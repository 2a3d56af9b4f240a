//! Alerts that a person says are over: those whose sender never will.

use std::collections::BTreeSet;

use lastgood_core::{Actor, ServiceId};

use super::{
    Engine,
    batch::none_fires,
    delivery::{self, Delivery},
};
use crate::store::{Result, StoreError, alerts::Open, write};

/// How much of the titles the audit keeps.
const AUDITED: usize = 1_000;

impl Engine {
    /// Ends alerts of a service as if their sender had said that they are over: those with this fingerprint, title or name, or
    /// all of them. Returns their titles. The same delivery ends them once, and is answered the same.
    ///
    /// # Errors
    /// `NotFound` for a service that is not declared, or when no alert is called so.
    pub async fn end_alerts(
        &self,
        service: &str,
        named: Option<&str>,
        by: &Actor,
        delivery: Option<&Delivery>,
    ) -> Result<Vec<String>> {
        let service = self.service(service)?;
        let (at, owner) = (self.now(), self.owner_of(&service.id));
        let wanted = named.map(plain);
        let (titles, claimed) = write!(self.store, |tx| {
            tx.lock(&service.id).await?;
            if let Some(before) = delivery::before(tx, delivery).await? {
                return Ok((before.lines().map(str::to_owned).collect(), vec![]));
            }
            tx.fall_silent(&service.id, at - service.alert_expires).await?;
            let mut ended = tx.open_alerts(&service.id).await?;
            ended.retain(|open| wanted.as_ref().is_none_or(|wanted| is_called(open, wanted)));
            if ended.is_empty() {
                return Err(none_to_end(&service.id, named));
            }
            let mut threads = BTreeSet::new();
            for open in &ended {
                tx.end_open_alert(&service.id, open, at).await?;
                threads.extend(open.thread);
            }
            let titles: Vec<_> = ended.iter().map(|open| open.title.replace('\n', " ")).collect();
            let told: String = titles.join("; ").chars().take(AUDITED).collect();
            tx.audit(at, &by.id, &service.id.0, "end alert", &format!("{}: {told}", titles.len())).await?;
            delivery::keep(tx, delivery, "end alert", &titles.join("\n"), at).await?;
            let mut claimed = Vec::new();
            if !threads.is_empty() && !tx.any_firing(&service.id).await? {
                claimed = none_fires(tx, &service, at, owner.as_deref()).await?;
            }
            for thread in threads {
                if let Some(newest) = tx.newest_rollback_in(thread).await? {
                    tx.redraw(newest.state.id).await?;
                }
            }
            Ok((titles, claimed))
        })?;
        self.dispatch(claimed);
        Ok(titles)
    }
}

fn is_called(open: &Open, wanted: &str) -> bool {
    let mut called = [&open.fingerprint, &open.title].into_iter().chain(&open.names);
    called.any(|name| plain(name) == wanted)
}

fn none_to_end(service: &ServiceId, named: Option<&str>) -> StoreError {
    StoreError::NotFound(match named {
        Some(named) => format!(
            "no alert of {service} is called {named:?}; `lastgood alert list {service}` shows those that there are"
        ),
        None => format!("no alert of {service} fires, and none fell silent"),
    })
}

fn plain(name: impl AsRef<str>) -> String {
    name.as_ref().split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}
