//! What somebody may do, asked of the platform when they act, and denied when the platform can't say.

use lastgood_adapters::{
    Fault,
    chat::{Chat, Kind},
};
use lastgood_core::{Actor, card::Card, card::Span, rollback::Standing};

use crate::{chat::TERMINAL, delivery::Chats, render, service::Service};

pub(super) struct Asked {
    pub standing: Standing,
    /// Why a person or a group could not be asked: worth telling somebody who was refused for it.
    pub trouble: Option<String>,
    /// Whoever is no full member never acts; the text says why.
    pub barred: Option<String>,
}

pub(super) async fn of(chats: &Chats, service: &Service, actor: &Actor) -> Asked {
    let platform = actor.id.split(':').next().unwrap_or_default();
    // A command line's people are `os:…`, and its platform is the terminal.
    let chat = chats.get(if platform == "os" { TERMINAL } else { platform });
    let mut asked = Asked {
        standing: Standing {
            approver: false,
            commander: service.commander.as_ref().is_some_and(|commander| commander.id == actor.id),
            break_glass: None,
        },
        trouble: None,
        barred: None,
    };
    let Some(chat) = chat else {
        // Nobody vouches for them, and nobody needs to: a command line acts as whom the configuration says. Groups can't be
        // asked from there.
        let named = [&service.approvers, &service.fallback_approvers];
        asked.standing.approver = named.iter().any(|people| people.contains(&actor.id));
        return asked;
    };
    match chat.person(&actor.id).await.map(|person| person.kind) {
        Ok(Kind::Member) => {}
        Ok(kind) => {
            asked.standing = Standing::default();
            asked.barred = Some(barred(actor, kind, service));
            return asked;
        }
        Err(fault) => {
            tracing::warn!(%fault, actor = actor.id, "who somebody is can't be asked: denied");
            asked.standing.approver = service.fallback_approvers.contains(&actor.id);
            asked.standing.commander &= asked.standing.approver;
            asked.trouble = Some(format!("Whether you may approve could not be asked ({fault}); try again."));
            return asked;
        }
    }
    approves(chat.as_ref(), service, actor, platform, &mut asked).await;
    asked
}

async fn approves(chat: &dyn Chat, service: &Service, actor: &Actor, platform: &str, asked: &mut Asked) {
    asked.standing.approver = service.approvers.contains(&actor.id);
    let groups = service.approvers.iter().filter_map(|entry| entry.split_once(':'));
    for (_, group) in groups.filter(|(of, _)| *of == platform) {
        if asked.standing.approver {
            return;
        }
        match chat.belongs(actor, group).await {
            Ok(belongs) => asked.standing.approver = belongs,
            Err(fault) => {
                tracing::warn!(%fault, group, "membership can't be asked: denied");
                let missing = matches!(fault, Fault::NotFound(_));
                asked.standing.approver = !missing && service.fallback_approvers.contains(&actor.id);
                asked.trouble =
                    Some(format!("Whether you belong to {group} could not be asked ({fault}); try again."));
            }
        }
    }
}

fn barred(actor: &Actor, kind: Kind, service: &Service) -> String {
    let why = match kind {
        Kind::Guest => "guests of the workspace can't",
        Kind::Stranger => "people of another organisation can't",
        Kind::Bot => "programs can't",
        Kind::Gone => "that account is closed: it can't",
        Kind::Member => "you can't",
    };
    format!("{actor}, {why} act on {}; ask one of its approvers", service.id)
}

/// What was refused, and who could do it.
pub(super) fn refusal(text: &str, service: &Service, asked: &Asked) -> Card {
    let mut line =
        vec![Span::from("Needed: an approver of "), Span::from(service.id.0.clone()), Span::from(": ")];
    for (number, entry) in service.approvers.iter().enumerate() {
        if number > 0 {
            line.push(Span::from(", "));
        }
        let name = entry.split_once(':').map_or(entry.as_str(), |(_, name)| name);
        line.push(match name.starts_with('@') {
            true => Span::from(name.to_owned()),
            false => Span::Mention(Actor::new(entry.clone(), name)),
        });
    }
    let card = render::refusal(text).line(line);
    match &asked.trouble {
        Some(trouble) => card.line(trouble.clone()),
        None => card,
    }
}
