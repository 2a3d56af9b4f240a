//! The fixtures are what a real Alertmanager sent.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const FIRING: &[u8] = include_bytes!("../fixtures/alertmanager-firing.json");
const RESOLVED: &[u8] = include_bytes!("../fixtures/alertmanager-resolved.json");
const UNGROUPED: &[u8] = include_bytes!("../fixtures/alertmanager-ungrouped.json");

fn fixture() -> Value {
    serde_json::from_slice(FIRING).unwrap()
}

fn read(body: &[u8]) -> Result<Vec<Alert>, NotAlerts> {
    super::read(body).map(|payload| payload.alerts)
}

fn read_value(value: &Value) -> Result<Vec<Alert>, NotAlerts> {
    read(&serde_json::to_vec(value).unwrap())
}

#[test]
fn what_was_left_out_is_read() {
    let truncated = |value: Value| {
        let mut payload = fixture();
        payload["truncatedAlerts"] = value;
        super::read(&serde_json::to_vec(&payload).unwrap()).unwrap().truncated
    };
    assert_eq!(super::read(FIRING).unwrap().truncated, 0);
    assert_eq!(truncated(json!(5_999)), 5_999);
    for no_number in [Value::Null, json!("7"), json!(-1), json!({})] {
        assert_eq!(truncated(no_number), 0, "the alerts are taken all the same");
    }
}

#[test]
fn too_much_in_one_request_is_told() {
    let mut payload = fixture();
    let alert = payload["alerts"][0].clone();
    payload["alerts"][0]["annotations"]["summary"] = json!("x".repeat(1024 * 1024));
    assert!(matches!(read_value(&payload), Err(NotAlerts::Large(why)) if why.contains("alerts[0]: larger")));
    let small = json!({ "status": "firing", "labels": {}, "startsAt": "2027-01-15T07:59:00Z" });
    payload["alerts"] = json!(vec![small; 50_001]);
    assert!(matches!(read_value(&payload), Err(NotAlerts::Large(why)) if why.contains("max_alerts")));
    payload["alerts"] = json!(vec![alert; 1_000]);
    assert_eq!(read_value(&payload).unwrap().len(), 1_000);
}

#[test]
fn what_is_wrong_inside_one_alert_is_told_with_its_place() {
    let body = String::from_utf8(FIRING.to_vec()).unwrap().replacen(
        "\"status\": \"firing\"",
        "\"status\": \"fi\\ud800\"",
        2,
    );
    assert!(matches!(read(body.as_bytes()), Err(NotAlerts::Json(why)) if why.contains("alerts[0]")));
}

