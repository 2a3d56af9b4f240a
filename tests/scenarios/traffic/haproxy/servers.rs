//! The states that servers can be in.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn weight_on_a_drained_server_is_not_taken_for_traffic() {
    let world = World::new(1, 1).await;
    let haproxy = world.weights(&world.admin());
    for command in ["blue1 state drain", "green1 state drain", "green1 weight 100"] {
        world.haproxy.told(&format!("set server be_weights/{command}"));
    }
    assert_eq!(served(world.haproxy.setup.weighted).await, names(["503"]));
    let now = seen(&haproxy).await;
    assert_eq!(now.shares, shares(0, 0));
    assert_eq!(now.capacity["green"].alive, 0);
    assert!(matches!(haproxy.progress(&to(0, 100)).await.unwrap(), Progress::Failed { .. }));
    haproxy.apply(&to(0, 100), &Said::default()).await.unwrap();
    settled(&haproxy, &to(0, 100)).await;
    assert_eq!(served(world.haproxy.setup.weighted).await, names(["green1"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_target_is_refused() {
    let mut world = World::new(1, 1).await;
    world.green[0].stop().await;
    world.haproxy.notices("green1", 0).await;
    for haproxy in [world.map(&world.admin()), world.weights(&world.admin())] {
        assert!(refused(&haproxy, &to(0, 100)).await.contains("pool green is dead"));
        assert!(matches!(haproxy.apply(&to(0, 100), &Said::default()).await, Err(Fault::Invalid(_))));
        assert_eq!(seen(&haproxy).await.capacity["green"].alive, 0);
    }
    // The failing side crashed as a whole: it still is where traffic goes, and the way back is open.
    let mut crashed = World::new(1, 1).await;
    crashed.blue[0].stop().await;
    crashed.haproxy.notices("blue1", 0).await;
    for haproxy in [crashed.map(&crashed.admin()), crashed.weights(&crashed.admin())] {
        assert_eq!(seen(&haproxy).await.shares, shares(100, 0));
        haproxy.apply(&to(0, 100), &Said::default()).await.unwrap();
        settled(&haproxy, &to(0, 100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_dies_after_the_shift_is_no_success() {
    let mut world = World::new(1, 1).await;
    let haproxy = world.weights(&world.admin());
    haproxy.apply(&to(0, 100), &Said::default()).await.unwrap();
    world.green[0].stop().await;
    world.haproxy.notices("green1", 0).await;
    let Progress::Failed { detail, .. } = haproxy.progress(&to(0, 100)).await.unwrap() else {
        panic!("settled")
    };
    assert!(detail.contains("no server of green is up"), "{detail}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_target_is_refused_or_warned_about() {
    let mut world = World::new(4, 3).await;
    for haproxy in [world.map(&world.admin()), world.weights(&world.admin())] {
        assert!(warnings(&haproxy, &to(0, 100)).await.contains("fewer than before"));
    }
    for at in 1..3 {
        world.green[at].stop().await;
        world.haproxy.notices(&format!("green{}", at + 1), 0).await;
    }
    for haproxy in [world.map(&world.admin()), world.weights(&world.admin())] {
        let why = refused(&haproxy, &to(0, 100)).await;
        assert!(why.contains("1 of 3 servers") && why.contains("less than half"), "{why}");
    }
    // A tenth of the load is not too much for one of five.
    assert!(!warnings(&world.weights(&world.admin()), &to(90, 10)).await.contains("fewer"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn maintenance_is_not_ended_by_a_shift() {
    let world = World::new(1, 2).await;
    let haproxy = world.weights(&world.admin());
    world.haproxy.told("set server be_weights/green1 state maint");
    assert!(warnings(&haproxy, &to(0, 100)).await.contains("green1 stays in maintenance"));
    haproxy.apply(&to(0, 100), &Said::default()).await.unwrap();
    settled(&haproxy, &to(0, 100)).await;
    assert_eq!(served(world.haproxy.setup.weighted).await, names(["green2"]));
    world.haproxy.told("set server be_weights/blue1 state maint");
    assert!(refused(&haproxy, &to(100, 0)).await.contains("pool blue is dead"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_weights_can_not_decide_is_refused() {
    let world = World::new(2, 1).await;
    let pools = json!({"blue": ["blue1"], "green": ["green1"]});
    let weights = json!({"backend": "be_weights", "pools": pools});
    let haproxy = adapter(json!({"instances": world.admin(), "weights": weights}));
    assert!(refused(&haproxy, &to(0, 100)).await.contains("blue2 carries traffic but is in no pool"));
    let pools = json!({"blue": ["blue1", "blue2"], "green": ["green7"]});
    let weights = json!({"backend": "be_weights", "pools": pools});
    let haproxy = adapter(json!({"instances": world.admin(), "weights": weights}));
    assert!(refused(&haproxy, &to(0, 100)).await.contains("HAProxy has no server green7"));
    let weights = json!({"backend": "be_none", "pools": {"blue": ["blue1"], "green": ["green1"]}});
    let haproxy = adapter(json!({"instances": world.admin(), "weights": weights}));
    assert!(matches!(haproxy.observe().await, Err(Fault::NotFound(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sticky_clients_are_warned_about_and_backups_refused() {
    let sticky = World::with(1, 1, |setup, _| {
        setup.be_weights = "  cookie SRV insert indirect dynamic\n  dynamic-cookie-key lastgood".to_owned();
    })
    .await;
    let warned = warnings(&sticky.weights(&sticky.admin()), &to(0, 100)).await;
    assert!(warned.contains("clients stick to blue1, green1"), "{warned}");
    let backup = World::with(1, 1, |setup, _| setup.be_weights = "  default-server backup".to_owned()).await;
    let why = refused(&backup.weights(&backup.admin()), &to(0, 100)).await;
    assert!(why.contains("green1 is a backup"), "{why}");
}
