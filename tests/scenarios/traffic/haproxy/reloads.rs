//! What a reload does to a shift, and what keeps it.

use super::*;

fn reload_warning(checks: &[lastgood_adapters::Check]) -> Option<String> {
    checks.iter().find(|line| line.what.ends_with(": reload")).map(|line| match &line.verdict {
        Verdict::Warning { seen, advice } => format!("{seen}; {advice}"),
        other => panic!("{other:?}"),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_forgets_the_map_and_is_warned_about() {
    let world = World::new(1, 1).await;
    let haproxy = world.map(&world.admin());
    assert_eq!(reload_warning(&haproxy.check().await), None);
    haproxy.apply(&to(0, 100), &Said::default()).await.unwrap();
    let warned = reload_warning(&haproxy.check().await).unwrap();
    assert!(warned.contains("says be_blue") && warned.contains("write \"checkout be_green\""), "{warned}");

    world.haproxy.reload().await;
    assert_eq!(seen(&haproxy).await.shares, shares(100, 0));
    assert_eq!(served(world.haproxy.setup.frontend).await, names(["blue1"]));
    assert!(matches!(haproxy.progress(&to(0, 100)).await.unwrap(), Progress::Failed { .. }));

    std::fs::write(world.haproxy.map(), "checkout be_green\n").unwrap();
    assert_eq!(warnings(&haproxy, &to(0, 100)).await, "");
    haproxy.apply(&to(0, 100), &Said::default()).await.unwrap();
    world.haproxy.reload().await;
    settled(&haproxy, &to(0, 100)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_restores_the_last_dump_of_weights_not_the_last_state() {
    let world = World::with(1, 1, |setup, folder| {
        setup.global = format!("  server-state-file {}/state", folder.display());
        setup.defaults = "  load-server-state-from-file global".to_owned();
    })
    .await;
    let haproxy = world.weights(&world.admin());
    let dump = || {
        let state = format!("{}\n", world.haproxy.command("show servers state"));
        std::fs::write(world.haproxy.folder.join("state"), state).unwrap();
    };
    dump();
    assert!(warnings(&haproxy, &to(0, 100)).await.contains("as last dumped to"));
    haproxy.apply(&to(0, 100), &Said::default()).await.unwrap();
    world.haproxy.reload().await;
    assert_eq!(seen(&haproxy).await.shares, shares(100, 0));
    haproxy.apply(&to(0, 100), &Said::default()).await.unwrap();
    dump();
    world.haproxy.reload().await;
    settled(&haproxy, &to(0, 100)).await;

    let plain = World::new(1, 1).await;
    let warned = reload_warning(&plain.weights(&plain.admin()).check().await).unwrap();
    assert!(warned.contains("no server state file is loaded"), "{warned}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shift_over_a_reload_ends_as_one_or_the_other_and_clients_do_not_notice() {
    let world = World::new(1, 1).await;
    let haproxy = world.map(&world.admin());
    let load = Load::start(world.haproxy.setup.frontend);
    for flip in 0..3 {
        let wanted = if flip % 2 == 0 { to(0, 100) } else { to(100, 0) };
        let said = Said::default();
        let (_, applied) = tokio::join!(world.haproxy.reload(), haproxy.apply(&wanted, &said));
        // Whatever became of the answer: what is read back afterwards is what clients get.
        drop(applied);
        let green = seen(&haproxy).await.shares == shares(0, 100);
        let name = if green { "green1" } else { "blue1" };
        assert_eq!(served(world.haproxy.setup.frontend).await, names([name]));
        assert_eq!(matches!(haproxy.progress(&to(0, 100)).await, Ok(Progress::Settled(_))), green);
    }
    load.end().await;
    assert_eq!(fetch(world.haproxy.setup.metrics, "/metrics").await.unwrap().0, 200);
}
