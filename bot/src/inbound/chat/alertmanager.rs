//! Alertmanager's Slack receiver: an attachment with the heading of [`super::subject`], leading to Alertmanager, and whatever
//! fields, text and buttons the template has. Mimir, vmalert and others send the same.

use super::{
    Heard, Sender,
    message::Message,
    subject::{self, Subject},
};

pub fn read(message: &Message<'_>) -> Option<Heard> {
    let found = message.headings.iter().find_map(|heading| subject::subject(heading))?;
    Some(grouped(message, Sender::Alertmanager, &found))
}

/// The alert, or the group of alerts, under such a heading.
pub fn grouped(message: &Message<'_>, sender: Sender, subject: &Subject) -> Heard {
    let mut heard = message.heard(sender, subject.status, identity(message, subject), subject.title());
    let parts = [subject.group.clone(), subject.common.clone()].into_iter().filter(|name| !name.is_empty());
    heard.names.extend(parts);
    // Only what several alerts have in common is here: several names are none.
    if let Some(name) = heard.labels.get("alertname") {
        heard.names.insert(0, name.clone());
    }
    heard
}

/// Two Alertmanagers in a room go by different names, or are one to whoever reads.
fn identity(message: &Message<'_>, subject: &Subject) -> String {
    format!("{}/{}", message.posted.sender.trim(), subject.name())
}
