//! The way back does not help, because what broke is neither version's fault: a person is called, takes command, and has
//! traffic put back where it was.

use std::time::Duration;

use lastgood_tests::{client::Client, database::Kind, process::poll, standin::pagerduty::Trouble};

use super::{
    outside::Outside,
    stage::Stage,
    world::{World, snapshot},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_old_version_fails_too_and_a_person_has_it_undone() {
    let mut stage = Stage::set().await;
    let (outside, wishes) = Outside::start(&mut stage).await;
    let world = World::open(stage, Kind::Sqlite, &wishes).await;
    let customers = Client::start(&world.stage.url(), 40);
    outside.error_rate(|rate| rate == 0.0).await;

    world.deploy().await;
    world.stage.shop.fail("green", 0.3);
    world.stage.shop.fail("blue", 0.4);
    let pagerduty = world.stage.pagerduty.clone();
    pagerduty.next(1, Trouble::RateLimited(Some(1)));
    pagerduty.next(1, Trouble::Dropped);
    world.presses(&world.ana, "Roll back to v2.4.0").await;
    world.reads("and not recovered").await;
    world.reads("oncall was paged").await;
    let page = poll("the page", Duration::from_secs(10), || pagerduty.open().pop()).await;
    assert!(page.summary.contains("RB-1") && page.triggers == 2, "{page:?}");

    world.presses(&world.ben, "I'm on it").await;
    world.reads("@ben is on it, and in command").await;
    world.fills(&world.ben, "Undo", &[("reason", "the database was full; v2.4.1 was not it")]).await;
    world.stage.shop.fail("green", 0.0);
    world.presses(&world.ana, "Approve: back to v2.4.1").await;
    // It is what the first run marked unstable: that costs one more click.
    world.presses(&world.ana, "Approve v2.4.1 anyway").await;
    world.run_ends(2, "recovered").await;
    let thread = world.run_ends(1, "undone").await;
    assert_eq!(world.stage.routed(), "green");
    poll("the page's end", Duration::from_secs(10), || pagerduty.open().is_empty().then_some(())).await;
    assert_eq!(pagerduty.pages().len(), 1);
    let seen = customers.stop().await;
    assert_eq!(seen.unexplained().len(), 0, "{:?}", seen.unexplained());
    snapshot("broken", &thread);
    world.ends().await;
}
