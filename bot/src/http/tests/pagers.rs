use lastgood_core::{Actor, RollbackId, rollback::Standing};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Answer, NOW, SENDER, Server, WEBHOOK, send};
use crate::{
    engine::acts::{Act, Delivery},
    store::{
        self,
        pages::{Member, Page, State},
        write,
    },
};

const RUN: RollbackId = RollbackId(1);

/// HMAC-SHA256 for keys of up to 64 bytes (RFC 2104).
fn signature(secret: &str, body: &str) -> String {
    let pad = |with: u8| {
        let mut block = [with; 64];
        block.iter_mut().zip(secret.bytes()).for_each(|(to, byte)| *to ^= byte);
        block
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(body).finalize();
    let outer = Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize();
    let hex: String = outer.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("v1={hex}")
}

async fn deliver(server: &Server, pager: &str, secret: &str, body: &Value) -> Answer {
    let text = body.to_string();
    let request = server.request("POST", &format!("/v1/pagers/{pager}/webhook"));
    send(request.header("X-PagerDuty-Signature", signature(secret, &text)).body(text)).await
}

fn event(id: &str, kind: &str, key: &str) -> Value {
    json!({ "event": {
        "id": id, "event_type": kind,
        "agent": { "id": "PLH1HKV", "summary": "Ana", "type": "user_reference" },
        "data": { "incident_key": key },
    }})
}

/// A server with a rollback whose page rings, and the page's key.
async fn ringing() -> (Server, String) {
    let server = Server::start().await;
    let alert = json!({ "version": "4", "groupKey": "g", "alerts": [{
        "status": "firing", "labels": { "service": "checkout" }, "startsAt": "2027-01-15T07:59:00Z",
    }]});
    assert_eq!(server.post("/v1/alerts/alertmanager", SENDER, alert.to_string()).await.status, 202);
    let by = Actor::new("os:ana", "ana");
    let delivery = Delivery { source: "test".into(), id: "1".into() };
    let asked =
        server.app.engine.act(RUN, 0, &Act::PageCommander, &by, &Standing::default(), &delivery).await;
    assert_eq!(asked.unwrap(), Ok(()));
    let state = state(&server).await;
    let call = state.ringing().unwrap().escalation;
    (server, format!("lastgood/checkout/RB-1/{}/{call}", state.opened_at))
}

async fn state(server: &Server) -> lastgood_core::rollback::Rollback {
    store::rollbacks::get(server.app.engine.store.reader(), RUN).await.unwrap().unwrap().state
}

#[tokio::test]
async fn who_acknowledges_in_the_pager_is_known_in_the_thread() {
    let (server, key) = ringing().await;
    let body = event("E1", "incident.acknowledged", &key);
    let answer = deliver(&server, "oncall", WEBHOOK, &body).await;
    assert_eq!((answer.status, &answer.json()["note"]), (200, &"acknowledged".into()));
    let by = state(&server).await.pages.last().unwrap().acknowledged.clone().unwrap();
    assert_eq!((by.id.as_str(), by.name.as_str()), ("pagerduty:PLH1HKV", "Ana"));
    let again = deliver(&server, "oncall", WEBHOOK, &body).await;
    assert_eq!((again.status, &again.json()["note"]), (200, &"that page does not ring any more".into()));
}

#[tokio::test]
async fn nothing_else_is_acted_on() {
    let (server, key) = ringing().await;
    let other_installation = key.replace("/RB-1/1", "/RB-1/2");
    for (kind, key, note) in [
        ("incident.resolved", key.as_str(), "changes nothing"),
        ("incident.triggered", &key, "nothing to do"),
        ("incident.acknowledged", "nagios/host", "not a page of lastgood"),
        ("incident.acknowledged", &other_installation, "another lastgood"),
        ("incident.acknowledged", &format!("{key}9"), "does not ring"),
    ] {
        let answer = deliver(&server, "oncall", WEBHOOK, &event("E2", kind, key)).await;
        assert_eq!(answer.status, 200, "{key}");
        let said = answer.json()["note"].as_str().unwrap().to_owned();
        assert!(said.contains(note), "{said}");
    }
    assert!(state(&server).await.ringing().is_some());
}

#[tokio::test]
async fn a_delivery_that_is_not_signed_is_not_believed() {
    let (server, key) = ringing().await;
    let body = event("E1", "incident.acknowledged", &key);
    deliver(&server, "oncall", "hunter2-wrong", &body).await.refused(401, "fits");
    let unsigned = server.request("POST", "/v1/pagers/oncall/webhook").body(body.to_string());
    send(unsigned).await.refused(401, "no v1 signature");
    deliver(&server, "silent", WEBHOOK, &body).await.refused(401, "pagers.silent.webhook_secret");
    deliver(&server, "nobody", WEBHOOK, &body).await.refused(404, "no pager is called");
    deliver(&server, "oncall", WEBHOOK, &json!({})).await.refused(400, "not a version 3 webhook");
    let huge = server.request("POST", "/v1/pagers/oncall/webhook").body(vec![b' '; 10 * 1024 * 1024]);
    send(huge).await.refused(413, "larger than");
    assert!(state(&server).await.ringing().is_some());
    server.lose_the_store().await;
    deliver(&server, "oncall", WEBHOOK, &body).await.refused(503, "try again");
}

/// The run's page, as its effect writes it down.
async fn written_down(server: &Server, key: &str) -> Page {
    let page = Page {
        pager: "oncall".into(),
        key: key.to_owned(),
        tag: "lg-7f3k9q2x4mhd".into(),
        state: State::Open,
        rung_at: 0,
        rung_by: RUN,
    };
    let escalation = state(server).await.ringing().unwrap().first();
    let member = Member { rollback: RUN, escalation, target: 0, service: "checkout".into(), ended: false };
    write!(server.app.engine.store, |tx| {
        tx.open_page(&page, NOW).await?;
        tx.join_page(&page, &member).await
    })
    .unwrap();
    page
}

#[tokio::test]
async fn a_page_is_known_by_the_tag_in_its_title_where_there_is_no_key() {
    let (server, key) = ringing().await;
    written_down(&server, &key).await;
    let mut body = event("E1", "incident.acknowledged", "");
    body["event"]["data"] =
        json!({ "id": "Q1", "incident_key": null, "title": "checkout [lg-7f3k9q2x4mhz]" });
    let other = deliver(&server, "oncall", WEBHOOK, &body).await;
    assert_eq!(other.json()["note"], "not a page of lastgood");
    body["event"]["data"]["title"] = "[#12] checkout: it is down [lg-7f3k9q2x4mhd]".into();
    let answer = deliver(&server, "oncall", WEBHOOK, &body).await;
    assert_eq!((answer.status, &answer.json()["note"]), (200, &"acknowledged".into()));
    assert!(state(&server).await.ringing().is_none());
}

#[tokio::test]
async fn an_integration_that_acknowledges_is_no_person() {
    let (server, key) = ringing().await;
    let mut body = event("E1", "incident.acknowledged", &key);
    let integration =
        json!({ "id": "PINT", "summary": "Auto", "type": "events_api_v2_inbound_integration_reference" });
    for agent in [integration, Value::Null] {
        body["event"]["agent"] = agent;
        let answer = deliver(&server, "oncall", WEBHOOK, &body).await;
        assert!(answer.json()["note"].as_str().unwrap().contains("no person"), "{}", answer.text);
    }
    assert!(state(&server).await.ringing().is_some());
}

#[tokio::test]
async fn an_acknowledgement_of_any_call_counts_but_not_one_from_before_a_newer_reason() {
    let (server, key) = ringing().await;
    let by = Actor::new("os:ana", "ana");
    let act = async |id: &str, act: Act| {
        let delivery = Delivery { source: "test".into(), id: id.to_owned() };
        server.app.engine.act(RUN, 0, &act, &by, &Standing::default(), &delivery).await.unwrap().unwrap();
    };
    act("2", Act::Acknowledge).await;
    act("3", Act::PageCommander).await;
    assert_eq!(state(&server).await.pages.len(), 2);
    let mut body = event("E1", "incident.acknowledged", &key);
    // Kept back for a while: it is about the first call alone.
    body["event"]["occurred_at"] = "2027-01-15T07:59:59Z".into();
    let late = deliver(&server, "oncall", WEBHOOK, &body).await;
    assert_eq!(late.json()["note"], "that page does not ring any more");
    assert!(state(&server).await.ringing().is_some());
    body["event"]["id"] = "E2".into();
    body["event"]["occurred_at"] = "2027-01-15T08:00:01Z".into();
    let answer = deliver(&server, "oncall", WEBHOOK, &body).await;
    assert_eq!(answer.json()["note"], "acknowledged");
    assert!(state(&server).await.ringing().is_none());
}
