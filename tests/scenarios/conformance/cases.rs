//! The cases.

use std::time::Duration;

use lastgood_adapters::{
    Fault,
    check::Verdict,
    traffic::{Move, Preflight, Progress},
};
use lastgood_core::inventory::live::near;
use lastgood_tests::{lossy::Mode, process::poll_async};

use lastgood_tests::rigs::{Rig, SERVERS, apply, from, progress, served_by, settled, shares, to};

const SOME: usize = 24;
const LIMIT: Duration = Duration::from_secs(15);

pub async fn moves_and_is_idempotent(rig: impl Rig) {
    let adapter = rig.adapter();
    let before = adapter.observe().await.unwrap();
    assert_eq!(before.shares, shares(100), "{before:?}");
    assert_eq!((before.disagreement, before.unreachable, before.warnings), (None, vec![], vec![]));
    assert_eq!(served_by(&rig, "blue", SOME).await, SOME);
    for (wanted, pool) in [(from(100, 0), "green"), (from(0, 100), "blue")] {
        assert!(matches!(adapter.preflight(&wanted).await.unwrap(), Preflight::Ready { .. }));
        apply(&*adapter, &wanted).await.unwrap();
        settled(&*adapter, &wanted).await;
        assert_eq!(served_by(&rig, pool, SOME).await, SOME, "all to {pool}");
        for _ in 0..2 {
            apply(&*adapter, &wanted).await.unwrap();
        }
        settled(&*adapter, &wanted).await;
        assert_eq!(adapter.preflight(&wanted).await.unwrap(), Preflight::AlreadyThere);
        assert_eq!(served_by(&rig, pool, SOME).await, SOME, "still all to {pool}");
    }
}

pub async fn splits_as_asked<R: Rig>(rig: R) {
    let adapter = rig.adapter();
    let canary = from(100, 80);
    if !R::SPLITS {
        let Preflight::Refused { reasons } = adapter.preflight(&canary).await.unwrap() else {
            panic!("split")
        };
        assert!(reasons.concat().contains("split"), "{reasons:?}");
        assert!(matches!(apply(&*adapter, &canary).await, Err(Fault::Invalid(_))));
        assert_eq!(adapter.observe().await.unwrap().shares, shares(100));
        return;
    }
    apply(&*adapter, &canary).await.unwrap();
    settled(&*adapter, &canary).await;
    // 200 requests of which each goes to green with 20 %: fewer than 10 or more than 80 come once in 10^9 runs.
    let green = served_by(&rig, "green", 200).await;
    assert!((10..=80).contains(&green), "{green} of 200 for a fifth");
    // The canary back to nothing.
    let back = from(80, 100);
    apply(&*adapter, &back).await.unwrap();
    settled(&*adapter, &back).await;
    assert_eq!(served_by(&rig, "blue", SOME).await, SOME);
}

pub async fn resumes_after_a_kill_in_the_middle(rig: impl Rig) {
    let wanted = from(100, 0);
    if let [_, second] = rig.networks() {
        // The second router's control takes so long that the process ends in between.
        second.set(Mode::Delay(Duration::from_millis(150))).await;
    }
    for after in [2, 20, 60, 120, 250, 400] {
        let adapter = rig.adapter();
        // Ended with its future, as a killed process ends: whatever was sent is sent.
        let cut = tokio::time::timeout(Duration::from_millis(after), apply(&*adapter, &wanted)).await;
        drop(cut);
    }
    for network in rig.networks() {
        network.set(Mode::Pass).await;
    }
    let adapter = rig.adapter();
    let seen = adapter.observe().await.unwrap();
    assert!(!seen.shares.is_empty(), "{seen:?}");
    apply(&*adapter, &wanted).await.unwrap();
    settled(&*adapter, &wanted).await;
    assert_eq!(served_by(&rig, "green", SOME).await, SOME);
}

