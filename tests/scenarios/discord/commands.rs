//! What is filled in: slash commands with suggestions, mentions, and the command in a message's menu.

use lastgood_tests::{database::Kind, standin::discord::Saw};
use serde_json::json;

use super::world::{ROOM, Way, World, snapshot};
use crate::chain::stage::{Stage, Wishes};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_can_be_filled_in_is_answered() {
    let world = World::small("").await;
    let (discord, ana) = (&world.discord, &world.ana);
    let said = async |command: &str, options: &[(&str, &str)]| {
        discord.slash(ana, ROOM, command, options).await.private()
    };
    assert!(
        said("rollback help", &[]).await.contains("/rollback mark SERVICE VERSION stable|unstable REASON…")
    );
    let told = said("rollback propose", &[("service", "chekout")]).await;
    assert!(told.contains("did you mean checkout?"), "{told}");
    discord.fail("PATCH @original", 1);
    assert!(said("rollback status", &[]).await.contains("No rollback is running."));
    assert!(said("incident list", &[]).await.contains("No incident is open."));
    assert!(said("incident show", &[("incident", "INC-9")]).await.contains("there is no INC-9"));
    assert!(said("incident show", &[("incident", "nine")]).await.contains("is no incident"));
    assert!(said("rollback history", &[("service", "checkout")]).await.contains("v2.4.0"));
    assert!(said("rollback stop", &[]).await.contains("no rollback is running in this room"));
    // A reason that begins like a version is a reason.
    let told =
        said("rollback propose", &[("service", "checkout"), ("version", "v9.9.9"), ("reason", "500s")]).await;
    assert!(told.contains("checkout has no release \"v9.9.9\""), "{told}");
    let leaks = [("service", "checkout"), ("version", "v2.4.0"), ("as", "unstable"), ("reason", "it leaks")];
    let told = discord.slash(&world.eve, ROOM, "rollback mark", &leaks).await.private();
    assert!(told.contains("only an approver of checkout or its commander may mark its artifacts"), "{told}");
    let stable =
        [("service", "checkout"), ("version", "v2.4.0"), ("as", "stable"), ("reason", "seen it all week")];
    assert!(said("rollback mark", &stable).await.contains("is marked stable"));
    let told = discord.mention(&world.eve, ROOM, "history checkout").await;
    assert!(told.contains("v2.4.0") && told.contains("stable"), "{told}");
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suggestions_say_what_speaks_against_a_version() {
    let world = World::small("").await;
    let (discord, eve) = (&world.discord, &world.eve);
    world.deploy().await;
    let services = discord.complete(eve, ROOM, "rollback propose", ("service", "che"), &[]).await;
    assert_eq!(services, [("checkout".to_owned(), "checkout".to_owned())]);
    let service = [("service", "checkout")];
    let versions = discord.complete(eve, ROOM, "rollback propose", ("version", ""), &service).await;
    let (label, value) = &versions[0];
    assert_eq!(value, "v2.4.0");
    assert!(label.starts_with("v2.4.0 · it was live and quiet for"), "{versions:?}");
    let bad = [("service", "checkout"), ("version", "v2.4.0"), ("as", "unstable"), ("reason", "it leaks")];
    discord.slash(&world.ana, ROOM, "rollback mark", &bad).await.private();
    let versions = discord.complete(eve, ROOM, "rollback propose", ("version", "2.4.0"), &service).await;
    assert_eq!(versions[0].0, "v2.4.0 · skipped: marked unstable: it leaks", "{versions:?}");
    let all = discord.complete(eve, ROOM, "rollback mark", ("version", ""), &service).await;
    assert_eq!(all.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>(), ["v2.4.1", "v2.4.0"]);
    let outsider = discord.outsider("olga");
    assert!(discord.complete(&outsider, ROOM, "rollback propose", ("service", ""), &[]).await.is_empty());
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incident_needs_no_other_window() {
    let world = World::small("").await;
    world.broken().await;
    let discord = &world.discord;
    let asked = [("service", "checkout"), ("reason", "carts are empty")];
    let told = discord.slash(&world.eve, ROOM, "rollback propose", &asked).await.private();
    assert!(told.contains("RB-1") && told.contains("the proposal follows here"), "{told}");
    let root = discord.offers("Roll back to v2.4.0").await;
    let told =
        discord.slash(&world.ana, ROOM, "rollback commander", &[("person", &world.ben.id)]).await.private();
    assert!(told.contains("The thread shows what follows"), "{told}");
    discord.reads(&format!("Commander: <@{}>", world.ben.id)).await;
    world.presses(&world.ana, "Roll back to v2.4.0").await;
    world.run_ends(1, "recovered").await;

    let close = [("incident", "INC-1"), ("root-cause", "the cache was cold & <empty>")];
    let told = discord.slash(&world.eve, ROOM, "incident close", &close).await.private();
    assert!(told.contains("only the incident commander or an approver"), "{told}");
    let open = discord.complete(&world.ana, ROOM, "incident close", ("incident", ""), &[]).await;
    assert_eq!(open, [("INC-1 · checkout".to_owned(), "INC-1".to_owned())]);
    let told = discord.slash(&world.ana, ROOM, "incident close", &close).await.private();
    assert!(told.contains("INC-1 is closed"), "{told}");
    discord.reads("INC-1 is closed").await;
    world.caught_up().await;
    snapshot("asked_for", &world, &root);
    let told = discord.slash(&world.eve, ROOM, "incident show", &[("incident", "inc-1")]).await.private();
    assert!(told.contains("Root cause: the cache was cold & <empty>"), "{told}");
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_pointed_at_gets_the_proposal_in_its_own_thread() {
    let world = World::small("").await;
    world.broken().await;
    let discord = &world.discord;
    let vague = discord.says(&world.eve, ROOM, "customers can't pay");
    let modal = discord.point(&world.ana, &vague, "Propose a rollback").await.form();
    let told = discord
        .submit(&world.ana, &modal, &[("service", "checkout"), ("reason", "see above")])
        .await
        .private();
    assert!(told.contains("RB-1"), "{told}");
    let card = discord.offers("Roll back to v2.4.0").await;
    assert_eq!(card.channel, vague.id, "in that message's thread");
    assert_eq!(world.fills(&world.ana, "Reject", &[]).await, Saw::Change);
    world.run_ends(1, "rejected").await;

    let clear = discord.posts("Statuspage", ROOM, &json!({ "content": "checkout: users see errors" }));
    let told = discord.point(&world.ana, &clear, "Propose a rollback").await.private();
    assert!(told.contains("RB-2"), "{told}");
    world.fills(&world.ana, "Reject", &[]).await;
    world.run_ends(2, "rejected").await;
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_are_registered_when_they_changed_and_not_again() {
    let discord = World::server().await;
    discord.has_global("rollback");
    discord.has_global("somebody-elses");
    let (stage, wishes) = (Stage::set().await, Wishes::default());
    let world = World::on(discord, stage, Kind::Sqlite, Way::Gateway, wishes, ROOM).await;
    assert_eq!(world.discord.registrations(), 1);
    assert_eq!(world.discord.global(), ["\"somebody-elses\""], "nothing is offered twice");
    let world = world.restart().await;
    // Whatever is asked now is asked after the start.
    world.discord.slash(&world.ana, ROOM, "rollback status", &[]).await.private();
    assert_eq!(world.discord.registrations(), 1);
    assert_eq!(world.discord.intents(), 1 << 9 | 1 << 15, "what it listens to, and nothing else");
    world.ends().await;
}
