//! `pause` and `resume`: whether anything is shifted without a click.

use lastgood_adapters::chat::{Answer, Incoming};
use lastgood_core::{Actor, RollbackId, ServiceId, rollback::Approval};

use super::{Desk, commands::Done, private, standing};
use crate::{
    engine::pauses::Paused,
    render,
    service::Service,
    store::{self, StoreError, write},
};

/// Says all services, where a service could be named.
const ALL: &str = "all";

impl Desk {
    pub(super) async fn pause(&self, incoming: &Incoming, named: Option<&str>, reason: Option<&str>) -> Done {
        let service = self.paused_service(named)?;
        let by = &incoming.actor;
        if let Some(refusal) = self.may_not_pause(service.as_deref(), by, "pause").await? {
            return Ok(refusal);
        }
        let id = service.as_ref().map(|service| &service.id);
        let delivery = self.delivery(incoming);
        let paused = self.engine.pause(id, reason.unwrap_or_default(), by, Some(&delivery)).await?;
        Ok(Answer::Private(render::answer("Paused", &told(service.as_deref(), &paused))))
    }

    pub(super) async fn unpause(&self, incoming: &Incoming, named: Option<&str>) -> Done {
        let service = self.paused_service(named)?;
        let by = &incoming.actor;
        if let Some(refusal) = self.may_not_pause(service.as_deref(), by, "resume").await? {
            return Ok(refusal);
        }
        let id = service.as_ref().map(|service| &service.id);
        let ended = self.engine.unpause(id, by, Some(&self.delivery(incoming))).await?;
        let left = store::pauses::in_force(self.engine.store.reader()).await?;
        let what = id.map_or_else(|| "all services together".to_owned(), |id| id.0.clone());
        let mut text = match ended {
            Some(pause) => format!("The pause of {what} by {} has ended.", pause.by.name),
            None => format!("{what}: there is no pause to end."),
        };
        let mut others = Vec::new();
        for pause in left {
            match (&pause.service, id) {
                (None, Some(_)) => text.push_str(&format!(
                    "\nAll services are paused by {} still: `resume` without a service ends that.",
                    pause.by.name
                )),
                (Some(other), None) => others.push(other.0.clone()),
                _ => {}
            }
        }
        if !others.is_empty() {
            text.push_str(&format!("\nPaused on their own still: {}.", others.join(", ")));
        }
        Ok(Answer::Private(render::answer("Resumed", &text)))
    }

    /// A service, or none for all.
    fn paused_service(&self, named: Option<&str>) -> Result<Option<std::sync::Arc<Service>>, StoreError> {
        let Some(name) = named else { return Ok(None) };
        match self.engine.service(name) {
            Ok(service) => Ok(Some(service)),
            Err(_) if name.eq_ignore_ascii_case(ALL) => Ok(None),
            Err(StoreError::NotFound(text)) => {
                Err(StoreError::NotFound(format!("{text}; for all services say {ALL}, and then the reason")))
            }
            Err(error) => Err(error),
        }
    }

    /// One service: its approvers. All of them: who approves for any, since whoever is awake has to be able to.
    async fn may_not_pause(
        &self,
        service: Option<&Service>,
        by: &Actor,
        what: &str,
    ) -> Result<Option<Answer>, StoreError> {
        if let Some(service) = service {
            return self.not_approver(service, by, what, "").await;
        }
        let mut trouble = None;
        for service in self.engine.services.iter() {
            let asked = standing::of(&self.chats, service, by).await;
            if asked.standing.approver {
                return Ok(None);
            }
            trouble = trouble.or(asked.barred).or(asked.trouble);
        }
        let text = format!("{by}, only an approver of one of the services may {what} all of them");
        let text = trouble.map_or_else(|| text.clone(), |trouble| format!("{text}. {trouble}"));
        let (at, detail) = (self.engine.now(), format!("{text} (refused)"));
        write!(self.engine.store, |tx| tx.audit(at, &by.id, "", what, &detail).await)?;
        Ok(Some(private(&text)))
    }
}

fn told(service: Option<&Service>, paused: &Paused) -> String {
    let mut text = match service {
        Some(service) => {
            let name = &service.id;
            let anyway = match service.policy.approval {
                Approval::Required => " Its configuration asks for one anyway.",
                Approval::None => "",
            };
            format!(
                "{name} is not shifted without a click until somebody says `/rollback resume {name}`.{anyway}"
            )
        }
        None => "Nothing is shifted without a click until somebody says `/rollback resume`. Proposals go on."
            .to_owned(),
    };
    let line = |(run, service): &(RollbackId, ServiceId), what: &str| format!("\n{run} of {service} {what}");
    for run in &paused.waiting {
        text.push_str(&line(run, "waits for a click now."));
    }
    for run in &paused.moving {
        let stop = format!("was begun without a click: `/rollback stop {}` stops it.", run.1);
        text.push_str(&line(run, &stop));
    }
    text
}
