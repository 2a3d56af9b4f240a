//! An incident of several runs that turns out not to have been the release.

use lastgood::{engine::acts::Act, store};
use lastgood_core::{IncidentId, incident::Closing, inventory::gate, rollback::Event};
use lastgood_tests::{database::both, shop::artifact};

use super::place::{Place, alert, ana, to};

#[tokio::test]
async fn every_release_that_a_run_of_the_incident_blamed_is_acquitted() {
    for kind in both() {
        let place = Place::new(kind, &["checkout"], "").await;
        let blamed = ["first", "second", "third"];
        for version in blamed {
            place.records(version).await;
        }
        place.engine.alert(&alert("checkout", "errors", true)).await.unwrap();
        for (number, version) in (1..).zip(blamed) {
            place.surveyed(number, version).await;
            place.acts(number, &Act::Approve { confirmed: false, reason: None }).await;
            place.moves(number).await;
            place.acts(number, &Act::Stop).await;
            let shares = Some(to("blue"));
            place.takes(number, Event::TrafficRead { shares, detail: String::new() }).await;
            place.acts(number, if number < 3 { &Act::Next } else { &Act::HandOver }).await;
        }
        let allowed = async |version: &str| {
            let answer = place.engine.gate("checkout", &artifact(version).digest).await.unwrap();
            matches!(answer, gate::Answer::Allowed { .. })
        };
        for version in blamed {
            assert!(!allowed(version).await, "{kind:?}: {version} is marked");
        }
        let closing = Closing { root_cause: "the certificate had expired".into(), not_the_release: true };
        place.engine.close_incident(IncidentId(1), &closing, &ana(), None).await.unwrap();
        for version in blamed {
            assert!(allowed(version).await, "{kind:?}: {version} was innocent");
        }
        let db = place.engine.store.reader();
        assert_eq!(store::rollbacks::blamed(db, &"checkout".into(), 10).await.unwrap(), []);
    }
}
