//! Somebody pointed at a message: a rollback because of it, in its own thread.

use lastgood_adapters::chat::{Answer, Incoming, Posted};
use lastgood_core::card::{Form, Input};

use super::{Desk, Inputs, commands::told, private};
use crate::{engine::propose::Ask, inbound::chat::mentioned, store::StoreError};

/// The action of the form that asks which service is meant; no rollback's, so it can't be mistaken for a button of one.
pub(super) const PROPOSE: &str = "new.propose";
const SERVICE: &str = "service";
const VERSION: &str = "version";
const REASON: &str = "reason";
/// Slack takes 100 options, Discord 25.
const OPTIONS: usize = 25;

impl Desk {
    pub(super) async fn pointed(&self, incoming: &Incoming, posted: &Posted) -> Result<Answer, StoreError> {
        let services = self.engine.services.iter();
        let here = services.filter(|service| self.room_of(service, &incoming.room).is_some());
        let here: Vec<_> = here.map(|service| service.id.0.as_str()).collect();
        let named = mentioned(posted, &here);
        if let [only] = named.as_slice() {
            let reason = Some(format!("because of a message by {}", posted.sender));
            let ask = Ask { service: (*only).to_owned(), by: incoming.actor.clone(), wanted: None, reason };
            return told(self.propose(incoming, ask).await);
        }
        if here.is_empty() {
            return Ok(private("no service has its incidents in this room; use `/rollback SERVICE`"));
        }
        Ok(Answer::Ask { action: PROPOSE.to_owned(), form: form(&here) })
    }

    /// The form came back.
    pub(super) async fn asked(&self, incoming: &Incoming, inputs: &Inputs) -> Result<Answer, StoreError> {
        let given =
            |name: &str| inputs.get(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let ask = Ask {
            service: given(SERVICE).unwrap_or_default(),
            by: incoming.actor.clone(),
            wanted: given(VERSION),
            reason: given(REASON),
        };
        told(self.propose(incoming, ask).await)
    }
}

fn form(services: &[&str]) -> Form {
    let options = match services.len() {
        count if count > OPTIONS => Vec::new(),
        _ => services.iter().map(|name| ((*name).to_owned(), (*name).to_owned())).collect(),
    };
    let input = |id: &str, label: &str, hint: &str, required| Input {
        id: id.into(),
        label: label.into(),
        hint: hint.into(),
        required,
        options: Vec::new(),
    };
    Form {
        title: "Propose a rollback".into(),
        submit: "Propose".into(),
        inputs: vec![
            Input { options, ..input(SERVICE, "Service", "as the configuration names it", true) },
            input(VERSION, "Version", "otherwise the last stable one", false),
            input(REASON, "Reason", "shown in the thread", false),
        ],
    }
}
