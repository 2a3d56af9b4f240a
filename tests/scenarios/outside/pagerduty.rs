//! PagerDuty's stand-in, in all its moods.

use std::time::Duration;

use lastgood_adapters::{
    Fault,
    pager::{Call, Pager as _, pagerduty},
};
use lastgood_tests::standin::pagerduty::{PagerDuty, Trouble};
use serde_json::json;

use super::{Stage, kind, only, without};

const KEY: &str = "R0UT1NGKEY0000000000000000000000";

fn adapter(stage: &Stage, url: &str, key: &str) -> pagerduty::PagerDuty {
    let config = json!({ "routing_key": stage.secret("key", key), "url": url, "timeout": "1s" });
    serde_json::from_value::<pagerduty::Config>(config).unwrap().build(stage.http.clone()).unwrap()
}

fn call(key: &str) -> Call {
    Call {
        key: key.to_owned(),
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
        summary: long.clone(),
        source: long,
        component: String::new(),
        link: None,
        details,
    };
    pager.page(&call).await.unwrap();
    assert_eq!(standin.open()[0].key, pagerduty::dedup_key(&call.key));
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
