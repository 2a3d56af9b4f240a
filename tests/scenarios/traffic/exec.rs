//! What programs of the user's may do wrong.

use std::{sync::Arc, time::Duration};

use lastgood_adapters::{
    Fault,
    traffic::{Move, Preflight, Progress, Said, Shifter, exec::Config},
};
use serde_json::json;
use tokio::time::Instant;

use lastgood_tests::{
    rigs::{self as rig, apply, shares, to},
    shop::artifact,
};

fn shell(script: &str) -> Arc<dyn Shifter> {
    rig::built::<Config>(
        json!({"command": ["sh", "-c", script], "pools": ["blue", "green"], "timeout": "2s"}),
    )
}

const SEEN: &str = r#"{"shares":{"blue":100,"green":0}}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_says_meanwhile_is_passed_on() {
    let program =
        shell(r#"echo '{"progress":"1 of 3"}'; echo '{"progress":"2 of 3"}'; echo '{"answer":{}}'"#);
    let said = Said::default();
    let mut heard = said.subscribe();
    program.apply(&to(0), &said).await.unwrap();
    assert_eq!(*heard.borrow_and_update(), "2 of 3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_exit_code_says_what_may_be_done_about_it() {
    for (code, question, change) in [
        (64, "refused", "refused"),
        (65, "changed by another hand", "changed by another hand"),
        (66, "not found", "not found"),
        (69, "unavailable", "unavailable"),
        (75, "rate limited", "rate limited"),
        (77, "denied", "denied"),
        // Nobody knows how far it came.
        (1, "unavailable", "unknown outcome"),
        (70, "unavailable", "unknown outcome"),
    ] {
        let program = shell(&format!("echo 'the disk is full' >&2; exit {code}"));
        for (fault, kind) in [
            (program.observe().await.unwrap_err(), question),
            (apply(&*program, &to(0)).await.unwrap_err(), change),
        ] {
            let said = fault.to_string();
            assert!(said.starts_with(kind) && said.contains("the disk is full"), "{code}: {said}");
        }
    }
    let words = shell(r#"echo '{"error":"conflict","detail":"blue has 30 %"}'; exit 1"#);
    assert!(
        matches!(apply(&*words, &to(0)).await, Err(Fault::Conflict(said)) if said.contains("blue has 30 %"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_hangs_costs_no_more_than_its_time_and_may_have_done_it() {
    let began = Instant::now();
    let hangs = shell("trap '' TERM; cat > /dev/null; sleep 60");
    assert!(matches!(apply(&*hangs, &to(0)).await, Err(Fault::Unknown(_))));
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(matches!(hangs.observe().await, Err(Fault::Unavailable(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_can_not_be_true_is_not_believed() {
    for (answer, said) in [
        (r#"{"shares":{"blue":70,"green":70}}"#, "140 %"),
        (r#"{"shares":{"blue":50,"green":0}}"#, "50 %"),
        (r#"{"shares":{"blue":100}}"#, "the pools are blue, green"),
        (r#"{"shares":{"blue":100,"green":0,"teal":0}}"#, "teal"),
        (r#"{"shares":{"blue":300,"green":0}}"#, "makes no sense"),
        (r#"{"weights":{}}"#, "missing field `shares`"),
        ("[]", "makes no sense"),
    ] {
        let told = shell(&format!("echo '{{\"answer\":{answer}}}'")).observe().await.unwrap_err().to_string();
        assert!(told.contains(said), "{answer}: {told}");
    }
    let silent = shell("echo moved");
    assert!(matches!(apply(&*silent, &to(0)).await, Err(Fault::Unknown(said)) if said.contains("\"moved\"")));
    // A flood, and no line at all in it, is cut off.
    let flood = shell("head -c 5000000 /dev/zero");
    assert!(matches!(flood.observe().await, Err(Fault::Unavailable(_))));
}

/// Where what runs is replaced, the target is found again by its name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_pools_what_runs_is_named_by_its_digest() {
    let target = artifact("v2.4.0");
    let name = target.digest.short();
    let replaces = |shares: serde_json::Value, runs: serde_json::Value| {
        let answer = json!({"answer": {"shares": shares, "runs": runs}});
        rig::built::<Config>(json!({"command": ["printf", "%s\\n", answer.to_string()]}))
    };
    let runs = json!({name: {"digest": target.digest, "version": "v2.4.0"}});
    let shifter = replaces(json!({name: 100}), runs.clone());
    let seen = shifter.observe().await.unwrap();
    assert_eq!(shifter.pool_of(&target).as_deref(), Some(name));
    assert_eq!((seen.shares[name], seen.fluid), (100, true));
    assert_eq!(seen.runs[name].digest.as_deref(), Some(target.digest.as_str()));
    for (shares, runs, said) in [
        (json!({"web": 100}), json!({"web": {"digest": target.digest}}), "the first twelve digits"),
        (json!({name: 100}), json!({}), "does not tell what"),
        (json!({name: 100}), json!({name: {"version": "v2.4.0"}}), "`runs` has no digest"),
        (json!({name: 100}), json!({name: {"digest": "v2.4.0"}}), "not a digest"),
        (json!({}), runs.clone(), "has no share for it"),
        (json!({name: 90}), runs, "90 %"),
    ] {
        let told = replaces(shares, runs).observe().await.unwrap_err().to_string();
        assert!(told.contains(said), "{told}");
    }
    let pools = shell(&format!("echo '{{\"answer\":{SEEN}}}'"));
    assert_eq!((pools.pool_of(&target), pools.observe().await.unwrap().fluid), (None, false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_gets_what_the_contract_says() {
    let folder = tempfile::tempdir().unwrap();
    let note = folder.path().join("note");
    let script = format!(
        "cat > {}; echo '{{\"answer\":{{\"outcome\":\"settled\",\"seen\":{SEEN}}}}}'",
        note.display()
    );
    let named = Move { version: "v2.4.0".into(), note: "RB-1: back to v2.4.0".into(), ..to(100) };
    let Progress::Settled(seen) = shell(&script).progress(&named).await.unwrap() else {
        panic!("not settled")
    };
    assert_eq!(seen.shares, shares(100));
    let asked: serde_json::Value = serde_json::from_slice(&std::fs::read(&note).unwrap()).unwrap();
    let wanted = json!({
        "version": 1, "operation": "progress", "service": "checkout", "pools": ["blue", "green"],
        "move": {"shares": {"blue": 100, "green": 0}, "digest": "sha256:test", "without": [], "from": null,
                 "key": "RB-1/100", "version": "v2.4.0", "note": "RB-1: back to v2.4.0"},
    });
    assert_eq!(asked, wanted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_reaches_the_program_and_no_message() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "hunter2hunter2").unwrap();
    let program = rig::built::<Config>(json!({
        "command": ["sh", "-c", "echo \"bad token $TOKEN\" >&2; exit 77"], "pools": ["blue", "green"],
        "secrets": {"TOKEN": {"file": folder.path().join("token")}},
    }));
    let said = apply(&*program, &to(0)).await.unwrap_err().to_string();
    assert!(said.contains("bad token [secret]") && !said.contains("hunter2"), "{said}");
    // What it says is no safer place than what it complains of.
    let script = r#"echo "{\"progress\":\"with $TOKEN\"}"; echo "{\"error\":\"denied\",\"detail\":\"401 for $TOKEN\"}""#;
    let talks = rig::built::<Config>(json!({
        "command": ["sh", "-c", script], "pools": ["blue", "green"],
        "secrets": {"TOKEN": {"file": folder.path().join("token")}},
    }));
    let progress = Said::default();
    let mut heard = progress.subscribe();
    let said = talks.apply(&to(0), &progress).await.unwrap_err().to_string();
    assert!(said.contains("401 for [secret]"), "{said}");
    assert_eq!(*heard.borrow_and_update(), "with [secret]");
    let refused =
        shell(r#"echo '{"answer":{"outcome":"refused","reasons":[]}}'"#).preflight(&to(0)).await.unwrap();
    assert!(matches!(refused, Preflight::Refused { reasons } if !reasons.is_empty()));
}