#[test]
fn a_firing_alert_is_read_whole() {
    let [alert] = <[Alert; 1]>::try_from(read(FIRING).unwrap()).unwrap();
    assert_eq!((alert.fingerprint.as_str(), alert.status), ("ba96f21666642942", Status::Firing));
    assert_eq!((alert.starts_at, alert.ends_at), (1_795_396_019_451, None));
    assert_eq!(alert.title, "blue 5xx 12.63%");
    assert_eq!((alert.labels["service"].as_str(), alert.labels.len()), ("checkout", 7));
    assert_eq!(alert.annotations["runbook_url"], "http://127.0.0.1/runbook");
    assert_eq!(alert.group_key, r#"{}:{alertname="High5xx", service="checkout"}"#);
    assert_eq!(alert.external_url.as_deref(), Some("http://vm:19093"));
    assert!(alert.generator_url.unwrap().starts_with("http://vm:19090/graph?"));
}

#[test]
fn resolved_is_the_same_alert_with_an_end() {
    let resolved = read(RESOLVED).unwrap().remove(0);
    assert_eq!((resolved.status, resolved.ends_at), (Status::Resolved, Some(1_795_396_015_451)));
    assert_eq!(resolved.fingerprint, read(FIRING).unwrap()[0].fingerprint);
}

#[test]
fn times_may_be_finer_than_milliseconds() {
    assert_eq!(read(UNGROUPED).unwrap()[0].starts_at, 1_795_397_737_108);
}

#[test]
fn a_missing_fingerprint_is_the_one_that_alertmanager_would_have_sent() {
    for fixture in [FIRING, RESOLVED, UNGROUPED] {
        let mut payload: Value = serde_json::from_slice(fixture).unwrap();
        payload["alerts"][0].as_object_mut().unwrap().remove("fingerprint");
        assert_eq!(read_value(&payload), read(fixture));
    }
}

#[test]
fn the_title_falls_back_to_the_name() {
    let mut payload = fixture();
    payload["alerts"][0]["annotations"] = Value::Null;
    assert_eq!(read_value(&payload).unwrap()[0].title, "High5xx");
    payload["alerts"][0]["labels"] = json!({});
    assert_eq!(read_value(&payload).unwrap()[0].title, "alert without a name");
}

#[test]
fn additions_are_ignored_and_nul_is_replaced() {
    let mut payload = fixture();
    payload["new"] = json!([1]);
    payload["alerts"][0]["new"] = json!({"a": null});
    payload["alerts"][0]["labels"]["a\0b"] = json!("c\0d");
    payload["groupKey"] = json!("g\0");
    let alert = read_value(&payload).unwrap().remove(0);
    assert_eq!(alert.labels["a\u{fffd}b"], "c\u{fffd}d");
    assert_eq!(alert.group_key, "g\u{fffd}");
}

#[test]
fn no_alerts_are_no_error() {
    assert_eq!(read_value(&json!({"version": "4", "groupKey": "g", "alerts": []})), Ok(vec![]));
}

#[test]
fn every_wrong_field_is_named() {
    for (pointer, value, message) in [
        ("/version", json!("3"), "version: only \"4\" is known, found \"3\""),
        ("/version", json!(4), "version: expected a string, found a number"),
        ("/version", Value::Null, "version: missing"),
        ("/groupKey", json!(""), "groupKey: missing"),
        ("/externalURL", json!({}), "externalURL: expected a string, found an object"),
        ("/alerts", json!({}), "alerts: expected a list, found an object"),
        ("/alerts/0", json!("x"), "alerts[0]: expected an object, found a string"),
        (
            "/alerts/0/status",
            json!("x"),
            "alerts[0].status: expected \"firing\" or \"resolved\", found \"x\"",
        ),
        ("/alerts/0/labels", Value::Null, "alerts[0].labels: missing"),
        ("/alerts/0/labels", json!([]), "alerts[0].labels: expected an object, found a list"),
        ("/alerts/0/labels/service", json!(7), "alerts[0].labels.service: expected a string, found a number"),
        (
            "/alerts/0/annotations/summary",
            json!(true),
            "alerts[0].annotations.summary: expected a string, found a boolean",
        ),
        ("/alerts/0/startsAt", Value::Null, "alerts[0].startsAt: missing"),
        ("/alerts/0/startsAt", json!("0001-01-01T00:00:00Z"), "alerts[0].startsAt: missing"),
        (
            "/alerts/0/endsAt",
            json!("yesterday"),
            "alerts[0].endsAt: expected a time like 2026-01-31T08:00:00Z, found \"yesterday\"",
        ),
        ("/alerts/0/fingerprint", json!([]), "alerts[0].fingerprint: expected a string, found a list"),
    ] {
        let mut payload = fixture();
        *payload.pointer_mut(pointer).unwrap() = value;
        let error = read_value(&payload).unwrap_err();
        assert!(matches!(error, NotAlerts::Field { .. }));
        assert_eq!(error.to_string(), message);
    }
    assert_eq!(read(b"[]").unwrap_err().to_string(), "the body: expected an object, found a list");
}

#[test]
fn what_is_no_json_is_told_apart() {
    let deep = "[".repeat(100_000);
    for body in [&b""[..], b"{", b"\xff", b"{\"version\": \"4\"} x", deep.as_bytes()] {
        assert!(matches!(read(body), Err(NotAlerts::Json(_))));
    }
}

proptest! {
    #[test]
    fn reading_never_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&body);
    }

    #[test]
    fn a_damaged_payload_never_panics(at in 0..FIRING.len(), byte in any::<u8>()) {
        let mut body = FIRING.to_vec();
        body[at] = byte;
        let _ = read(&body);
    }

    #[test]
    fn no_text_has_a_nul(name in any::<String>(), value in "[a\0]{1,4}") {
        let mut payload = fixture();
        payload["alerts"][0]["labels"][name] = json!(value);
        let alert = read_value(&payload).unwrap().remove(0);
        prop_assert!(!serde_json::to_string(&alert).unwrap().contains("\\u0000"));
    }
}
