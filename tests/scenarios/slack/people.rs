//! Who may act, what everybody else is told, and old buttons.

use lastgood::{delivery::Chats, desk::Desk};
use lastgood_adapters::chat::{Answer, Inbox as _, Incoming, What};
use lastgood_core::Actor;
use lastgood_tests::standin::slack::{Saw, Who};

use super::world::{ROOM, World, snapshot};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_may_not_act_is_told_what_is_needed_and_only_they_see_it() {
    let world = World::small("").await;
    let (guest, stranger) = (world.slack.guest("gus"), world.slack.stranger("sam"));
    world.slack.group("@sre-oncall", &[&world.ana, &world.ben, &guest, &stranger]);
    world.breaks().await;
    let root = world.slack.offers("Roll back to v2.4.0").await;

    let told = world.slack.press(&world.eve, &root, "Roll back to v2.4.0").await.private();
    assert!(told.contains("only an approver of checkout may do that"), "{told}");
    assert!(told.contains("Needed: an approver of checkout: @sre-oncall"), "{told}");
    let told = world.slack.press(&guest, &root, "Roll back to v2.4.0").await.private();
    assert!(told.contains("guests of the workspace can't act on checkout"), "{told}");
    let told = world.slack.press(&stranger, &root, "Roll back to v2.4.0").await.private();
    assert!(told.contains("people of another organisation can't"), "{told}");
    for typed in ["/rollback mark checkout v2.4.0 unstable revenge", "/rollback status", "/incident list"] {
        let told = world.slack.slash(&guest, ROOM, typed).await.private();
        assert!(told.contains("only full members of the workspace"), "{typed}: {told}");
    }
    let page = world.slack.home(&stranger).await;
    assert!(page.contains("only full members"), "{page}");
    assert_eq!(world.slack.now(&root).revisions.len(), root.revisions.len(), "nothing changed");
    let sql = "SELECT COUNT(*) FROM audit WHERE detail LIKE '%(refused)'";
    let db = world.bot.app.engine.store.reader();
    let refused: i64 = sqlx::query_scalar(sql).fetch_one(db).await.unwrap();
    assert_eq!(refused, 3, "who was refused is in the audit");

    assert_eq!(world.slack.press(&world.ben, &root, "Roll back to v2.4.0").await, Saw::Change);
    world.run_ends(1, "recovered").await;
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_slack_cannot_be_asked_only_those_who_are_named_for_it_may_approve() {
    // Ana's id is the first that the workspace gives out after its channels.
    let world = World::small("fallback_approvers = ['slack:UANA005']").await;
    assert_eq!(world.ana.id, "UANA005");
    world.breaks().await;
    let root = world.slack.offers("Roll back to v2.4.0").await;
    world.slack.take_scope("users:read");
    let told = world.slack.press(&world.ben, &root, "Roll back to v2.4.0").await.private();
    assert!(told.contains("could not be asked") && told.contains("users:read"), "{told}");
    assert_eq!(world.slack.press(&world.ana, &root, "Roll back to v2.4.0").await, Saw::Change);
    world.run_ends(1, "recovered").await;
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn break_glass_on_the_machine_acts_for_those_who_are_named_when_slack_is_down() {
    let world = World::small("fallback_approvers = ['slack:UANA005']").await;
    world.breaks().await;
    let root = world.slack.offers("Roll back to v2.4.0").await;
    world.caught_up().await;
    world.slack.down(true);
    // It talks to no Slack, and acts as whom [operators] says.
    let glass = |who: &Who| {
        let actor = Actor::new(format!("slack:{}", who.id), who.name.clone());
        Desk::new(world.bot.app.engine.clone(), Chats::default(), "terminal").acting_as(actor)
    };
    let revision = world.run(1).await.revision;
    let approve = |delivery: &str| Incoming {
        delivery: delivery.to_owned(),
        actor: Actor::new("os:root", "root"),
        room: String::new(),
        thread: None,
        what: What::Press { action: format!("rb1.{revision}.approve"), inputs: Default::default() },
    };
    assert!(matches!(glass(&world.ben).take(approve("1")).await, Ok(Answer::Private(_))), "in a group only");
    assert_eq!(glass(&world.ana).take(approve("2")).await, Ok(Answer::Done));
    world.slack.down(false);
    world.slack.loses(&root, "Roll back to v2.4.0").await;
    world.run_ends(1, "recovered").await;
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_loses_its_buttons_and_an_old_one_is_answered_also_after_a_restart() {
    let world = World::small("").await;
    world.breaks().await;
    let old = world.slack.offers("Roll back to v2.4.0").await;
    let modal = world.slack.press(&world.ana, &old, "Reject").await.form();
    assert_eq!(modal.view["title"]["text"], "Reject the rollback");
    let filled = [("reason", "the shop is closed *today* <!channel>")];
    assert!(world.slack.submit(&world.ana, &modal, &filled).await.acknowledged);
    world.run_ends(1, "rejected").await;
    let now = world.slack.now(&old);
    assert!(!now.has_button("Roll back to v2.4.0") && !now.has_button("Reject"), "{}", now.text());
    snapshot("rejected", &world, &old);

    let world = world.restart().await;
    // Somebody whose screen is behind: the message as it was is what they press.
    let told = world.slack.press(&world.ben, &old, "Roll back to v2.4.0").await.private();
    assert!(told.contains("rejected by ana"), "{told}");
    // The same form once more.
    let again = world.slack.submit(&world.ana, &modal, &filled).await;
    let told = world.slack.told(&world.ana, &again).await;
    assert!(told.contains("rejected by ana"), "{told}");
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_people_have_to_agree_and_not_the_one_who_asked() {
    let world = World::small("approvals = 2\nrequester_may_approve = false").await;
    let carl = world.slack.person("carl");
    world.slack.group("@sre-oncall", &[&world.ana, &world.ben, &carl]);
    world.broken().await;
    let told =
        world.slack.slash(&world.ana, ROOM, "/rollback checkout v2.4.0 carts are empty").await.private();
    assert!(told.contains("RB-1"), "{told}");
    let root = world.slack.offers("Roll back to v2.4.0").await;
    let told = world.slack.press(&world.ana, &root, "Roll back to v2.4.0").await.private();
    assert!(told.contains("asked for"), "{told}");
    assert_eq!(world.slack.press(&world.ben, &root, "Roll back to v2.4.0").await, Saw::Change);
    world.slack.reads("approved, 1 of 2").await;
    assert_eq!(world.slack.press(&carl, &root, "Roll back to v2.4.0").await, Saw::Change);
    world.run_ends(1, "recovered").await;
    world.ends().await;
}
