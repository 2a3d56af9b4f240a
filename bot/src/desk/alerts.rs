//! `alerts` and `end-alert`: what is known of a service's alerts, and the end of those that nobody else ends.

use lastgood_adapters::chat::{Answer, Incoming};
use lastgood_core::Actor;

use super::{Desk, commands::Done, standing};
use crate::{
    render::{self, Alerts},
    service::Service,
    store::{self, StoreError},
};

/// A day in milliseconds, of which a week is looked back for silent alerts.
const DAY: i64 = 86_400_000;
/// Of each service.
const LISTED: i64 = 200;

impl Desk {
    pub(super) async fn alerts(&self, service: Option<&str>) -> Done {
        let services = match service {
            Some(name) => vec![self.engine.service(name)?],
            None => self.engine.services.iter().cloned().collect(),
        };
        let now = self.engine.now();
        let db = self.engine.store.reader();
        let mut all = Vec::new();
        for service in &services {
            let silent_before = now - service.alert_expires;
            all.push(store::alerts::listed(db, &service.id, silent_before, now - 7 * DAY, LISTED).await?);
        }
        let of: Vec<_> = services
            .iter()
            .zip(&all)
            .map(|(service, listed)| Alerts {
                service: &service.id,
                alert_expires: service.alert_expires,
                listed,
            })
            .collect();
        Ok(Answer::Private(render::alerts(&of, now)))
    }

    pub(super) async fn end_alert(&self, incoming: &Incoming, service: &str, alert: &str) -> Done {
        let service = self.engine.service(service)?;
        if let Some(refusal) = self.may_not_end(&service, &incoming.actor).await? {
            return Ok(refusal);
        }
        let named = (alert.trim_start_matches('-') != "all").then_some(alert);
        let delivery = self.delivery(incoming);
        let ended = self.engine.end_alerts(&service.id.0, named, &incoming.actor, Some(&delivery)).await?;
        let text = match ended.as_slice() {
            [one] => {
                format!("{one} of {} counts as over. If it is told once more, it is a new alert.", service.id)
            }
            many => format!(
                "{} alerts of {} count as over. Those that are told once more are new alerts.",
                many.len(),
                service.id
            ),
        };
        Ok(Answer::Private(render::answer("Ended", &text)))
    }

    /// Approvers and whoever is in command.
    async fn may_not_end(&self, service: &Service, by: &Actor) -> Result<Option<Answer>, StoreError> {
        let asked = standing::of(&self.chats, service, by).await;
        if let Some(barred) = &asked.barred {
            return self.turned_away(service, by, "end alert", barred).await.map(Some);
        }
        let active = store::rollbacks::active(self.engine.store.reader(), &service.id).await?;
        let commander = active.and_then(|active| active.state.commander);
        let commands = commander.is_some_and(|commander| commander.id == by.id);
        if asked.standing.approver || asked.standing.commander || commands {
            return Ok(None);
        }
        let text = format!("{by}, only an approver of {} or its commander may end its alerts", service.id);
        self.turned_away(service, by, "end alert", &text).await?;
        Ok(Some(Answer::Private(standing::refusal(&text, service, &asked))))
    }
}
