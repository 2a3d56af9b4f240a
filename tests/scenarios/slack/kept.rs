//! What Slack was told is taken, and then the process ended; and pictures.

use std::time::Duration;

use lastgood_adapters::chat::{Chat as _, Kept, Outgoing};
use lastgood_core::card::{Card, Colour, Picture};
use lastgood_tests::standin::slack::Slack;
use serde_json::json;

use super::{
    load::chat,
    world::{ROOM, World},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_worked_off_by_the_next_process() {
    let world = World::small("").await;
    world.broken().await;
    // As it is committed before the acknowledgement; the process that did it is gone, and so are its 20 seconds.
    let payload = |trigger: &str, text: &str| {
        let body = json!({ "command": "/rollback", "text": text, "user_id": world.ana.id, "user_name": "ana",
            "channel_id": world.slack.id_of(ROOM), "trigger_id": trigger });
        Kept {
            delivery: trigger.to_owned(),
            body: json!({ "kind": "slash_commands", "body": body }).to_string(),
        }
    };
    let store = world.bot.app.engine.store.clone();
    let long_ago = world.bot.app.engine.now() - 60_000;
    for kept in [payload("1.1", "checkout"), Kept { delivery: "1.2".into(), body: "mutilated".into() }] {
        let mut tx = store.begin().await.unwrap();
        let put = tx.keep_delivery("slack", &kept.delivery, &kept.body, long_ago, long_ago).await;
        assert_eq!(store.end(tx, put, 1).await.unwrap(), Some(true));
    }
    world.slack.offers("Roll back to v2.4.0").await;
    lastgood_tests::process::poll_async("both to be done", Duration::from_secs(10), || async {
        let sql = "SELECT COUNT(*) FROM deliveries WHERE done = 0";
        let open: i64 = sqlx::query_scalar(sql).fetch_one(store.reader()).await.unwrap();
        (open == 0).then_some(())
    })
    .await;
    let runs = lastgood::store::rollbacks::recent(store.reader(), None, 10).await.unwrap();
    assert_eq!(runs.len(), 1);
    // Said before this run began, and worked off only now: it means another one.
    let late = payload("1.3", "stop checkout");
    let mut tx = store.begin().await.unwrap();
    let put = tx.keep_delivery("slack", &late.delivery, &late.body, long_ago, long_ago).await;
    assert_eq!(store.end(tx, put, 1).await.unwrap(), Some(true));
    let told = world.slack.whispered(&world.ana, "RB-1 began after you said this").await;
    assert!(told.contains("say it again"), "{told}");
    assert!(world.run(1).await.active());
    // Slack delivers it once more: it is known.
    let mut tx = store.begin().await.unwrap();
    let again = tx.keep_delivery("slack", "1.1", "{}", long_ago, long_ago).await;
    assert_eq!(store.end(tx, again, 1).await.unwrap(), Some(false));
    world.fills(&world.ana, "Reject", &[]).await;
    world.run_ends(1, "rejected").await;
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_worked_off_is_told_to_whoever_asked_and_in_the_thread() {
    let world = World::small("").await;
    world.broken().await;
    world.slack.slash(&world.eve, ROOM, "/rollback checkout").await.private();
    world.slack.offers("Roll back to v2.4.0").await;
    let store = world.bot.app.engine.store.clone();
    let now = world.bot.app.engine.now();
    let body = |trigger: &str| {
        let body = json!({ "command": "/rollback", "text": "stop checkout", "user_id": world.ana.id, "user_name": "ana",
            "channel_id": world.slack.id_of(ROOM), "trigger_id": trigger });
        json!({ "kind": "slash_commands", "body": body }).to_string()
    };
    // Five tries were made in vain; one of the two had been carried out, and only that it was done could not be noted.
    let mut tx = store.begin().await.unwrap();
    let put = async {
        for trigger in ["2.1", "2.2"] {
            tx.keep_delivery("slack", trigger, &body(trigger), now, now).await?;
        }
        tx.keep_inbox("slack", "2.2", "stop", "RB-9 had ended", now).await?;
        sqlx::query("UPDATE deliveries SET attempts = 5 WHERE done = 0").execute(tx.conn()).await?;
        Ok(())
    }
    .await;
    store.end(tx, put, 1).await.unwrap();
    let told = world.slack.whispered(&world.ana, "could not be carried out").await;
    assert!(told.contains("“rollback stop checkout”") && told.contains("press or say it again"), "{told}");
    let told = world.slack.whispered(&world.ana, "RB-9 had ended").await;
    assert!(!told.contains("could not be carried out"), "{told}");
    world.slack.reads("something was not carried out").await;
    // It was not done, and whoever is at it still does not do it any more.
    assert!(world.run(1).await.active());
    lastgood_tests::process::poll_async("it to be set aside", Duration::from_secs(10), || async {
        let sql = "SELECT COUNT(*) FROM deliveries WHERE done = 0";
        let open: i64 = sqlx::query_scalar(sql).fetch_one(store.reader()).await.unwrap();
        (open == 0).then_some(())
    })
    .await;
    let mut tx = store.begin().await.unwrap();
    let answer = tx.answered("slack", "2.1").await;
    let answer = store.end(tx, answer, 1).await.unwrap().unwrap();
    assert!(answer.is_some_and(|text| text.contains("gave up")));
    world.fills(&world.ana, "Reject", &[]).await;
    world.run_ends(1, "rejected").await;
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_comes_with_its_card() {
    let slack = Slack::start(&[ROOM]).await;
    let folder = tempfile::tempdir().unwrap();
    let chat = chat(&slack, folder.path(), vec![ROOM.to_owned()]);
    let picture = Picture {
        file_name: "errors.png".into(),
        media_type: "image/png".into(),
        alt: "error rate before and after".into(),
        bytes: vec![0x89, 0x50, 0x4e, 0x47],
    };
    let card = Card { picture: Some(picture.clone()), ..Card::new(Colour::Good, "recovered") };
    let message = |nonce: &str| Outgoing {
        room: ROOM.into(),
        thread: None,
        nonce: nonce.into(),
        card: card.clone(),
        broadcast: false,
        last: false,
    };
    let at = chat.post(&message("n1")).await.unwrap();
    assert_eq!(chat.find(&message("n1")).await.unwrap(), Some(at));
    assert_eq!(chat.find(&message("n2")).await.unwrap(), None);
    let root = slack.ours().remove(0);
    let shown = slack.thread(&root);
    assert_eq!(shown.len(), 2);
    assert!(shown[1].text().contains("error rate before and after"), "{}", shown[1].text());
    assert_eq!(slack.uploaded(), std::slice::from_ref(&picture.bytes));
    // Without the scope for it the words still come, once.
    slack.take_scope("files:write");
    chat.post(&message("n3")).await.unwrap();
    assert_eq!(slack.ours().len(), 3);
    assert_eq!(slack.refused(), [""; 0]);
}
