//! What somebody may do, asked of the platform when they act, and denied when the platform can't say.

use lastgood_core::{Actor, rollback::Standing};

use crate::{delivery::Chats, service::Service};

pub(super) struct Asked {
    pub standing: Standing,
    /// Why a group could not be asked: worth telling somebody who was refused for it.
    pub trouble: Option<String>,
}

pub(super) async fn of(chats: &Chats, service: &Service, actor: &Actor) -> Asked {
    let commander = service.commander.as_ref().is_some_and(|commander| commander.id == actor.id);
    let mut trouble = None;
    let mut approver = service.approvers.contains(&actor.id);
    let platform = actor.id.split(':').next().unwrap_or_default();
    for entry in &service.approvers {
        if approver {
            break;
        }
        let Some((of, group)) = entry.split_once(':') else { continue };
        if of != platform {
            continue;
        }
        // A command line's people are `os:…`, and its platform is the terminal.
        let Some(chat) = chats.get(if of == "os" { "terminal" } else { of }) else { continue };
        match chat.belongs(actor, group).await {
            Ok(belongs) => approver = belongs,
            Err(fault) => {
                tracing::warn!(%fault, group = entry, "membership can't be asked: denied");
                trouble =
                    Some(format!("Whether you belong to {entry} could not be asked ({fault}); try again."));
            }
        }
    }
    Asked { standing: Standing { approver, commander, break_glass: None }, trouble }
}
