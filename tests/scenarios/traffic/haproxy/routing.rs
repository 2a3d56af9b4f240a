//! What is written, and what customers get of it.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_map_entry_is_switched_and_switched_back() {
    let world = World::new(1, 1).await;
    let haproxy = world.map(&world.admin());
    let before = seen(&haproxy).await;
    assert_eq!(before.shares, shares(100, 0));
    assert_eq!((before.capacity["green"].alive, before.capacity["green"].all), (1, 1));
    assert_eq!((before.unreachable, before.disagreement), (Vec::new(), None));

    assert!(warnings(&haproxy, &to(0, 100)).await.contains("a reload forgets it"));
    haproxy.apply(&to(0, 100), &Said::default()).await.unwrap();
    settled(&haproxy, &to(0, 100)).await;
    assert_eq!(served(world.haproxy.setup.frontend).await, names(["green1"]));
    assert_eq!(haproxy.preflight(&to(0, 100)).await.unwrap(), Preflight::AlreadyThere);

    let undo = Move { shares: before.shares, ..to(0, 0) };
    haproxy.apply(&undo, &Said::default()).await.unwrap();
    settled(&haproxy, &undo).await;
    assert_eq!(served(world.haproxy.setup.frontend).await, names(["blue1"]));
    assert!(matches!(haproxy.progress(&to(0, 100)).await.unwrap(), Progress::Failed { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_absent_map_entry_is_added_once() {
    let world = World::new(1, 1).await;
    let haproxy = world.map(&world.admin());
    world.haproxy.told(&format!("del map {} checkout", world.haproxy.map()));
    assert_eq!(seen(&haproxy).await.shares, shares(0, 0));
    assert!(warnings(&haproxy, &to(0, 100)).await.contains("has no entry checkout"));
    for _ in 0..3 {
        haproxy.apply(&to(0, 100), &Said::default()).await.unwrap();
    }
    settled(&haproxy, &to(0, 100)).await;
    assert_eq!(world.haproxy.command(&format!("show map {}", world.haproxy.map())).lines().count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_that_does_not_exist_is_never_routed_to() {
    let world = World::new(1, 1).await;
    let haproxy = switch(&world.admin(), &world.haproxy.map(), "be_missing");
    assert!(refused(&haproxy, &to(0, 100)).await.contains("HAProxy has no backend be_missing"));
    assert!(matches!(haproxy.apply(&to(0, 100), &Said::default()).await, Err(Fault::Invalid(_))));
    assert_eq!(seen(&haproxy).await.shares, shares(100, 0));
    // What would have happened: HAProxy takes the name, and serves nobody.
    world.haproxy.told(&format!("set map {} checkout be_missing", world.haproxy.map()));
    assert_eq!(seen(&haproxy).await.shares, shares(0, 0));
    assert_eq!(served(world.haproxy.setup.frontend).await, names(["503"]));
    // And the way out.
    haproxy.apply(&to(100, 0), &Said::default()).await.unwrap();
    assert_eq!(served(world.haproxy.setup.frontend).await, names(["blue1"]));

    let other = switch(&world.admin(), "/no/such.map", "be_green");
    assert!(refused(&other, &to(0, 100)).await.contains("Unknown map"));
    assert!(matches!(other.observe().await, Err(Fault::NotFound(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_notice_no_flip() {
    let world = World::new(2, 2).await;
    let setup = &world.haproxy.setup;
    for (haproxy, port) in
        [(world.map(&world.admin()), setup.frontend), (world.weights(&world.admin()), setup.weighted)]
    {
        let load = Load::start(port);
        for flip in 0..10 {
            let wanted = if flip % 2 == 0 { to(0, 100) } else { to(100, 0) };
            haproxy.apply(&wanted, &Said::default()).await.unwrap();
            settled(&haproxy, &wanted).await;
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        load.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_under_way_finish_where_they_began() {
    let world = World::new(1, 1).await;
    let setup = &world.haproxy.setup;
    for (haproxy, port) in
        [(world.map(&world.admin()), setup.frontend), (world.weights(&world.admin()), setup.weighted)]
    {
        let slow = tokio::spawn(fetch(port, "/slow"));
        tokio::time::sleep(Duration::from_millis(100)).await;
        haproxy.apply(&to(0, 100), &Said::default()).await.unwrap();
        assert_eq!(served(port).await, names(["green1"]));
        assert_eq!(slow.await.unwrap().unwrap(), (200, "blue1".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shares_in_between_follow_weights() {
    let world = World::new(2, 1).await;
    let haproxy = world.weights(&world.admin());
    haproxy.apply(&to(90, 10), &Said::default()).await.unwrap();
    settled(&haproxy, &to(90, 10)).await;
    assert_eq!(seen(&haproxy).await.shares, shares(90, 10));
    assert_eq!(haproxy.preflight(&to(90, 10)).await.unwrap(), Preflight::AlreadyThere);
    let map = world.map(&world.admin());
    assert!(refused(&map, &to(90, 10)).await.contains("can't split traffic"));
    assert!(matches!(map.apply(&to(90, 10), &Said::default()).await, Err(Fault::Invalid(_))));
    for senseless in [to(0, 0), to(100, 100), Move { shares: Shares::new(), ..to(0, 0) }] {
        assert!(matches!(haproxy.apply(&senseless, &Said::default()).await, Err(Fault::Invalid(_))));
        assert!(matches!(haproxy.progress(&senseless).await, Err(Fault::Invalid(_))));
        refused(&haproxy, &senseless).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_target_is_raised_before_the_old_side_is_lowered_and_nothing_is_written_twice() {
    let world = World::new(2, 2).await;
    let tap = Tap::on(&world);
    let haproxy = world.weights(&tap.address());
    world.haproxy.told("set server be_weights/green2 state drain");
    haproxy.apply(&to(0, 100), &Said::default()).await.unwrap();
    settled(&haproxy, &to(0, 100)).await;
    let first = tap.changes();
    let raised = first.iter().rposition(|line| line.contains("/green")).unwrap();
    let lowered = first.iter().position(|line| line.contains("/blue")).unwrap();
    assert!(raised < lowered, "{first:?}");
    assert!(first.contains(&"set server be_weights/green2 state ready".to_owned()), "{first:?}");

    haproxy.apply(&to(0, 100), &Said::default()).await.unwrap();
    haproxy.preflight(&to(100, 0)).await.unwrap();
    haproxy.check().await;
    assert_eq!(tap.changes(), first);
}
