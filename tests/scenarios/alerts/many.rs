//! Thousands of alerts of one service, sent together.

use std::time::Instant;

use lastgood::engine::alerts::{Alert, Taken};
use lastgood_core::rollback::Event;
use lastgood_tests::database::both;

use super::place::{Place, alert};

const MANY: usize = 6_000;
/// The first, which may open a run, and what follows it in batches of 200.
const TRANSACTIONS: i64 = 1 + (MANY - 1).div_ceil(200) as i64;

#[tokio::test]
async fn thousands_of_alerts_are_one_run_and_few_events() {
    for kind in both() {
        let place = Place::new(kind, &["checkout"], "").await;
        let mut all: Vec<Alert> =
            (0..MANY).map(|n| alert("checkout", &format!("pod {n} is down"), true)).collect();
        let began = Instant::now();
        let taken = place.engine.alerts(&"checkout".into(), &all.iter().collect::<Vec<_>>()).await.unwrap();
        println!("{kind:?}: {MANY} alerts were taken in {:?}", began.elapsed());
        assert_eq!((taken.len(), taken[0]), (MANY, Taken::Opened), "each has its answer, in the order sent");
        assert!(taken[1..].iter().all(|taken| *taken == Taken::Joined));
        assert_eq!(place.count("SELECT alerts FROM threads").await, i64::try_from(MANY).unwrap());
        assert_eq!(place.count("SELECT COUNT(*) FROM rollbacks").await, 1);
        assert_eq!(
            place.events("alert_fired").await,
            TRANSACTIONS - 1,
            "one for each transaction that joins"
        );
        let mut joined = 0;
        let events =
            lastgood::store::rollbacks::events(place.engine.store.reader(), lastgood_core::RollbackId(1), 0);
        for committed in events.await.unwrap() {
            if let Event::AlertFired { more, .. } = committed.event {
                joined += 1 + usize::try_from(more).unwrap();
            }
        }
        assert_eq!(joined, MANY - 1, "none is left out of the count");

        let redrawn = "SELECT revision FROM progress WHERE rollback = 1";
        let began = Instant::now();
        let taken = place.engine.alerts(&"checkout".into(), &all.iter().collect::<Vec<_>>()).await.unwrap();
        println!("{kind:?}: {MANY} repetitions were taken in {:?}", began.elapsed());
        assert!(taken.iter().all(|taken| *taken == Taken::Repeated));
        assert_eq!(place.count(redrawn).await, TRANSACTIONS, "one card for each transaction");

        all.iter_mut().for_each(|alert| alert.firing = false);
        let began = Instant::now();
        place.engine.alerts(&"checkout".into(), &all.iter().collect::<Vec<_>>()).await.unwrap();
        println!("{kind:?}: {MANY} ends were taken in {:?}", began.elapsed());
        assert_eq!(place.events("alert_resolved").await, 1, "when the last one was over");
        assert!(!place.run(1).await.alert_firing());
    }
}

#[tokio::test]
async fn what_ends_while_something_else_begins_ends_nothing() {
    for kind in both() {
        let place = Place::new(kind, &["checkout"], "").await;
        place.told("errors", true).await;
        let (over, begins) = (alert("checkout", "errors", false), alert("checkout", "latency", true));
        let taken = place.engine.alerts(&"checkout".into(), &[&over, &begins]).await.unwrap();
        assert_eq!(taken, [Taken::Resolved, Taken::Joined]);
        assert!(place.run(1).await.alert_firing());
        assert_eq!(place.events("alert_resolved").await, 0);
    }
}
