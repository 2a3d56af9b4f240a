use super::{Sender::*, Status::*, *};

#[test]
fn alertmanager_s_own_message_with_its_links() {
    let alert = heard("alertmanager", "firing");
    assert_eq!((alert.sender, alert.status), (Alertmanager, Firing));
    assert_eq!(alert.title, "HighErrorRate (checkout critical)");
    assert!(alert.names.contains(&"HighErrorRate".to_owned()), "{:?}", alert.names);
    assert_eq!(alert.labels.get("severity").map(String::as_str), Some("critical"));
    assert_eq!(note(&alert, "runbook_url"), Some("https://rb/x"));
    assert_eq!(note(&alert, "alertmanager"), Some("http://am:9093/#/alerts?receiver=all"));
    assert_eq!(heard("alertmanager", "resolved").status, Resolved);
    one_alert("alertmanager", &["firing", "more", "resolved"]);
    let elsewhere = alert.fingerprint("slack:#other");
    assert_ne!(alert.fingerprint("slack:#incidents"), elsewhere);
}

#[test]
fn templates_that_list_labels_tell_what_all_their_firing_alerts_have() {
    let alert = heard("alertmanager", "listed");
    assert_eq!((alert.sender, alert.status), (Alertmanager, Firing));
    let labels: Vec<_> = alert.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(labels, ["alertname=HighErrorRate", "service=checkout"]);
    assert_eq!(alert.names[0], "HighErrorRate");
    assert_eq!(note(&alert, "source"), Some("http://prom/g"));
    assert_eq!(note(&alert, "dashboard"), Some("https://grafana/d/1"));
    assert_eq!(note(&alert, "silence"), Some("http://am:9093/#/silences/new"));
    assert_eq!(heard("alertmanager", "shouted").title, "Too slow | checkout");
    assert!(heard("alertmanager", "ignored").ignore);
    assert_eq!(hear(&message("alertmanager", "chatter")), None);
}

#[test]
fn grafana_tells_labels_annotations_and_links() {
    let alert = heard("grafana", "firing");
    assert_eq!((alert.sender, alert.status), (Grafana, Firing));
    assert_eq!(alert.names[0], "Error rate");
    let labels: Vec<_> = alert.labels.keys().map(String::as_str).collect();
    assert_eq!(labels, ["alertname", "grafana_folder", "service", "severity"]);
    let notes: Vec<_> = alert.annotations.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(notes, ["runbook_url", "summary", "grafana", "source", "dashboard", "silence", "panel"]);
    assert_eq!(note(&alert, "panel"), Some("https://grafana.example.com/d/xyz?orgId=1&viewPanel=2"));
    one_alert("grafana", &["firing", "resolved"]);
    let mixed = heard("grafana", "mixed");
    assert_eq!((mixed.sender, mixed.status, mixed.named), (Grafana, Firing, vec!["checkout".to_owned()]));
    assert_eq!((heard("grafana", "old").status, heard("grafana", "old over").status), (Firing, Resolved));
    one_alert("grafana", &["old", "old over"]);
}

#[test]
fn pagerduty_s_incidents_are_known_by_their_number() {
    let alert = heard("pagerduty", "triggered");
    assert_eq!((alert.sender, alert.status, alert.title.as_str()), (PagerDuty, Firing, "High error rate"));
    assert_eq!(alert.named, ["Checkout API"]);
    assert_eq!(heard("pagerduty", "acknowledged").status, Firing);
    assert_eq!(heard("pagerduty", "acknowledged").title, "High error rate");
    assert_eq!(heard("pagerduty", "resolved").status, Resolved);
    one_alert("pagerduty", &["triggered", "acknowledged", "resolved"]);
    let attached = heard("pagerduty", "attached");
    assert_eq!((attached.sender, attached.title.as_str()), (PagerDuty, "HighErrorRate (checkout critical)"));
    assert!(attached.names.contains(&"HighErrorRate".to_owned()), "{:?}", attached.names);
    assert_eq!(note(&attached, "pagerduty"), Some("https://shop.eu.pagerduty.com/incidents/PXYZ"));
    assert_eq!(hear(&message("pagerduty", "on call")), None);
    assert_eq!(hear(&message("pagerduty", "note")), None);
}

#[test]
fn datadog_s_transitions() {
    let alert = heard("datadog", "triggered");
    assert_eq!((alert.sender, alert.status, alert.title.as_str()), (Datadog, Firing, "Error rate is high"));
    assert_eq!(alert.labels.get("env").map(String::as_str), Some("production"));
    assert_eq!(note(&alert, "runbook_url"), Some("https://rb/errors"));
    assert_eq!(heard("datadog", "recovered").status, Resolved);
    one_alert("datadog", &["triggered", "again", "recovered"]);
    let alert = heard("datadog", "priority");
    assert_eq!((alert.title.as_str(), alert.named[0].as_str()), ("Latency", "checkout"));
    assert_eq!(alert.labels.get("env").map(String::as_str), Some("prod"));
    one_alert("datadog", &["priority", "priority over"]);
    assert_eq!(hear(&message("datadog", "warn")), None);
    assert_eq!(hear(&message("datadog", "deployed")), None);
}

#[test]
fn sentry_s_alerts_and_not_its_other_messages() {
    let alert = heard("sentry", "issue");
    assert_eq!((alert.sender, alert.status), (Sentry, Firing));
    assert_eq!(
        (alert.title.as_str(), alert.identity.as_str()),
        ("TypeError: total is undefined", "CHECKOUT-1A")
    );
    assert_eq!(alert.labels.get("project").map(String::as_str), Some("checkout"));
    assert_eq!(heard("sentry", "issue resolved").status, Resolved);
    assert_eq!(heard("sentry", "marked").status, Resolved);
    one_alert("sentry", &["issue", "issue resolved", "marked", "old"]);
    assert_eq!((heard("sentry", "metric").status, heard("sentry", "metric over").status), (Firing, Resolved));
    one_alert("sentry", &["metric", "metric over"]);
    assert_eq!(hear(&message("sentry", "assigned")), None);
}
