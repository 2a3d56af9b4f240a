//! What is shifted without a click, and what is not.

use lastgood::engine::{
    acts::{Act, Delivery},
    alerts::Taken,
    propose::Ask,
};
use lastgood_core::{
    Actor, RollbackId,
    rollback::{Approval, Event, Phase, Standing, Surveyed},
};
use lastgood_tests::database::both;
use tokio::task::JoinSet;

use super::place::{MINUTE, Place, alert, ana};

const AUTOMATIC: &str = "approval = 'none'";

#[tokio::test]
async fn only_a_webhook_or_an_approver_moves_traffic_without_a_click() {
    for kind in both() {
        let place = Place::new(kind, &["checkout"], AUTOMATIC).await;
        let ask = Ask {
            service: "checkout".into(),
            by: Actor::new("slack:UEVE", "eve"),
            wanted: None,
            reason: None,
        };
        let approver = Standing { approver: true, ..Standing::default() };
        for (number, standing, approval) in
            [(1, Standing::default(), Approval::Required), (2, approver, Approval::None)]
        {
            let id = place.engine.propose_at(&ask, &standing, None, None).await.unwrap();
            assert_eq!(id, RollbackId(number));
            let run = place.run(number).await;
            assert_eq!(run.policy.approval, approval, "{kind:?}");
            assert_eq!(run.policy.click_needed.is_some(), approval == Approval::Required);
            place.acts(number, &Act::Stop).await;
            place.later(40 * MINUTE); // no longer the same thread
        }
        place.told("errors", true).await;
        place.surveyed(3, "bad").await;
        assert!(matches!(place.run(3).await.phase, Phase::Deciding));
    }
}

#[tokio::test]
async fn no_more_services_than_allowed_are_moved_without_a_click_at_once() {
    for kind in both() {
        let names = ["a", "b", "c", "d", "e", "f"];
        let place = Place::new(kind, &names, AUTOMATIC).await;
        let mut told = JoinSet::new();
        for name in names {
            let engine = place.engine.clone();
            told.spawn(async move { engine.alert(&alert(name, "errors", true)).await.unwrap() });
        }
        assert!(told.join_all().await.iter().all(|taken| *taken == Taken::Opened));
        let mut automatic = Vec::new();
        for number in 1..=6 {
            let run = place.run(number).await;
            if run.policy.approval == Approval::None {
                automatic.push(number);
            } else {
                let why = run.policy.click_needed.expect("a reason");
                assert!(why.contains("no more than 2 services") && why.contains("(RB-"), "{why}");
            }
        }
        assert_eq!(automatic, [1, 2], "{kind:?}");
        // One of them ends, another one is in people's hands: there is room for two more.
        place.acts(1, &Act::Stop).await;
        place.surveyed(2, "bad").await;
        place.moves(2).await;
        place.acts(3, &Act::Stop).await;
        place.later(40 * MINUTE);
        let third = place.run(3).await.service;
        assert_eq!(place.engine.alert(&alert(&third.0, "more", true)).await.unwrap(), Taken::Opened);
        assert_eq!(place.run(7).await.policy.approval, Approval::None, "one is moving, one is allowed");
        place.acts(4, &Act::Stop).await;
        let fourth = place.run(4).await.service;
        place.later(40 * MINUTE);
        place.engine.alert(&alert(&fourth.0, "more", true)).await.unwrap();
        assert_eq!(place.run(8).await.policy.approval, Approval::Required);
    }
}

#[tokio::test]
async fn what_is_looked_at_again_while_paused_waits_for_a_click() {
    for kind in both() {
        let place = Place::new(kind, &["checkout"], AUTOMATIC).await;
        place.told("errors", true).await;
        let found = Surveyed::RouterUnreadable { detail: "gone".into() };
        place.takes(1, Event::Surveyed { found }).await;
        assert!(matches!(place.run(1).await.phase, Phase::Escalated { .. }));
        let paused = place.engine.pause(Some(&"checkout".into()), "", &ana(), None).await.unwrap();
        assert_eq!(paused.waiting, [(RollbackId(1), "checkout".into())]);
        place.acts(1, &Act::Retry).await;
        place.surveyed(1, "bad").await;
        assert!(matches!(place.run(1).await.phase, Phase::Proposed { .. }), "{kind:?}");
    }
}

#[tokio::test]
async fn a_pause_holds_what_has_not_begun_to_move_and_everything_after() {
    for kind in both() {
        let place = Place::new(kind, &["checkout", "payments", "search"], AUTOMATIC).await;
        for service in ["checkout", "payments"] {
            place.engine.alert(&alert(service, "errors", true)).await.unwrap();
        }
        place.surveyed(1, "bad").await;
        place.surveyed(2, "bad").await;
        place.moves(2).await;
        let delivery = Delivery { source: "test".into(), id: "pause".into() };
        let paused = place.engine.pause(None, "the network flaps", &ana(), Some(&delivery)).await.unwrap();
        assert_eq!(paused.waiting, [(RollbackId(1), "checkout".into())]);
        assert_eq!(paused.moving, [(RollbackId(2), "payments".into())]);
        let run = place.run(1).await;
        assert!(matches!(run.phase, Phase::Surveying), "it was decided, and looks again: {:?}", run.phase);
        place.surveyed(1, "bad").await;
        assert!(matches!(place.run(1).await.phase, Phase::Proposed { .. }), "it waits for a click");
        assert!(matches!(place.run(2).await.phase, Phase::Shifting { .. }), "it is not left half way");

        place.engine.alert(&alert("search", "errors", true)).await.unwrap();
        let why = place.run(3).await.policy.click_needed.expect("a reason");
        assert!(why.contains("paused for all services by ana since 2027-01-15T08:00:00Z: the network flaps"));
        place.surveyed(3, "bad").await;
        assert!(matches!(place.run(3).await.phase, Phase::Proposed { .. }));
        assert_eq!(
            place.audited("pause").await,
            [("os:ana".into(), String::new(), "the network flaps".into())]
        );

        // It outlives the process, a service's own pause is another one, and so is its end.
        let store = lastgood::store::Store::open(&place.database.url, None).await.unwrap();
        assert_eq!(lastgood::store::pauses::in_force(store.reader()).await.unwrap().len(), 1);
        store.close().await;
        let search = "search".into();
        place.engine.pause(Some(&search), "", &ana(), None).await.unwrap();
        assert!(place.engine.unpause(None, &ana(), None).await.unwrap().is_some());
        assert!(place.engine.unpause(None, &ana(), None).await.unwrap().is_none(), "there is none to end");
        assert_eq!(place.run(3).await.policy.approval, Approval::Required, "freedom does not come back");
        for number in [1, 3] {
            place.acts(number, &Act::Stop).await;
        }
        place.later(40 * MINUTE);
        for (service, number, approval) in
            [("search", 4, Approval::Required), ("checkout", 5, Approval::None)]
        {
            place.engine.alert(&alert(service, "later", true)).await.unwrap();
            assert_eq!(place.run(number).await.policy.approval, approval, "{service}");
        }
        assert_eq!(place.audited("resume").await.len(), 2);
    }
}