pub async fn names_what_can_not_be_reached(rig: impl Rig) {
    let [_, second] = rig.networks() else { return };
    let (adapter, wanted) = (rig.adapter(), from(100, 0));
    second.set(Mode::Refuse).await;
    let gone = rig.instances()[1].clone();
    let seen = adapter.observe().await.unwrap();
    assert_eq!(seen.unreachable.iter().map(|one| &one.instance).collect::<Vec<_>>(), [&gone]);
    let Preflight::Unreachable { instances } = adapter.preflight(&wanted).await.unwrap() else {
        panic!("not told")
    };
    assert_eq!(instances[0].instance, gone);
    assert!(matches!(apply(&*adapter, &wanted).await, Err(Fault::Unavailable(_))));
    assert_eq!(adapter.observe().await.unwrap().shares, shares(100), "half a shift");
    let without = Move { without: vec![gone.clone()], ..wanted.clone() };
    assert!(matches!(adapter.preflight(&without).await.unwrap(), Preflight::Ready { .. }));
    apply(&*adapter, &without).await.unwrap();
    settled(&*adapter, &without).await;
    // For everybody it is not settled: who is missing is named.
    let Progress::Moving { detail, .. } = adapter.progress(&wanted).await.unwrap() else { panic!("settled") };
    assert!(detail.contains(&gone), "{detail}");
    let everybody = Move { without: rig.instances(), ..wanted };
    assert!(matches!(apply(&*adapter, &everybody).await, Err(Fault::Invalid(_))));
    assert!(matches!(adapter.preflight(&everybody).await.unwrap(), Preflight::Refused { .. }));
}

pub async fn is_denied_without_a_change(rig: impl Rig) {
    let (denied, wanted) = (rig.denied(), from(100, 0));
    match denied.preflight(&wanted).await {
        Ok(Preflight::Refused { reasons }) => assert!(!reasons.concat().is_empty()),
        Err(Fault::Denied(_)) => {}
        other => panic!("{other:?}"),
    }
    let refused = apply(&*denied, &wanted).await;
    assert!(matches!(refused, Err(Fault::Denied(_) | Fault::Invalid(_))), "{refused:?}");
    assert_eq!(rig.adapter().observe().await.unwrap().shares, shares(100));
    assert_eq!(served_by(&rig, "blue", SOME).await, SOME);
}

pub async fn refuses_a_target_that_is_missing(rig: impl Rig) {
    let (mistaken, wanted) = (rig.mistaken(), from(100, 0));
    match mistaken.preflight(&wanted).await {
        Ok(Preflight::Refused { reasons }) => assert!(!reasons.concat().is_empty()),
        Err(Fault::NotFound(_) | Fault::Invalid(_)) => {}
        other => panic!("{other:?}"),
    }
    let refused = apply(&*mistaken, &wanted).await;
    assert!(matches!(refused, Err(Fault::Invalid(_) | Fault::NotFound(_))), "{refused:?}");
    assert_eq!(served_by(&rig, "blue", SOME).await, SOME);
}

/// Waits until the adapter counts so many servers of a pool as alive.
async fn notices(rig: &impl Rig, pool: &str, alive: u32) {
    let adapter = rig.adapter();
    poll_async(&format!("{alive} in {pool}"), LIMIT, || async {
        let seen = adapter.observe().await.ok()?;
        (seen.capacity[pool].alive == alive).then_some(())
    })
    .await;
}

pub async fn refuses_a_target_that_is_dead(mut rig: impl Rig) {
    rig.shop().stop("green").await;
    notices(&rig, "green", 0).await;
    let (adapter, wanted) = (rig.adapter(), from(100, 0));
    let Preflight::Refused { reasons } = adapter.preflight(&wanted).await.unwrap() else { panic!("ready") };
    assert!(reasons.concat().contains("pool green is dead"), "{reasons:?}");
    assert!(matches!(apply(&*adapter, &wanted).await, Err(Fault::Invalid(_))));
    assert_eq!(served_by(&rig, "blue", SOME).await, SOME);
    // When the failing side is dead as a whole, the way out of it is open.
    rig.shop().restart("green").await;
    rig.shop().stop("blue").await;
    notices(&rig, "blue", 0).await;
    notices(&rig, "green", SERVERS as u32).await;
    assert!(matches!(adapter.preflight(&to(0)).await.unwrap(), Preflight::Ready { .. }));
    apply(&*adapter, &to(0)).await.unwrap();
    settled(&*adapter, &to(0)).await;
    assert_eq!(served_by(&rig, "green", SOME).await, SOME);
    // And a target that dies after it is no success.
    rig.shop().stop("green").await;
    notices(&rig, "green", 0).await;
    let Progress::Failed { detail, .. } = progress(&*adapter, &to(0)).await else {
        panic!("settled on a dead pool")
    };
    assert!(detail.contains("green"), "{detail}");
}

