//! Incidents, and whom they call (PagerDuty's knowledge base: Incidents, Escalation Policies; REST API: Manage incidents).

use serde_json::{Value, json};

use super::{Account, PagerDuty, Shared};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Triggered,
    Acknowledged,
    Resolved,
}

/// What people are called for.
#[derive(Debug, Clone)]
pub struct Incident {
    pub id: String,
    /// The summary of its first alert.
    pub title: String,
    pub status: Status,
    /// Whom it called, in order.
    pub called: Vec<String>,
    /// The routing key that opened it: each has a service.
    pub(super) service: String,
    /// The `dedup_key` of its first alert.
    pub(super) key: String,
}

impl Shared {
    /// A new alert's incident: one of its own, which calls the first person, or an open one that it is put into.
    pub(super) fn triggered(&self, account: &mut Account, event: &Value) -> String {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let service = text(&event["routing_key"]);
        let open = account
            .incidents
            .values()
            .rev()
            .find(|incident| incident.service == service && incident.status != Status::Resolved);
        if let Some(open) = open.filter(|_| account.setup.groups) {
            return open.id.clone();
        }
        let id = format!("Q{:013}", account.incidents.len() + 1);
        let first = account.setup.people.first().cloned();
        account.incidents.insert(
            id.clone(),
            Incident {
                id: id.clone(),
                title: text(&event["payload"]["summary"]),
                status: Status::Triggered,
                called: first.into_iter().collect(),
                service,
                key: text(&event["dedup_key"]),
            },
        );
        self.hook(account, "incident.triggered", &id, None);
        tokio::spawn(self.clone().escalate(id.clone()));
        id
    }

    /// Calls the next person when nobody came in time, to the end of the policy.
    async fn escalate(self, id: String) {
        loop {
            let wait = self.account.lock().unwrap().setup.escalates_after;
            let Some(wait) = wait else { return };
            tokio::time::sleep(wait).await;
            {
                let mut account = self.account.lock().unwrap();
                let people = account.setup.people.clone();
                let incident = account.incidents.get_mut(&id).unwrap();
                let next = people.get(incident.called.len());
                let (Status::Triggered, Some(next)) = (incident.status, next) else { return };
                incident.called.push(next.clone());
            }
            self.changed.notify_waiters();
        }
    }

    /// By a person, or by an event of the integration.
    pub(super) fn acknowledged(&self, account: &mut Account, id: &str, by: Option<&str>) {
        let incident = account.incidents.get_mut(id).unwrap();
        if incident.status == Status::Triggered {
            incident.status = Status::Acknowledged;
            self.hook(account, "incident.acknowledged", id, by);
        }
    }

    /// An incident ends with the last of its alerts.
    pub(super) fn alert_resolved(&self, account: &mut Account, id: &str) {
        if account.pages.iter().any(|page| page.open && page.incident == id) {
            return;
        }
        account.incidents.get_mut(id).unwrap().status = Status::Resolved;
        self.hook(account, "incident.resolved", id, None);
    }
}

impl PagerDuty {
    /// Every incident, in order.
    pub fn incidents(&self) -> Vec<Incident> {
        self.shared.account.lock().unwrap().incidents.values().cloned().collect()
    }

    /// Somebody acknowledges an incident.
    pub fn acknowledge(&self, id: &str, person: &str) {
        let mut account = self.shared.account.lock().unwrap();
        assert!(account.incidents.contains_key(id), "there is no incident {id}");
        self.shared.acknowledged(&mut account, id, Some(person));
    }

    /// Another program opens an alert in the service of this routing key.
    pub fn triggered_by_another(&self, routing_key: &str, summary: &str) {
        let event = json!({ "routing_key": routing_key, "event_action": "trigger", "dedup_key": "disk/7",
            "payload": { "summary": summary, "source": "db1", "severity": "critical" } });
        let mut account = self.shared.account.lock().unwrap();
        self.shared.apply(&mut account, "disk/7", &event);
    }

    /// Until this is true of the incidents.
    pub async fn until(&self, what: &str, fits: impl Fn(&[Incident]) -> bool) -> Vec<Incident> {
        let waiting = async {
            loop {
                let changed = self.shared.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                let incidents = self.incidents();
                if fits(&incidents) {
                    return incidents;
                }
                changed.await;
            }
        };
        let in_time = tokio::time::timeout(std::time::Duration::from_secs(30), waiting).await;
        in_time.unwrap_or_else(|_| panic!("waited for {what}: {:#?}", self.incidents()))
    }
}
