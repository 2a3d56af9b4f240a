//! Who may do what about alerts, pauses and marks, and what they are told otherwise.

use std::collections::BTreeMap;

use lastgood::{
    delivery::{Chats, Scene},
    desk::Desk,
    engine::{
        acts::{Act, Delivery},
        alerts::Taken,
    },
};
use lastgood_adapters::chat::{Answer, Inbox as _, Incoming, What};
use lastgood_core::{Actor, RollbackId, inventory::gate, rollback::Standing};
use lastgood_tests::{
    database::{Kind, both},
    shop::artifact,
};

use super::place::{Place, ana};

struct Room {
    place: Place,
    desk: Desk,
}

impl Room {
    async fn new(kind: Kind, keys: &str) -> Self {
        let place = Place::new(kind, &["checkout", "payments"], keys).await;
        let desk = Desk::new(place.engine.clone(), Chats::default(), "terminal");
        Self { place, desk }
    }

    async fn does(&self, who: &Actor, what: What) -> String {
        let delivery = format!("{}/{what:?}/{}", who.id, self.place.now());
        let room = "incidents".to_owned();
        let incoming = Incoming { delivery, actor: who.clone(), room, thread: None, what };
        match self.desk.take(incoming).await.unwrap() {
            Answer::Done => "done".to_owned(),
            Answer::Private(card) => card.plain(),
            Answer::Ask { .. } => "asks".to_owned(),
        }
    }

    async fn says(&self, who: &Actor, text: &str) -> String {
        self.does(who, What::Command { text: text.to_owned() }).await
    }

    /// As the button's form.
    async fn closes(&self, who: &Actor, was_release: &str) -> String {
        let scene = Scene::load(&self.place.engine, RollbackId(1)).await.unwrap();
        let buttons = scene.root().buttons;
        let button = buttons.iter().find(|button| button.label.starts_with("Close INC-1")).expect("it");
        let inputs = [("root_cause", "the certificate had expired"), ("was_release", was_release)]
            .map(|(key, value)| (key.to_owned(), value.to_owned()));
        let inputs: BTreeMap<_, _> = inputs.into();
        self.does(who, What::Press { action: button.action.clone(), inputs }).await
    }

    async fn allowed(&self, version: &str) -> bool {
        let answer = self.place.engine.gate("checkout", &artifact(version).digest).await.unwrap();
        matches!(answer, gate::Answer::Allowed { .. })
    }
}

fn eve() -> Actor {
    Actor::new("os:eve", "eve")
}

/// A run that moved traffic away from `bad`, ended, and eve is in command.
async fn blamed(room: &Room) {
    let place = &room.place;
    place.records("bad").await;
    place.told("errors", true).await;
    place.surveyed(1, "bad").await;
    place.acts(1, &Act::Approve { confirmed: false, reason: None }).await;
    place.moves(1).await;
    place.acts(1, &Act::Command { commander: eve() }).await;
    place.acts(1, &Act::Stop).await;
    let stopped = lastgood_core::rollback::Event::TrafficRead {
        shares: Some(super::place::to("blue")),
        detail: String::new(),
    };
    place.takes(1, stopped).await;
    let delivery = Delivery { source: "test".into(), id: "eve".into() };
    let by_eve =
        place.engine.act(RollbackId(1), 1, &Act::HandOver, &eve(), &Standing::default(), &delivery).await;
    assert_eq!(by_eve.unwrap(), Ok(()), "the commander may");
    assert!(!room.allowed("bad").await);
}

#[tokio::test]
async fn whoever_is_only_in_command_opens_no_gate() {
    for kind in both() {
        let room = Room::new(kind, "").await;
        blamed(&room).await;
        let innocent = "incident close INC-1 not-the-release the certificate had expired";
        for told in [room.says(&eve(), innocent).await, room.closes(&eve(), "no").await] {
            assert!(
                told.contains("only an approver of checkout may close INC-1 as “not the release”"),
                "{told}"
            );
            assert!(told.contains("may close it as “it was the release”"), "what they may do: {told}");
            assert!(
                told.contains("Needed: an approver of checkout") && told.contains("ana"),
                "who can: {told}"
            );
        }
        let told = room.says(&eve(), "mark checkout bad stable it was the network").await;
        assert!(told.contains("only an approver of checkout may mark its artifacts stable"), "{told}");
        assert!(!room.allowed("bad").await, "{kind:?}");
        // What they may: with the release blamed.
        assert_eq!(room.closes(&eve(), "yes").await, "done");
        assert!(!room.allowed("bad").await, "{kind:?}");
        let told = room.says(&ana(), "mark checkout bad stable it was the network").await;
        assert!(told.contains("is marked stable"), "{told}");
        assert!(room.allowed("bad").await, "{kind:?}");
    }
}

