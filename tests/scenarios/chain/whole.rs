//! From the first failing request to the recovered service, with nothing between that is not the real program.

use std::time::Instant;

use lastgood::store::{incidents, releases};
use lastgood_core::inventory::{Origin, Stability};
use lastgood_tests::{client::Client, database::Kind};

use super::{
    outside::Outside,
    stage::Stage,
    world::{World, snapshot},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_one_click_and_the_last_good_version_serves_again() {
    alert_to_recovery(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_on_postgresql() {
    alert_to_recovery(Kind::Postgres).await;
}

async fn alert_to_recovery(kind: Kind) {
    let mut stage = Stage::set().await;
    let (outside, wishes) = Outside::start(&mut stage).await;
    let world = World::open(stage, kind, &wishes).await;
    let customers = Client::start(&world.stage.url(), 40);
    outside.error_rate(|rate| rate == 0.0).await;

    world.deploy().await;
    customers.more(20).await;
    world.stage.shop.fail("green", 0.3);
    world.presses(&world.ana, "Roll back to v2.4.0").await;
    world.reads("Traffic is on v2.4.0").await;
    let reported = Instant::now();
    assert_eq!(world.stage.routed(), "blue");
    let thread = world.run_ends(1, "recovered").await;
    outside.error_rate(|rate| rate == 0.0).await;

    customers.more(20).await;
    let seen = customers.stop().await;
    assert_eq!(seen.unexplained().len(), 0, "{:?}", seen.unexplained());
    assert_eq!(seen.failed_in("blue"), 0);
    assert!(seen.failed_in("green") > 0 && seen.last("green").unwrap() < reported);
    the_inventory_knows(&world).await;
    snapshot("whole", &thread);
    world.ends().await;
}

async fn the_inventory_knows(world: &World) {
    let db = world.bot.app.engine.store.reader();
    let service = "checkout".into();
    let mark = releases::mark_of(db, &service, &world.stage.new.digest).await.unwrap().unwrap();
    assert!(matches!(mark.stability, Stability::Unstable { provisional: false, .. }), "{mark:?}");
    assert_eq!(world.gate(&world.stage.new).await["allowed"], false);
    assert_eq!(world.gate(&world.stage.old).await["allowed"], true);
    let newest = releases::newest(db, &service, 1).await.unwrap().remove(0);
    assert_eq!((newest.artifact, newest.pool), (world.stage.old.clone(), Some("blue".to_owned())));
    assert!(matches!(newest.origin, Origin::Rollback), "{:?}", newest.origin);
    let open = incidents::list(db, false).await.unwrap();
    assert_eq!(open.iter().map(|incident| incident.id.to_string()).collect::<Vec<_>>(), ["INC-1"]);
    assert_eq!(world.stage.pagerduty.events().len(), 0);
}
