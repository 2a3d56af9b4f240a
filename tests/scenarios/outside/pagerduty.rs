//! PagerDuty's stand-in, in all its moods.

use std::time::Duration;

use lastgood_adapters::{
    Fault,
    pager::{Call, Pager as _, pagerduty, tag_in},
};
use lastgood_tests::standin::pagerduty::{PagerDuty, Setup, Status, Trouble};
use serde_json::json;

use super::{Stage, kind, only, without};

const KEY: &str = "R0UT1NGKEY0000000000000000000000";

fn adapter(stage: &Stage, url: &str, key: &str) -> pagerduty::PagerDuty {
    let config = json!({ "routing_key": stage.secret("key", key), "url": url, "timeout": "1s" });
    serde_json::from_value::<pagerduty::Config>(config).unwrap().build(stage.http.clone()).unwrap()
}

const TOKEN: &str = "y_NbAkKc66ryYTWUXYEu";

/// As `adapter`, with a key of the REST API.
fn asking(stage: &Stage, standin: &PagerDuty, token: &str) -> pagerduty::PagerDuty {
    let (url, key) = (standin.url(), stage.secret("key", KEY));
    let config =
        json!({ "routing_key": key, "url": url, "api_url": url, "api_token": stage.secret("token", token) });
    serde_json::from_value::<pagerduty::Config>(config).unwrap().build(stage.http.clone()).unwrap()
}

fn call(key: &str) -> Call {
    Call {
        key: key.to_owned(),
        tag: "lg-7f3k9q2x4mhd".to_owned(),
        summary: "checkout (production): v2.4.0 is live again, but it did not recover".to_owned(),
        source: "checkout (production)".to_owned(),
        component: "checkout".to_owned(),
        link: Some("https://chat.example.com/thread/1".to_owned()),
        details: vec![
            ("tried".to_owned(), "v2.4.0".to_owned()),
            ("error rate".to_owned(), "12 %".to_owned()),
        ],
    }
}

