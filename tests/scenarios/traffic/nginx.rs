//! nginx's traps.

use std::{fs, process::Command};

use lastgood_adapters::{Fault, traffic::Preflight};

use lastgood_tests::rigs::{Rig as _, apply, ask, from, nginx::Nginx, settled, shares, to};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_weight_of_nothing_is_no_weight() {
    let rig = Nginx::start().await;
    let good = fs::read_to_string(rig.router().file()).unwrap();
    fs::write(rig.router().file(), good.replace(" down;", " weight=0;")).unwrap();
    let line = rig.router().command(&["-t"]);
    let judged = Command::new(&line[0]).args(&line[1..]).output().unwrap();
    assert!(!judged.status.success(), "this is the trap");
    fs::write(rig.router().file(), good).unwrap();
    apply(&*rig.adapter(), &from(100, 0)).await.unwrap();
    settled(&*rig.adapter(), &from(100, 0)).await;
    let written = fs::read_to_string(rig.router().file()).unwrap();
    assert!(written.contains("down;") && !written.contains("weight=0"), "{written}");
    assert!(written.contains("# The checkout.") && written.contains("keepalive 8;"), "{written}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_that_nginx_refuses_is_put_back_and_not_loaded() {
    let rig = Nginx::start().await;
    let adapter = rig.adapter();
    // Broken by somebody else, in another place, and not loaded yet.
    let broken = fs::read_to_string(rig.router().file()).unwrap() + "nonsense on;\n";
    fs::write(rig.router().file(), &broken).unwrap();
    let Preflight::Refused { reasons } = adapter.preflight(&from(100, 0)).await.unwrap() else {
        panic!("ready")
    };
    assert!(reasons[0].contains("unknown directive"), "{reasons:?}");
    let refused = apply(&*adapter, &from(100, 0)).await;
    let Err(Fault::Invalid(said)) = refused else { panic!("{refused:?}") };
    assert!(said.contains("unknown directive"), "{said}");
    assert_eq!(fs::read_to_string(rig.router().file()).unwrap(), broken);
    assert_eq!(ask(&rig.fronts()[0]).await, "blue");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn weights_that_were_changed_without_their_mark_are_told() {
    let rig = Nginx::start().await;
    let adapter = rig.adapter();
    rig.router().by_hand(|text| text.replace(" down;", ";")).await;
    let seen = adapter.observe().await.unwrap();
    assert!(seen.warnings.iter().any(|told| told.contains("changed by hand")), "{seen:?}");
    let Preflight::Refused { reasons } = adapter.preflight(&to(0)).await.unwrap() else { panic!("ready") };
    assert!(reasons.concat().contains("$lastgood_checkout"), "{reasons:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_was_not_loaded_is_no_shift() {
    let rig = Nginx::start().await;
    let adapter = rig.adapter();
    let text = fs::read_to_string(rig.router().file()).unwrap();
    let pretended = text.replace("blue=100 green=0", "blue=0 green=100");
    fs::write(
        rig.router().file(),
        pretended.replace(" down;", " X;").replace("max_fails=0;", "max_fails=0 down;").replace(" X;", ";"),
    )
    .unwrap();
    let seen = adapter.observe().await.unwrap();
    assert_eq!(seen.shares, shares(100), "nobody reloaded");
    assert!(seen.warnings[0].contains("nginx serves by blue=100 green=0"), "{seen:?}");
    // The file says so already: what is missing is the reload.
    apply(&*adapter, &to(0)).await.unwrap();
    settled(&*adapter, &to(0)).await;
    assert_eq!(ask(&rig.fronts()[0]).await, "green");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_that_is_refused_leaves_nothing_for_the_next_one() {
    let rig = Nginx::start().await;
    let before = fs::read_to_string(rig.router().file()).unwrap();
    for (test, reload) in [(&["true"][..], &["false"][..]), (&["sleep", "60"][..], &["true"][..])] {
        let adapter = rig.with(test, reload);
        let refused = apply(&*adapter, &from(100, 0)).await;
        assert!(matches!(refused, Err(Fault::Invalid(_) | Fault::Unknown(_))), "{refused:?}");
        assert_eq!(fs::read_to_string(rig.router().file()).unwrap(), before, "{test:?} {reload:?}");
    }
}