pub async fn refuses_a_target_that_is_too_small(mut rig: impl Rig) {
    let adapter = rig.adapter();
    for (left, refused) in [(2, false), (1, true)] {
        rig.shop().pools.get_mut("green").unwrap()[left].stop().await;
        notices(&rig, "green", left as u32).await;
        match adapter.preflight(&from(100, 0)).await.unwrap() {
            Preflight::Ready { warnings } if !refused => {
                assert!(warnings.concat().contains("fewer than before"), "{warnings:?}");
            }
            Preflight::Refused { reasons } if refused => {
                assert!(reasons.concat().contains("less than half"), "{reasons:?}");
            }
            other => panic!("{left} of {SERVERS}: {other:?}"),
        }
    }
}

pub async fn does_not_fight_another_hand<R: Rig>(mut rig: R) {
    let adapter = rig.adapter();
    let seen = |blue: u8| {
        let adapter = &adapter;
        async move {
            let seen = adapter.observe().await.ok()?;
            (seen.disagreement.is_none() && near(&seen.shares, &shares(blue))).then_some(())
        }
    };
    if R::SPLITS {
        // Green was to get a fifth; meanwhile somebody gave it half.
        rig.by_hand(50).await;
        poll_async("the other hand", LIMIT, || seen(50)).await;
        let late = apply(&*adapter, &from(100, 80)).await;
        let Err(Fault::Conflict(said)) = late else { panic!("{late:?}") };
        assert!(said.contains("blue 50 %"), "{said}");
        assert!(near(&adapter.observe().await.unwrap().shares, &shares(50)), "it was overwritten");
        if !R::IN_BETWEEN {
            let all = apply(&*adapter, &from(100, 0)).await;
            assert!(matches!(all, Err(Fault::Conflict(_))), "half of the way is not ours: {all:?}");
            assert!(near(&adapter.observe().await.unwrap().shares, &shares(50)), "it was overwritten");
        }
        rig.by_hand(100).await;
        poll_async("the other hand", LIMIT, || seen(100)).await;
    }
    apply(&*adapter, &from(100, 0)).await.unwrap();
    settled(&*adapter, &from(100, 0)).await;
    rig.by_hand(100).await;
    poll_async("the other hand", LIMIT, || seen(100)).await;
    let Progress::Failed { detail, seen } = progress(&*adapter, &from(100, 0)).await else {
        panic!("settled")
    };
    assert_eq!(seen.shares, shares(100));
    assert!(detail.contains("blue 100 %"), "{detail}");
    assert_eq!(served_by(&rig, "blue", SOME).await, SOME);
}

