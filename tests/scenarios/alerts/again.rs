//! An alert that fires on after its run's end.

use lastgood::engine::{acts::Act, alerts::Taken};
use lastgood_core::rollback::{End, Event, Phase, Surveyed};
use lastgood_tests::database::both;

use super::place::{HOUR, MINUTE, Place};

/// How the first run comes to its end.
#[derive(Debug, Clone, Copy)]
enum Way {
    Stopped,
    HandedOver,
}

async fn ends(place: &Place, way: Way) {
    match way {
        Way::Stopped => place.acts(1, &Act::Stop).await,
        Way::HandedOver => {
            let found = Surveyed::RouterUnreadable { detail: "gone".into() };
            place.takes(1, Event::Surveyed { found }).await;
            place.acts(1, &Act::HandOver).await;
        }
    }
    assert!(!place.run(1).await.active(), "{way:?}: {:?}", place.run(1).await.phase);
}

#[tokio::test]
async fn a_firing_alert_that_is_told_again_long_after_its_runs_end_opens_a_linked_run() {
    for kind in both() {
        for way in [Way::Stopped, Way::HandedOver] {
            let place = Place::new(kind, &["checkout"], "").await;
            assert_eq!(place.told("errors", true).await, Taken::Opened);
            place.told("latency", true).await;
            ends(&place, way).await;
            place.later(30 * MINUTE);
            assert_eq!(
                place.told("errors", true).await,
                Taken::Repeated,
                "{way:?}: it is left alone at first"
            );
            place.later(1);
            assert_eq!(place.told("errors", true).await, Taken::Opened, "{way:?}: it fires on");
            let (first, second) = (place.run(1).await, place.run(2).await);
            assert_eq!((second.parent, second.thread), (Some(first.id), first.thread), "{way:?}");
            assert!(second.alert_firing());
            // The other one is a repetition of what is under way now.
            assert_eq!(place.told("latency", true).await, Taken::Repeated, "{way:?}");
            assert_eq!(place.told("errors", true).await, Taken::Repeated, "{way:?}");
            assert_eq!(place.count("SELECT COUNT(*) FROM threads").await, 1);
            assert_eq!(place.count("SELECT alerts FROM threads").await, 6);
        }
    }
}

#[tokio::test]
async fn who_rejected_is_reminded_and_not_overruled() {
    for kind in both() {
        let place = Place::new(kind, &["checkout"], "").await;
        place.told("errors", true).await;
        place.surveyed(1, "bad").await;
        place.acts(1, &Act::Reject { reason: Some("known, and harmless".into()) }).await;
        let mut reminded = Vec::new();
        for _ in 0..9 {
            place.later(10 * MINUTE);
            assert_eq!(place.told("errors", true).await, Taken::Repeated);
            reminded.push(place.events("alert_repeated").await);
        }
        assert_eq!(reminded, [0, 0, 0, 1, 1, 1, 1, 2, 2], "after 40 and 80 minutes");
        assert!(matches!(place.run(1).await.phase, Phase::Ended { end: End::Rejected { .. } }));
        assert_eq!(place.count("SELECT COUNT(*) FROM rollbacks").await, 1);
        // Another alert is another matter.
        assert_eq!(place.told("latency", true).await, Taken::Opened);
    }
}

#[tokio::test]
async fn what_fires_on_joins_what_is_under_way_elsewhere() {
    for kind in both() {
        let place = Place::new(kind, &["checkout"], "again_after = '10m'").await;
        place.told("errors", true).await;
        ends(&place, Way::Stopped).await;
        place.later(2 * HOUR);
        assert_eq!(place.told("latency", true).await, Taken::Opened);
        assert_eq!(place.run(2).await.parent, None, "a thread of its own");
        assert_eq!(place.told("errors", true).await, Taken::Joined);
        assert_eq!(place.told("errors", true).await, Taken::Repeated);
        place.acts(2, &Act::Stop).await;
        place.later(11 * MINUTE);
        // It belongs to the second thread now.
        assert_eq!(place.told("errors", true).await, Taken::Opened);
        let third = place.run(3).await;
        assert_eq!((third.parent.map(|id| id.0), third.thread.0), (Some(2), 2));
        assert_eq!(third.alert.map(|alert| alert.title), Some("errors".into()));
    }
}
