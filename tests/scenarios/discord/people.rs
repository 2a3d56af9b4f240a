//! Who may act, what everybody else is told, and old buttons.

use lastgood_tests::standin::discord::Saw;

use super::world::{ROOM, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_may_not_act_is_told_what_is_needed_and_only_they_see_it() {
    let world = World::small("").await;
    let (pending, outsider) = (world.discord.pending("paul"), world.discord.outsider("olga"));
    world.discord.role("sre-oncall", &[&world.ana, &world.ben, &pending, &outsider]);
    world.breaks().await;
    let root = world.discord.offers("Roll back to v2.4.0").await;
    let told = world.discord.press(&world.eve, &root, "Roll back to v2.4.0").await.private();
    assert!(told.contains("only an approver of checkout may do that"), "{told}");
    assert!(told.contains("Needed: an approver of checkout: @sre-oncall"), "{told}");
    let told = world.discord.press(&pending, &root, "Roll back to v2.4.0").await.private();
    assert!(told.contains("guests"), "{told}");
    let told = world.discord.press(&outsider, &root, "Roll back to v2.4.0").await.private();
    assert!(told.contains("people of another organisation can't"), "{told}");
    let told = world.discord.slash(&pending, ROOM, "rollback status", &[]).await.private();
    assert!(told.contains("only full members"), "{told}");
    assert_eq!(world.discord.now(&root).revisions.len(), root.revisions.len(), "nothing changed");
    assert_eq!(world.discord.press(&world.ben, &root, "Roll back to v2.4.0").await, Saw::Change);
    world.run_ends(1, "recovered").await;
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_roles_of_one_name_approve_nothing() {
    let world = World::small("").await;
    world.breaks().await;
    let root = world.discord.offers("Roll back to v2.4.0").await;
    world.discord.another_role("sre-oncall");
    let told = world.discord.press(&world.ana, &root, "Roll back to v2.4.0").await.private();
    assert!(told.contains("several roles are called @sre-oncall"), "{told}");
    let reject = world.discord.press(&world.ana, &root, "Reject").await.form();
    let told = world.discord.submit(&world.ana, &reject, &[]).await.private();
    assert!(told.contains("only an approver"), "{told}");
    assert!(world.discord.now(&root).has_button("Roll back to v2.4.0"), "still open");
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_loses_its_buttons_and_an_old_one_is_answered_also_after_a_restart() {
    let world = World::small("").await;
    world.breaks().await;
    let old = world.discord.offers("Roll back to v2.4.0").await;
    let modal = world.discord.press(&world.ana, &old, "Reject").await.form();
    assert_eq!(modal.data["title"], "Reject the rollback");
    let filled = [("reason", "the shop is closed *today* @everyone <@&1>")];
    assert_eq!(world.discord.submit(&world.ana, &modal, &filled).await, Saw::Change);
    world.run_ends(1, "rejected").await;
    let now = world.discord.now(&old);
    assert!(!now.has_button("Roll back to v2.4.0") && !now.has_button("Reject"), "{}", now.text());
    assert!(world.discord.reads("the shop is closed *today* @everyone").await.says("<@&1>"));

    let world = world.restart().await;
    let told = world.discord.press(&world.ben, &old, "Roll back to v2.4.0").await.private();
    assert!(told.contains("rejected by ana"), "{told}");
    let told = world.discord.submit(&world.ana, &modal, &filled).await.private();
    assert!(told.contains("rejected by ana"), "{told}");
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_people_have_to_agree_and_not_the_one_who_asked() {
    let world = World::small("approvals = 2\nrequester_may_approve = false").await;
    let carl = world.discord.person("carl");
    world.discord.role("sre-oncall", &[&world.ana, &world.ben, &carl]);
    world.broken().await;
    let asked = [("service", "checkout"), ("version", "v2.4.0"), ("reason", "carts are empty")];
    let told = world.discord.slash(&world.ana, ROOM, "rollback propose", &asked).await.private();
    assert!(told.contains("RB-1"), "{told}");
    let root = world.discord.offers("Roll back to v2.4.0").await;
    let told = world.discord.press(&world.ana, &root, "Roll back to v2.4.0").await.private();
    assert!(told.contains("asked for"), "{told}");
    assert_eq!(world.discord.press(&world.ben, &root, "Roll back to v2.4.0").await, Saw::Change);
    world.discord.reads("approved, 1 of 2").await;
    assert_eq!(world.discord.press(&carl, &root, "Roll back to v2.4.0").await, Saw::Change);
    world.run_ends(1, "recovered").await;
    world.ends().await;
}
