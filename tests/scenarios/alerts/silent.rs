//! Alerts that nobody ends, and those that are to be ignored.

use lastgood::{
    engine::{acts::Act, alerts::Taken, candidates},
    store::{
        self,
        alerts::Condition::{self, Firing, Ignored, Silent},
    },
};
use lastgood_tests::database::both;

use super::place::{HOUR, MINUTE, NOW, Place, alert, ana};

/// For how long each release was live and quiet, the newest first.
async fn soaked(place: &Place) -> Vec<i64> {
    let db = place.engine.store.reader();
    let service = place.engine.service("checkout").unwrap();
    let (known, _) =
        candidates::history(db, &service.id, place.now(), 10, service.alert_expires).await.unwrap();
    known.into_iter().map(|known| known.soaked).collect()
}

async fn listed(place: &Place) -> Vec<(String, Condition, i64)> {
    let service = place.engine.service("checkout").unwrap();
    let (db, now) = (place.engine.store.reader(), place.now());
    let before = now - service.alert_expires;
    let all = store::alerts::listed(db, &service.id, before, now - 7 * 24 * HOUR, 50).await.unwrap();
    all.into_iter().map(|alert| (alert.title, alert.condition, alert.count)).collect()
}

#[tokio::test]
async fn an_alert_that_nobody_resolves_spoils_no_later_release() {
    for kind in both() {
        let place = Place::new(kind, &["checkout"], "").await;
        place.told("errors", true).await;
        place.acts(1, &Act::Stop).await;
        place.later(5 * MINUTE);
        place.told("errors", true).await; // for the last time
        place.records("v1").await;
        place.later(5 * HOUR);
        assert_eq!(soaked(&place).await, [0], "it may fire still");
        place.later(20 * HOUR);
        place.records("v2").await;
        place.later(HOUR);
        let day = 25 * HOUR;
        assert_eq!(soaked(&place).await, [HOUR, day], "it was over when it was told last");
        assert_eq!(listed(&place).await, [("errors".to_owned(), Silent, 2)]);
    }
}

#[tokio::test]
async fn what_is_to_be_ignored_counts_nowhere() {
    for kind in both() {
        let names = ["checkout", "a", "b", "c"];
        let place = Place::new(kind, &names, "").await;
        for service in names {
            let mut ignored = alert(service, "canary", true);
            ignored.ignore = true;
            assert_eq!(place.engine.alert(&ignored).await.unwrap(), Taken::Ignored);
        }
        assert_eq!(place.engine.alerting_together().await.unwrap(), None);
        place.records("v1").await;
        for _ in 0..3 {
            place.later(4 * HOUR);
            let mut ignored = alert("checkout", "canary", true);
            ignored.ignore = true;
            assert_eq!(place.engine.alert(&ignored).await.unwrap(), Taken::Repeated);
        }
        assert_eq!(soaked(&place).await, [12 * HOUR]);
        assert_eq!(listed(&place).await, [("canary".to_owned(), Ignored, 4)]);
        // Neither does it hold up that nothing else fires, nor is its own end the end of anything else.
        place.told("errors", true).await;
        let mut over = alert("checkout", "canary", false);
        over.ignore = true;
        place.engine.alert(&over).await.unwrap();
        assert!(place.run(1).await.alert_firing());
        over.firing = true;
        place.engine.alert(&over).await.unwrap();
        place.told("errors", false).await;
        assert!(!place.run(1).await.alert_firing());
    }
}

#[tokio::test]
async fn one_that_fell_silent_holds_up_no_other_and_begins_anew() {
    for kind in both() {
        let place = Place::new(kind, &["checkout"], "alert_expires = '1h'").await;
        place.told("silenced", true).await;
        place.acts(1, &Act::Stop).await;
        place.later(2 * HOUR);
        assert_eq!(place.told("errors", true).await, Taken::Opened);
        place.told("errors", false).await;
        assert!(!place.run(2).await.alert_firing(), "nothing fires any more, as far as anybody knows");
        place.acts(2, &Act::Stop).await;
        place.later(2 * HOUR);
        assert_eq!(place.told("silenced", true).await, Taken::Opened, "it is a new alert");
        assert_eq!(place.run(3).await.parent, None);
        place.later(2 * HOUR);
        // Its sender's own word, late.
        place.told("silenced", false).await;
        assert!(!place.run(3).await.alert_firing());
        assert_eq!(listed(&place).await, []);
    }
}

#[tokio::test]
async fn a_person_ends_what_nobody_else_does() {
    for kind in both() {
        let place = Place::new(kind, &["checkout"], "alert_expires = '1h'").await;
        let (engine, ana) = (&place.engine, ana());
        for name in ["Disk", "errors", "latency"] {
            place.told(name, true).await;
        }
        place.later(50 * MINUTE);
        place.told("errors", true).await;
        place.told("latency", true).await;
        place.later(20 * MINUTE);
        let shown = [("errors", Firing, 2), ("latency", Firing, 2), ("Disk", Silent, 1)];
        assert_eq!(listed(&place).await, shown.map(|(name, is, told)| (name.to_owned(), is, told)));

        let none = engine.end_alerts("checkout", Some("nothing"), &ana, None).await.unwrap_err().to_string();
        assert!(none.contains("no alert of checkout is called \"nothing\"") && none.contains("alert list"));
        let ended = engine.end_alerts("checkout", Some(" disk"), &ana, None).await.unwrap();
        assert_eq!(ended, ["Disk"], "by its title, however it is written");
        let ended = engine.end_alerts("checkout", Some("fingerprint of errors"), &ana, None).await.unwrap();
        assert_eq!(ended, ["errors"]);
        assert!(place.run(1).await.alert_firing(), "one is left");
        let delivery = lastgood::engine::acts::Delivery { source: "test".into(), id: "1".into() };
        for _ in 0..2 {
            let ended = engine.end_alerts("checkout", None, &ana, Some(&delivery)).await.unwrap();
            assert_eq!(ended, ["latency"], "the same delivery is answered the same");
        }
        assert!(!place.run(1).await.alert_firing());
        let audited = place.audited("end alert").await;
        assert_eq!((audited.len(), audited[0].0.as_str()), (3, "os:ana"), "{audited:?}");
        assert_eq!(audited[0].2, "1: Disk");
        assert!(engine.end_alerts("checkout", None, &ana, None).await.is_err(), "none is left");
        // What is told after that is news.
        place.acts(1, &Act::Stop).await;
        assert_eq!(place.told("latency", true).await, Taken::Opened);
        assert!(NOW < place.now());
    }
}