pub async fn bears_a_slow_answer<R: Rig>(rig: R) {
    for network in rig.networks() {
        network.set(Mode::Delay(R::SLOW)).await;
    }
    let (adapter, wanted) = (rig.adapter(), from(100, 0));
    apply(&*adapter, &wanted).await.unwrap();
    settled(&*adapter, &wanted).await;
    assert_eq!(served_by(&rig, "green", SOME).await, SOME);
    let [first, ..] = rig.networks() else { return };
    // One that never answers costs no more than the time limit, and is no "no".
    first.set(Mode::BlackHole).await;
    let began = tokio::time::Instant::now();
    let silent = apply(&*adapter, &from(0, 100)).await;
    assert!(matches!(silent, Err(Fault::Unavailable(_) | Fault::Unknown(_))), "{silent:?}");
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

pub async fn knows_a_lost_answer_for_unknown<R: Rig>(rig: R) {
    let (Some(words), [first, ..]) = (R::CHANGE, rig.networks()) else { return };
    let (adapter, wanted) = (rig.adapter(), from(100, 0));
    first.lose_answer_to(words);
    let lost = apply(&*adapter, &wanted).await;
    assert!(matches!(lost, Err(Fault::Unknown(_))), "{lost:?}");
    assert_eq!(first.lost(), 1);
    apply(&*adapter, &wanted).await.unwrap();
    settled(&*adapter, &wanted).await;
    assert_eq!(served_by(&rig, "green", SOME).await, SOME);
}

pub async fn outlives_a_restart<R: Rig>(mut rig: R) {
    let (adapter, wanted) = (rig.adapter(), from(100, 0));
    apply(&*adapter, &wanted).await.unwrap();
    settled(&*adapter, &wanted).await;
    rig.restart().await;
    let pool = if R::KEEPS { "green" } else { "blue" };
    let now = poll_async("an answer after the restart", LIMIT, || async {
        adapter.observe().await.ok().filter(|seen| seen.unreachable.is_empty() && seen.disagreement.is_none())
    })
    .await;
    assert_eq!(now.shares[pool], 100, "what is read is what is so");
    poll_async("customers after the restart", LIMIT, || async {
        (served_by(&rig, pool, 4).await == 4).then_some(())
    })
    .await;
    match progress(&*adapter, &wanted).await {
        Progress::Settled(_) => assert!(R::KEEPS, "it was forgotten"),
        Progress::Failed { .. } => assert!(!R::KEEPS, "it was kept"),
        other @ (Progress::Moving { .. } | Progress::Stuck { .. }) => panic!("waited for: {other:?}"),
    }
    // And in the middle of a move: whatever became of it, what is read is so, and the move can be made.
    apply(&*adapter, &to(100)).await.unwrap();
    settled(&*adapter, &to(100)).await;
    let wanted = to(0);
    let (_, cut) = tokio::join!(rig.restart(), apply(&*adapter, &wanted));
    if let Err(fault) = cut {
        assert!(
            matches!(
                fault,
                Fault::Unavailable(_) | Fault::Unknown(_) | Fault::Invalid(_) | Fault::NotFound(_)
            ),
            "{fault}"
        );
    }
    poll_async("an answer after the restart", LIMIT, || async {
        adapter.observe().await.ok().filter(|seen| seen.unreachable.is_empty())
    })
    .await;
    poll_async("a healthy target", LIMIT, || async { apply(&*adapter, &wanted).await.ok() }).await;
    settled(&*adapter, &wanted).await;
    assert_eq!(served_by(&rig, "green", SOME).await, SOME);
}

pub async fn refuses_nonsense(rig: impl Rig) {
    let adapter = rig.adapter();
    let strange = Move { shares: [("teal".to_owned(), 100)].into(), ..to(0) };
    let too_much = Move { shares: [("blue".to_owned(), 100), ("green".to_owned(), 100)].into(), ..to(0) };
    for nonsense in [strange, too_much, Move { shares: Default::default(), ..to(0) }] {
        assert!(matches!(apply(&*adapter, &nonsense).await, Err(Fault::Invalid(_))), "{nonsense:?}");
        assert!(matches!(adapter.preflight(&nonsense).await.unwrap(), Preflight::Refused { .. }));
        assert!(matches!(adapter.progress(&nonsense).await, Err(Fault::Invalid(_))));
    }
    assert_eq!(adapter.observe().await.unwrap().shares, shares(100));
}

pub async fn checks_itself(rig: impl Rig) {
    let lines = rig.adapter().check().await;
    assert!(!lines.is_empty());
    for line in &lines {
        assert!(!matches!(line.verdict, Verdict::Bad { .. }), "{line:?}");
    }
    let before = served_by(&rig, "blue", SOME).await;
    assert_eq!(before, SOME, "a check changes nothing");
    let bad = rig.mistaken().check().await;
    assert!(bad.iter().any(|line| !matches!(line.verdict, Verdict::Good(_))), "{bad:?}");
}
