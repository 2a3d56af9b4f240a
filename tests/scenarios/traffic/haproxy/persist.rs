//! Shifts that outlive a reload.

use lastgood_adapters::traffic::Section as _;
use lastgood_tests::standin::data_plane::DataPlane;

use super::*;

fn built(config: serde_json::Value) -> std::sync::Arc<dyn Shifter> {
    lastgood_tests::client::tls();
    let config: Config = serde_json::from_value(config).unwrap();
    config.build("checkout", &lastgood_adapters::client::client().unwrap()).unwrap()
}

fn by_map(world: &World, persist: serde_json::Value) -> std::sync::Arc<dyn Shifter> {
    let map = world.haproxy.map();
    let switch = json!({"map": map, "key": "checkout", "blue": "be_blue", "green": "be_green"});
    built(json!({"instances": world.admin(), "timeout": "2s", "switch": switch, "persist": persist}))
}

fn by_weights(world: &World, persist: serde_json::Value) -> std::sync::Arc<dyn Shifter> {
    let pools = json!({"blue": ["blue1"], "green": ["green1"]});
    let weights = json!({"backend": "be_weights", "pools": pools});
    built(json!({"instances": world.admin(), "timeout": "2s", "weights": weights, "persist": persist}))
}

async fn shifted(adapter: &dyn Shifter) -> Vec<String> {
    let Preflight::Ready { warnings } = adapter.preflight(&to(0, 100)).await.unwrap() else {
        panic!("not ready")
    };
    assert!(!warnings.concat().contains("reload"), "{warnings:?}");
    adapter.apply(&to(0, 100), &Said::default()).await.unwrap();
    match adapter.progress(&to(0, 100)).await.unwrap() {
        Progress::Settled(seen) => seen.warnings,
        other => panic!("{other:?}"),
    }
}

fn reload_line(checks: &[lastgood_adapters::Check]) -> &Verdict {
    &checks.iter().find(|line| line.what.ends_with(": reload")).unwrap().verdict
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_map_file_is_kept_up_to_date() {
    let world = World::new(1, 1).await;
    std::fs::write(world.haproxy.map(), "# ours\nother be_x\ncheckout be_blue\n").unwrap();
    let adapter = by_map(&world, json!({"map_file": true}));
    assert!(matches!(reload_line(&adapter.check().await), Verdict::Good(_)));
    assert_eq!(shifted(&*adapter).await, [""; 0]);
    let kept = std::fs::read_to_string(world.haproxy.map()).unwrap();
    assert_eq!(kept, "# ours\nother be_x\ncheckout be_green\n");
    world.haproxy.reload().await;
    assert_eq!(adapter.observe().await.unwrap().shares, shares(0, 100));
    assert_eq!(served(world.haproxy.setup.frontend).await, names(["green1"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_file_is_dumped_after_the_shift() {
    let world = World::with(1, 1, |setup, folder| {
        setup.global = format!("  server-state-file {}/state", folder.display());
        setup.defaults = "  load-server-state-from-file global".to_owned();
    })
    .await;
    let file = world.haproxy.folder.join("state");
    let adapter = by_weights(&world, json!({"state_file": file}));
    assert!(matches!(reload_line(&adapter.check().await), Verdict::Warning { .. }), "it was never dumped");
    assert_eq!(shifted(&*adapter).await, [""; 0]);
    world.haproxy.reload().await;
    assert_eq!(adapter.observe().await.unwrap().shares, shares(0, 100));
    assert_eq!(served(world.haproxy.setup.weighted).await, names(["green1"]));
    assert!(matches!(reload_line(&adapter.check().await), Verdict::Good(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_data_plane_is_told_and_a_shift_is_not_lost_because_it_is_away() {
    let world = World::new(1, 1).await;
    let api = DataPlane::start(&[("blue1", 100), ("green1", 0)], ("checkout", "be_blue")).await;
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), DataPlane::PASSWORD).unwrap();
    let persist = json!({"data_plane": {"url": api.url(), "username": DataPlane::USER,
                                        "password": {"file": secret.path()}}});
    let (map, weights) = (by_map(&world, persist.clone()), by_weights(&world, persist));
    assert_eq!(shifted(&*map).await, [""; 0]);
    assert_eq!(api.entry_in_file(), "be_green");
    assert_eq!(shifted(&*weights).await, [""; 0]);
    assert_eq!(api.weights(), [("blue1".to_owned(), 0), ("green1".to_owned(), 100)]);
    assert_eq!(api.open_transactions(), 0);

    // Somebody else is at the configuration: traffic moves all the same, and the thread is told.
    api.another_hand();
    weights.apply(&to(100, 0), &Said::default()).await.unwrap();
    let Progress::Settled(seen) = weights.progress(&to(100, 0)).await.unwrap() else { panic!("not settled") };
    assert!(seen.warnings[0].contains("another weight for"), "{seen:?}");
    assert_eq!(api.open_transactions(), 0, "nothing is left open");
    // The next time it is kept, without a move.
    weights.apply(&to(100, 0), &Said::default()).await.unwrap();
    let Progress::Settled(seen) = weights.progress(&to(100, 0)).await.unwrap() else { panic!("not settled") };
    assert_eq!(seen.warnings, [""; 0]);
    drop(api);
    let Progress::Settled(seen) = weights.progress(&to(100, 0)).await.unwrap() else { panic!("not settled") };
    assert!(seen.warnings[0].contains("can't be told"), "{seen:?}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    lastgood_tests::client::tls();
    let http = lastgood_adapters::client::client().unwrap();
    let switch = json!({"map": "/m", "key": "k", "blue": "a", "green": "b"});
    let weights = json!({"backend": "be", "pools": {"blue": ["a"], "green": ["b"]}});
    for (mut config, persist, said) in [
        (json!({"switch": switch}), json!({}), "give one of"),
        (json!({"switch": switch}), json!({"state_file": "/s"}), "needs `weights`"),
        (json!({"weights": weights}), json!({"map_file": true}), "needs `switch`"),
        (json!({"weights": weights}), json!({"map_file": true, "state_file": "/s"}), "needs `switch`"),
        (
            json!({"weights": weights, "instances": ["tcp:a:1", "tcp:b:1"]}),
            json!({"state_file": "/s"}),
            "several",
        ),
    ] {
        config["persist"] = persist;
        if config.get("instances").is_none() {
            config["instances"] = json!(["tcp:a:1"]);
        }
        let config: Config = serde_json::from_value(config).unwrap();
        let error = config.build("checkout", &http).err().unwrap().to_string();
        assert!(error.contains(said), "{error}");
    }
}
