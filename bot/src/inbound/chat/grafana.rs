//! Grafana's Slack contact point: the same heading as Alertmanager's, then by default every alert with its labels,
//! annotations and links as text; the footer names Grafana. Before version 9: `[Alerting] name` and `[OK] name`.

use super::{Heard, Sender, alertmanager::grouped, message::Message, subject};
use crate::inbound::alertmanager::Status;

const BEFORE: [(&str, Status); 4] = [
    ("alerting", Status::Firing),
    ("no data", Status::Firing),
    ("nodata", Status::Firing),
    ("ok", Status::Resolved),
];

pub fn read(message: &Message<'_>) -> Option<Heard> {
    if !(message.sent_by("grafana") || signed(message)) {
        return None;
    }
    let headings = || message.headings.iter();
    let found = headings()
        .find_map(|heading| subject::subject(heading))
        .or_else(|| headings().find_map(|heading| subject::with(heading, &BEFORE)))?;
    Some(grouped(message, Sender::Grafana, &found))
}

fn signed(message: &Message<'_>) -> bool {
    let footer = message.posted.parts.iter().any(|part| part.footer.trim_start().starts_with("Grafana"));
    // Where its alerts' titles lead, whatever the host.
    footer || message.links.iter().any(|(_, url)| url.contains("/alerting/"))
}
