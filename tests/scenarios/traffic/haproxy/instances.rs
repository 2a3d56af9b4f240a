//! Sockets that fail, and instances that differ.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreachable_instance_is_named_and_can_be_left_out() {
    let (world, mut other) = (World::new(1, 1).await, World::new(1, 1).await);
    // Both have to know the map by one name.
    let link = world.folder.path().join("other.sock");
    std::os::unix::fs::symlink(other.haproxy.folder.join("admin.sock"), &link).unwrap();
    let gone = format!("unix:{}", link.display());
    let instances = [world.haproxy.socket("admin"), gone.clone()];
    let haproxy = world.weights(&instances);
    assert_eq!(seen(&haproxy).await.shares, shares(100, 0));

    other.haproxy.told("set server be_weights/green1 weight 100");
    other.haproxy.told("set server be_weights/blue1 weight 0");
    let split = seen(&haproxy).await;
    assert_eq!(split.shares, shares(100, 100));
    assert!(split.disagreement.unwrap().contains("gives blue 100 %, but "));
    let Progress::Failed { detail, .. } = haproxy.progress(&to(0, 100)).await.unwrap() else {
        panic!("settled")
    };
    assert!(detail.contains("gives blue 100 %"), "{detail}");

    other.haproxy.kill();
    let half = seen(&haproxy).await;
    assert_eq!(half.unreachable.len(), 1);
    assert_eq!((half.unreachable[0].instance.as_str(), half.shares), (gone.as_str(), shares(100, 0)));
    let Preflight::Unreachable { instances } = haproxy.preflight(&to(0, 100)).await.unwrap() else {
        panic!("not named")
    };
    assert_eq!(instances[0].instance, gone);
    assert!(matches!(haproxy.apply(&to(0, 100), &Said::default()).await, Err(Fault::Unavailable(_))));
    assert_eq!(seen(&haproxy).await.shares, shares(100, 0));

    let without = Move { without: vec![gone], ..to(0, 100) };
    assert!(matches!(haproxy.preflight(&without).await.unwrap(), Preflight::Ready { .. }));
    haproxy.apply(&without, &Said::default()).await.unwrap();
    settled(&haproxy, &without).await;
    assert!(matches!(haproxy.progress(&to(0, 100)).await.unwrap(), Progress::Moving { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_there_is_unavailable() {
    let mut world = World::new(1, 1).await;
    let haproxy = world.map(&world.admin());
    world.haproxy.kill();
    assert!(matches!(haproxy.observe().await, Err(Fault::Unavailable(_))));
    assert!(matches!(haproxy.preflight(&to(0, 100)).await, Err(Fault::Unavailable(_))));
    assert!(matches!(haproxy.apply(&to(0, 100), &Said::default()).await, Err(Fault::Unavailable(_))));
    assert!(matches!(haproxy.check().await[0].verdict, Verdict::Bad { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_unknown_and_reading_back_tells() {
    let world = World::new(1, 1).await;
    let tap = Tap::on(&world);
    let haproxy = world.map(&tap.address());
    tap.lose.store(true, Ordering::Relaxed);
    assert!(matches!(haproxy.apply(&to(0, 100), &Said::default()).await, Err(Fault::Unknown(_))));
    settled(&haproxy, &to(0, 100)).await;
    haproxy.apply(&to(0, 100), &Said::default()).await.unwrap();
    assert_eq!(tap.changes().len(), 1);

    // The same when the answer never ends, within the time limit.
    tap.lose.store(false, Ordering::Relaxed);
    tap.hang.store(true, Ordering::Relaxed);
    let began = tokio::time::Instant::now();
    assert!(matches!(haproxy.apply(&to(100, 0), &Said::default()).await, Err(Fault::Unknown(_))));
    assert!(began.elapsed() < Duration::from_secs(4));
    settled(&haproxy, &to(100, 0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_socket_costs_no_more_than_the_time_limit() {
    let world = World::new(1, 1).await;
    let silent = world.folder.path().join("silent.sock");
    let _listener = UnixListener::bind(&silent).unwrap();
    let haproxy = world.map(&[format!("unix:{}", silent.display())]);
    let began = tokio::time::Instant::now();
    assert!(matches!(haproxy.apply(&to(0, 100), &Said::default()).await, Err(Fault::Unavailable(_))));
    assert!(began.elapsed() < Duration::from_secs(4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_for_readers_is_refused_before_and_denied_after() {
    let world = World::new(1, 1).await;
    let readers = [world.haproxy.socket("user")];
    let haproxy = world.weights(&readers);
    assert_eq!(seen(&haproxy).await.shares, shares(100, 0));
    assert!(refused(&haproxy, &to(0, 100)).await.contains("needs \"admin\""));
    assert!(matches!(haproxy.apply(&to(0, 100), &Said::default()).await, Err(Fault::Denied(_))));
    assert!(haproxy.check().await.iter().any(|line| matches!(line.verdict, Verdict::Bad { .. })));
    assert_eq!(seen(&haproxy).await.shares, shares(100, 0));
    // HAProxy 2.6 lets every level set maps.
    let map = world.map(&readers);
    map.apply(&to(0, 100), &Said::default()).await.unwrap();
    settled(&map, &to(0, 100)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_processes_behind_one_port_are_moved() {
    let world = World::new(1, 1).await;
    let mut second = world.haproxy.second().await;
    let port = [world.haproxy.admin_port()];
    for haproxy in [world.weights(&port), world.map(&port)] {
        assert!(warnings(&haproxy, &to(0, 100)).await.contains("2 processes answer"));
        haproxy.apply(&to(0, 100), &Said::default()).await.unwrap();
        settled(&haproxy, &to(0, 100)).await;
    }
    assert_eq!(served(world.haproxy.setup.weighted).await, names(["green1"]));
    assert_eq!(served(world.haproxy.setup.frontend).await, names(["green1"]));

    // One of them (whose the path of the socket is now) is told otherwise: seen, and not called settled.
    world.haproxy.told(&format!("set map {} checkout be_blue", world.haproxy.map()));
    let haproxy = world.map(&port);
    let split = seen(&haproxy).await;
    assert!(split.disagreement.unwrap().contains("(process "));
    assert!(matches!(haproxy.progress(&to(0, 100)).await.unwrap(), Progress::Failed { .. }));
    second.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_that_refuses_leaves_a_split_that_is_told() {
    let (world, other) = (World::new(1, 1).await, World::new(1, 1).await);
    let haproxy = world.weights(&[world.haproxy.socket("admin"), other.haproxy.socket("user")]);
    assert!(refused(&haproxy, &to(0, 100)).await.contains("user.sock: the socket's level"));
    assert!(matches!(haproxy.apply(&to(0, 100), &Said::default()).await, Err(Fault::Denied(_))));
    let split = seen(&haproxy).await;
    assert_eq!(split.shares, shares(100, 100));
    assert!(split.disagreement.is_some());
    assert!(matches!(haproxy.progress(&to(0, 100)).await.unwrap(), Progress::Failed { .. }));
    // Undo writes where it must, and nowhere else.
    haproxy.apply(&to(100, 0), &Said::default()).await.unwrap();
    settled(&haproxy, &to(100, 0)).await;
}