#[tokio::test]
async fn an_approver_closes_as_not_the_release_with_the_button() {
    for kind in both() {
        let room = Room::new(kind, "").await;
        blamed(&room).await;
        assert_eq!(room.closes(&ana(), "no").await, "done");
        assert!(room.allowed("bad").await, "{kind:?}");
    }
}

#[tokio::test]
async fn approvers_pause_and_resume_and_others_are_told_who_can() {
    for kind in both() {
        let room = Room::new(kind, "approval = 'none'").await;
        let told = room.says(&eve(), "pause checkout").await;
        assert!(told.contains("only an approver of checkout may pause") && told.contains("ana"), "{told}");
        let told = room.says(&eve(), "pause").await;
        assert!(told.contains("only an approver of one of the services may pause all of them"), "{told}");
        let told = room.says(&ana(), "pause chekout the network flaps").await;
        assert!(
            told.contains("did you mean checkout?") && told.contains("for all services say all"),
            "{told}"
        );
        assert_eq!(room.place.count("SELECT COUNT(*) FROM pauses").await, 0);

        room.place.told("errors", true).await;
        let told = room.says(&ana(), "pause all the network flaps").await;
        assert!(told.contains("Nothing is shifted without a click until"), "{told}");
        assert!(told.contains("RB-1 of checkout waits for a click now."), "{told}");
        let status = room.says(&eve(), "status").await;
        assert!(status.contains("Paused: nothing is shifted without a click, said ana"), "{status}");
        let told = room.says(&ana(), "resume checkout").await;
        assert!(told.contains("there is no pause to end"), "{told}");
        assert!(told.contains("All services are paused by ana still"), "{told}");
        assert!(room.says(&eve(), "resume").await.contains("only an approver of one"));
        let told = room.says(&ana(), "resume").await;
        assert!(told.contains("The pause of all services together by ana has ended."), "{told}");
        let refused = room.place.audited("pause").await;
        assert_eq!(refused.iter().filter(|(_, _, detail)| detail.ends_with("(refused)")).count(), 2);
    }
}

#[tokio::test]
async fn alerts_are_listed_for_everybody_and_ended_by_who_may() {
    for kind in both() {
        let room = Room::new(kind, "").await;
        let told = room.says(&eve(), "alerts").await;
        assert!(told.contains("No alert fires"), "{told}");
        room.place.told("5 % of requests fail", true).await;
        room.place.told("latency", true).await;
        let told = room.says(&eve(), "alerts checkout").await;
        assert!(told.contains("firing · checkout · 5 % of requests fail · since"), "{told}");
        assert!(room.says(&eve(), "alerts payments").await.contains("No alert fires"));
        let told = room.says(&eve(), "end-alert checkout latency").await;
        assert!(told.contains("only an approver of checkout or its commander may end its alerts"), "{told}");
        let told = room.says(&ana(), "end-alert checkout 5 % of requests").await;
        assert!(told.contains("no alert of checkout is called \"5 % of requests\""), "{told}");
        let told = room.says(&ana(), "end-alert checkout 5 % of requests fail").await;
        assert!(told.contains("5 % of requests fail of checkout counts as over."), "{told}");
        assert!(room.place.run(1).await.alert_firing(), "one is left");
        // Whoever is in command of its run may, too.
        room.place.acts(1, &Act::Command { commander: eve() }).await;
        let told = room.says(&eve(), "end-alert checkout all").await;
        assert!(told.contains("latency of checkout counts as over."), "{told}");
        assert!(!room.place.run(1).await.alert_firing());
        assert_eq!(room.place.told("latency", true).await, Taken::Joined, "told once more, it is a new one");
    }
}