#[tokio::test]
async fn the_same_key_rings_once_until_it_is_resolved() {
    let (stage, standin) = (Stage::new(), PagerDuty::start(&[KEY]).await);
    let pager = adapter(&stage, &standin.url(), KEY);
    pager.page(&call("RB-42/1")).await.unwrap();
    pager.page(&call("RB-42/1")).await.unwrap();
    assert_eq!(standin.pages().len(), 1);
    pager.page(&call("RB-42/2")).await.unwrap();
    assert_eq!(standin.open().len(), 2);

    pager.resolve("RB-42/1").await.unwrap();
    pager.resolve("RB-42/1").await.unwrap();
    pager.resolve("never sent").await.unwrap();
    assert_eq!(standin.open().len(), 1);
    pager.page(&call("RB-42/1")).await.unwrap();
    assert_eq!(standin.pages().len(), 3, "a relapse rings again");

    let event = &standin.pages()[0].event;
    assert_eq!(event["payload"]["severity"], "critical");
    assert_eq!(event["payload"]["custom_details"]["error rate"], "12 %");
    assert_eq!(event["links"][0]["href"], "https://chat.example.com/thread/1");
    assert_eq!(event["client"], "lastgood");
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_sending_again_rings_nobody_twice() {
    let (stage, standin) = (Stage::new(), PagerDuty::start(&[KEY]).await);
    let pager = adapter(&stage, &standin.url(), KEY);
    for trouble in [Trouble::Dropped, Trouble::Slow(Duration::from_secs(3))] {
        standin.next(1, trouble);
        let fault = pager.page(&call("RB-1/1")).await.unwrap_err();
        assert_eq!(kind(&fault), "unknown", "{fault}");
        without(KEY, fault);
    }
    pager.page(&call("RB-1/1")).await.unwrap();
    let pages = standin.pages();
    assert_eq!((pages.len(), pages[0].triggers), (1, 3));
}

#[tokio::test]
async fn every_refusal_is_told_apart_and_none_repeats_the_key() {
    let (stage, standin) = (Stage::new(), PagerDuty::start(&[KEY]).await);
    let pager = adapter(&stage, &standin.url(), KEY);
    standin.next(1, Trouble::RateLimited(Some(30)));
    standin.next(1, Trouble::RateLimited(None));
    for wanted in [Some(Duration::from_secs(30)), None] {
        let fault = pager.page(&call("RB-1/1")).await.unwrap_err();
        assert!(matches!(&fault, Fault::RateLimited { after, .. } if *after == wanted), "{fault:?}");
    }
    for (trouble, wanted) in [
        (Trouble::Broken(502), "unavailable"),
        (Trouble::Broken(403), "denied"),
        (Trouble::Broken(404), "invalid"),
        (Trouble::Broken(200), "invalid"),
        (Trouble::Impostor, "unknown"),
    ] {
        standin.next(1, trouble);
        let fault = pager.page(&call("RB-1/1")).await.unwrap_err();
        assert_eq!(kind(&fault), wanted, "{fault}");
        without(KEY, fault);
    }
    assert!(standin.events().is_empty());

    let other = "0THERKEY000000000000000000000000";
    let stranger = adapter(&stage, &standin.url(), other);
    let fault = stranger.page(&call("RB-1/1")).await.unwrap_err();
    assert_eq!(kind(&fault), "invalid");
    assert!(fault.to_string().contains("Invalid routing key"), "{fault}");
    without(other, (fault, &stranger, stranger.check().await));

    let port = lastgood_tests::process::free_port();
    let nobody = adapter(&stage, &format!("http://127.0.0.1:{port}"), KEY);
    let fault = nobody.page(&call("RB-1/1")).await.unwrap_err();
    assert_eq!(kind(&fault), "unavailable", "{fault}");
}

#[tokio::test]
async fn long_foreign_text_is_cut_to_what_is_taken() {
    let (stage, standin) = (Stage::new(), PagerDuty::start(&[KEY]).await);
    let pager = adapter(&stage, &standin.url(), KEY);
    let long = "ü".repeat(5_000);
    let details = (0..2_000).map(|n| (format!("{n} {long}"), long.clone())).collect();
    let call = Call {
        key: long.clone(),
        tag: "lg-7f3k9q2x4mhd".to_owned(),
        summary: long.clone(),
        source: long,
        component: String::new(),
        link: None,
        details,
    };
    pager.page(&call).await.unwrap();
    assert_eq!(standin.open()[0].key, pagerduty::dedup_key(&call.key));
    let shown = &standin.open()[0].summary;
    assert_eq!(tag_in(shown), Some("lg-7f3k9q2x4mhd"), "{shown}");
    pager.resolve(&call.key).await.unwrap();
    assert!(standin.open().is_empty());
}

#[tokio::test]
async fn a_check_proves_the_key_and_rings_nobody() {
    let (stage, standin) = (Stage::new(), PagerDuty::start(&[KEY]).await);
    let (verdict, text) = only(adapter(&stage, &standin.url(), KEY).check().await);
    assert_eq!(verdict, "good", "{text}");
    assert!(standin.pages().is_empty());

    let (verdict, text) = only(adapter(&stage, &standin.url(), "too-short").check().await);
    assert!(verdict == "bad" && text.contains("32 character"), "{text}");
    without("too-short", text);
    standin.next(1, Trouble::Broken(503));
    assert_eq!(only(adapter(&stage, &standin.url(), KEY).check().await).0, "bad");
}

#[tokio::test]
async fn whoever_comes_elsewhere_stops_the_calling() {
    let people = ["Ana", "Ben", "Cem"].map(str::to_owned).to_vec();
    let setup = Setup { people, escalates_after: Some(Duration::from_millis(200)), ..Setup::default() };
    let (stage, standin) = (Stage::new(), PagerDuty::set_up(&[KEY], setup).await);
    let pager = adapter(&stage, &standin.url(), KEY);
    pager.page(&call("RB-42/1")).await.unwrap();
    standin.until("the second one to be called", |all| all[0].called == ["Ana", "Ben"]).await;
    pager.acknowledge("RB-42/1").await.unwrap();
    pager.acknowledge("RB-42/1").await.unwrap();
    pager.acknowledge("never sent").await.unwrap();
    assert_eq!(standin.incidents()[0].status, Status::Acknowledged);
    // Called again for the same reason: a line in its log. The control shows that time enough went by.
    pager.page(&call("RB-42/1")).await.unwrap();
    pager.page(&call("RB-42/2")).await.unwrap();
    let all = standin.until("the control to call everybody", |all| all[1].called.len() == 3).await;
    assert_eq!((all.len(), all[0].called.as_slice()), (2, &["Ana".to_owned(), "Ben".to_owned()][..]));
    pager.resolve("RB-42/1").await.unwrap();
    assert_eq!(standin.incidents()[0].status, Status::Resolved);
    pager.page(&call("RB-42/1")).await.unwrap();
    assert_eq!(standin.incidents().len(), 3, "after its end the same key rings again");
}

#[tokio::test]
async fn an_incidents_alerts_can_be_asked_for() {
    let setup = Setup { groups: true, token: Some(TOKEN.to_owned()), ..Setup::default() };
    let (stage, standin) = (Stage::new(), PagerDuty::set_up(&[KEY], setup).await);
    let pager = asking(&stage, &standin, TOKEN);
    for n in 0..130 {
        pager.page(&call(&format!("RB-{n}/1"))).await.unwrap();
    }
    let incidents = standin.incidents();
    assert_eq!(incidents.len(), 1, "grouped");
    let keys = pager.keys_of(&incidents[0].id).await.unwrap().unwrap();
    assert_eq!((keys.len(), keys[129].as_str()), (130, "RB-129/1"));
    assert_eq!(kind(&pager.keys_of("QNOTHING").await.unwrap_err()), "not found");
    assert_eq!(kind(&pager.keys_of("../users").await.unwrap_err()), "invalid");
    assert_eq!(adapter(&stage, &standin.url(), KEY).keys_of(&incidents[0].id).await.unwrap(), None);
    let wrong = "hunter2-wrong";
    let fault = asking(&stage, &standin, wrong).keys_of(&incidents[0].id).await.unwrap_err();
    assert_eq!(kind(&fault), "denied");
    without(wrong, fault);
}

#[tokio::test]
async fn a_check_with_a_token_demands_a_service_that_calls_for_every_page() {
    let two = ["Ana", "Ben"].map(str::to_owned).to_vec();
    let setup = Setup { token: Some(TOKEN.to_owned()), people: two.clone(), ..Setup::default() };
    let (stage, standin) = (Stage::new(), PagerDuty::set_up(&[KEY], setup.clone()).await);
    let pager = asking(&stage, &standin, TOKEN);
    let seen = async || {
        let mut lines = pager.check().await;
        assert_eq!(only(vec![lines.remove(0)]).0, "good");
        without(TOKEN, &lines);
        only(lines)
    };
    assert_eq!(seen().await.0, "good");
    type Change = fn(&mut Setup);
    let cases: [(Change, &str, &str); 5] = [
        (|setup| setup.groups = true, "bad", "a grouped call calls nobody"),
        (|setup| setup.status = "disabled".into(), "bad", "nobody is called"),
        (|setup| setup.status = "maintenance".into(), "warning", "maintenance window"),
        (|setup| setup.others = 2, "warning", "a service of its own"),
        (|setup| setup.people.truncate(1), "warning", "has one level"),
    ];
    for (change, verdict, text) in cases {
        standin.change(|now| *now = setup.clone());
        standin.change(change);
        let (is, said) = seen().await;
        assert!(is == verdict && said.contains(text), "{said}");
    }
    standin.change(|now| *now = Setup { token: Some("another".into()), ..setup.clone() });
    let (is, said) = seen().await;
    assert!(is == "bad" && said.contains("api_token"), "{said}");
    assert!(standin.incidents().is_empty());
}
