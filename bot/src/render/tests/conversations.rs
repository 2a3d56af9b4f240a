//! One conversation per branch, as the thread shows it.

use insta::assert_snapshot;
use lastgood_core::{
    Artifact, IncidentId, RollbackId,
    inventory::{live::Running, target::Target},
    rollback::{
        Alerting, Applied, Approval, Decision, Event, Fetched, Kind, Preflighted, ShiftReading, Surveyed,
        Timer, TrafficNow,
    },
};

use super::world::*;
use crate::render::{Incident, incident_closed};

fn paged(escalation: u32, target: u32, failed: Option<&str>) -> Event {
    Event::Paged { escalation, target, failed: failed.map(str::to_owned) }
}

fn timer(timer: Timer) -> Event {
    Event::TimerFired { timer }
}

#[test]
fn recovered() {
    let talk = Talk::new(opening())
        .look()
        .take(found(survey()))
        .look()
        .take(approve("ana", 1))
        .look()
        .all([unchanged(), present()])
        .look()
        .take(ready())
        .look()
        .all([accepted(), settled()])
        .look()
        .take(seen(Some(0.081), 0, true))
        .look()
        .take(seen(Some(0.021), 90_000, true))
        .take(seen(Some(0.004), 90_000, true))
        .look()
        .take(seen(Some(0.003), 90_000, true))
        .take(seen(Some(0.004), 90_000, true))
        .look()
        .take(Event::AlertResolved)
        .later(10 * MIN)
        .take(timer(Timer::Confirm))
        .look()
        .take(seen(Some(0.004), 90_000, true))
        .look();
    assert_snapshot!(talk.said);
}

#[test]
fn recovered_and_bad_again() {
    let good = || seen(Some(0.003), 90_000, true);
    let bad = || seen(Some(0.21), 90_000, false);
    let mut talk = Talk::new(opening()).all(shifted()).all([good(), good(), good()]);
    talk.said.clear();
    let talk = talk.take(bad()).look().take(bad()).take(paged(1, 0, None)).look();
    assert_snapshot!(talk.said);
}

#[test]
fn healthy_and_the_alert_does_not_end() {
    let good = || seen(Some(0.003), 90_000, true);
    let mut talk = Talk::new(opening()).all(shifted()).all([good(), good(), good()]);
    talk.said.clear();
    let talk = talk.later(10 * MIN).take(timer(Timer::Confirm)).take(good()).look();
    assert_snapshot!("waits_for_its_alert", talk.said);
    let talk = talk.later(30 * MIN).take(timer(Timer::Confirm)).look();
    assert_snapshot!("alert_still_firing", talk.said);
}

#[test]
fn acknowledged_and_forgotten() {
    let unreadable = Surveyed::RouterUnreadable { detail: "connection refused".into() };
    let mut talk = Talk::new(opening()).take(Event::Surveyed { found: unreadable }).take(paged(1, 0, None));
    talk.said.clear();
    let talk = talk
        .take(Event::Acknowledged { by: actor("ana") })
        .later(30 * MIN)
        .take(timer(Timer::Act))
        .take(Event::AlertFired {
            title: "CheckoutLatency is above 2 s".into(),
            since: None,
            heard: false,
            more: 0,
        })
        .look()
        .take(Event::Acknowledged { by: actor("ben") })
        .later(240 * MIN)
        .take(timer(Timer::Idle))
        .take(Event::AlertResolved)
        .later(240 * MIN)
        .take(timer(Timer::Idle))
        .look();
    assert_snapshot!(talk.said);
}

#[test]
fn other_bytes_where_traffic_goes() {
    let mut pools = live().pools;
    pools.insert("blue".into(), Running::Seen { digest: digest('f') });
    let reading = ShiftReading::Settled { shares: to("blue"), warnings: vec![], pools };
    let mut talk = Talk::new(opening()).all(shifted().into_iter().take(6));
    talk.said.clear();
    assert_snapshot!(talk.take(Event::ShiftRead { reading }).look().said);
}

#[test]
fn rejected() {
    let reject = |reason: Option<&str>| Event::Rejected {
        by: actor("ben"),
        standing: approver(),
        revision: 1,
        reason: reason.map(str::to_owned),
    };
    let talk = Talk::new(opening())
        .take(found(survey()))
        .take(Event::AlertResolved)
        .look()
        .take(reject(Some("it is the payment provider, see their status page")))
        .look();
    assert_snapshot!(talk.said);
}

#[test]
fn drift_and_an_irreversible_release_cost_a_reason() {
    let mut survey = survey();
    survey.drift = vec!["green was last recorded with v2.4.9, and runs v2.5.0".into()];
    let talk = Talk::new(opening())
        .take(found(survey.clone()))
        .look()
        .take(approve("ana", 1))
        .look()
        .take(confirm("ana", 1))
        .take(Event::DecisionRead { decision: Decision::Changed { what: "green runs v2.5.1 now".into() } })
        .look();
    assert_snapshot!(talk.said);
    for candidate in &mut survey.choice.candidates {
        candidate.irreversible = Some(("v2.5.0".into(), "drops column orders.note".into()));
    }
    assert_snapshot!("irreversible", Talk::new(opening()).take(found(survey)).look().said);
}

#[test]
fn two_approvals_of_a_run_somebody_asked_for() {
    let mut opening = opening();
    opening.alert = None;
    opening.by = Some(actor("dee"));
    opening.reason = Some("carts are empty since the deploy".into());
    opening.policy.approvals = 2;
    opening.policy.requester_may_approve = false;
    let talk = Talk::new(opening)
        .take(found(survey()))
        .look()
        .take(approve("ana", 1))
        .look()
        .take(Event::Chosen { by: actor("ben"), standing: approver(), revision: 1, digest: digest('e') })
        .look()
        .take(approve("ana", 2))
        .take(approve("ben", 2))
        .take(unchanged())
        .look();
    assert_snapshot!(talk.said);
}

#[test]
fn a_doubtful_release_pages_first() {
    let mut survey = survey();
    survey.doubt = Some("the last release of checkout is 3 d old".into());
    survey.choice.failing.as_mut().unwrap().since = Some(-3 * 24 * 60 * MIN);
    let mut talk = Talk::new(opening());
    talk.dependencies = vec!["payments: v1.9.0 went live 4 min before the alert".into()];
    let talk = talk
        .take(found(survey))
        .look()
        .take(Event::PageAsked { by: actor("ana") })
        .take(paged(1, 0, Some("503 Service Unavailable")))
        .look()
        .take(Event::PageAsked { by: actor("ana") })
        .take(paged(2, 0, None))
        .look()
        .later(5 * MIN)
        .take(timer(Timer::Ack))
        .take(Event::Acknowledged { by: actor("carl") })
        .take(Event::ProposeAnyway { by: actor("carl"), standing: approver() })
        .look();
    assert_snapshot!(talk.said);
}

#[test]
fn not_recovered_then_next() {
    let talk = Talk::new(opening())
        .all(shifted())
        .all([
            seen(Some(0.08), 90_000, false),
            seen(Some(0.06), 90_000, true),
            seen(Some(0.07), 90_000, true),
        ])
        .look()
        .take(timer(Timer::Recover))
        .take(paged(1, 0, None))
        .look()
        .take(Event::Acknowledged { by: actor("carl") })
        .look()
        .take(Event::NextAsked { by: actor("carl"), standing: approver() })
        .look();
    assert_snapshot!(talk.said);
}

#[test]
fn no_data_is_said_honestly() {
    let talk = Talk::new(opening())
        .all(shifted())
        .take(seen(None, 90_000, true))
        .look()
        .take(timer(Timer::Recover))
        .look();
    assert_snapshot!(talk.said);
}

#[test]
fn stopped_halfway() {
    let half = [("blue".to_owned(), 40), ("green".to_owned(), 60)].into();
    let mut talk = Talk::new(opening()).all(shifted().into_iter().take(5));
    talk.progress = Some("40 % on blue".into());
    let talk = talk
        .look()
        .take(Event::StopAsked { by: actor("ben"), standing: approver() })
        .look()
        .take(Event::TrafficRead { shares: Some(half), detail: "the router was read".into() })
        .look()
        .take(Event::HandedOver { by: actor("ben"), standing: approver() })
        .look();
    assert_snapshot!(talk.said);
}

#[test]
fn an_unreachable_instance_is_overridden() {
    let unreachable = Preflighted::Unreachable {
        instances: vec!["unix:/run/haproxy/two.sock".into()],
        detail: "connection refused".into(),
    };
    let reason = "that machine is switched off, it serves nobody";
    let talk = Talk::new(opening())
        .all(shifted().into_iter().take(4))
        .take(Event::PreflightDone { preflight: unreachable })
        .look()
        .take(Event::OverrideUnreachable { by: actor("ana"), standing: approver(), reason: reason.into() })
        .take(ready())
        .take(Event::Applied { applied: Applied::Unknown { detail: "timed out after 10 s".into() } })
        .take(Event::ShiftRead {
            reading: ShiftReading::NotSettled {
                shares: to("green"),
                detail: "blue still has 0 %".into(),
                pending: false,
            },
        })
        .take(accepted())
        .take(Event::ShiftRead { reading: ShiftReading::Unreadable { detail: "socket closed".into() } })
        .look();
    assert_snapshot!(talk.said);
}

#[test]
fn undone() {
    let good = || seen(Some(0.003), 90_000, true);
    let talk = Talk::new(opening())
        .all(shifted())
        .all([good(), good(), good()])
        .take(Event::UndoAsked {
            by: actor("ana"),
            standing: approver(),
            reason: Some("v2.4.1 loses orders".into()),
        })
        .take(Event::Undone { by: RollbackId(43) })
        .look();
    assert_snapshot!("undone", talk.said);

    let mut undo = opening();
    undo.id = RollbackId(43);
    undo.parent = Some(RollbackId(42));
    undo.kind = Kind::Undo {
        of: RollbackId(42),
        to: to("green"),
        artifact: Some(artifact("v2.5.0", 'a')),
        contents: live().contents(),
    };
    (undo.by, undo.reason, undo.alert) = (Some(actor("ana")), Some("v2.4.1 loses orders".into()), None);
    let mut back = survey();
    back.live.shares = to("blue");
    back.choice.failing.as_mut().unwrap().artifact = artifact("v2.4.1", 'b');
    let talk = Talk::new(undo)
        .take(found(back))
        .look()
        .take(approve("ben", 1))
        .all([confirm("ben", 1), unchanged(), present()])
        .take(Event::PreflightDone { preflight: prepared("blue") })
        .take(accepted())
        .take(settled_on("green"))
        .all([good(), good(), good()])
        .look();
    assert_snapshot!("undo", talk.said);
}

#[test]
fn expired() {
    let talk = Talk::new(opening())
        .take(found(survey()))
        .later(5 * MIN)
        .take(timer(Timer::Answer))
        .take(paged(1, 0, None))
        .later(25 * MIN)
        .take(timer(Timer::Expiry))
        .look();
    assert_snapshot!(talk.said);
    let quiet = Talk::new(opening())
        .take(found(survey()))
        .take(Event::AlertResolved)
        .later(30 * MIN)
        .take(timer(Timer::Expiry))
        .look();
    assert_snapshot!("expired_quietly", quiet.said);
}

#[test]
fn no_candidate() {
    let mut survey = survey();
    survey.choice.candidates.pop();
    let made = Target::made(&artifact("v2.4.3", 'd'), "dddddddddddd", &live());
    (survey.choice.candidates[0].target, survey.choice.candidates[0].possible) = (Some(made), true);
    survey.choice.candidates.retain(|c| c.skip.is_some());
    survey.choice.chosen = None;
    let talk = Talk::new(opening()).take(found(survey)).take(paged(1, 0, None)).look();
    assert_snapshot!(talk.said);
}

#[test]
fn other_hands() {
    let elsewhere = TrafficNow::Elsewhere { shares: to("green"), detail: "all traffic is on green".into() };
    let Event::Observed { observation, .. } = seen(Some(0.004), 90_000, true) else { unreachable!() };
    let talk =
        Talk::new(opening()).all(shifted()).take(Event::Observed { observation, traffic: elsewhere }).look();
    assert_snapshot!("moved_by_another_hand", talk.said);
    let other = Artifact { version: "v2.5.1".into(), digest: digest('f') };
    let recorded = Event::ReleaseRecorded {
        artifact: other,
        phase: Default::default(),
        by: Some("ci".into()),
        pool: None,
    };
    assert_snapshot!("another_release", Talk::new(opening()).all(shifted()).take(recorded).look().said);
}

#[test]
fn without_approval() {
    let mut opening = opening();
    opening.policy.approval = Approval::None;
    let talk = Talk::new(opening).take(found(survey())).look().take(unchanged()).look();
    assert_snapshot!(talk.said);
}

#[test]
fn the_router_cannot_be_read() {
    let mut opening = opening();
    opening.policy.pagers = 0;
    opening.alert = Some(Alerting { title: "down".into(), since: 0, firing: true, heard: false });
    let found = Surveyed::RouterUnreadable { detail: "connection refused".into() };
    assert_snapshot!(Talk::new(opening).take(Event::Surveyed { found }).look().said);
}

#[test]
fn everything_else_that_needs_a_person() {
    let detail = || "details from outside".to_owned();
    let half = || [("blue".to_owned(), 40), ("green".to_owned(), 60)].into();
    let on_the_way = |steps: usize, event: Event| {
        let mut talk = Talk::new(opening()).all(shifted().into_iter().take(steps));
        talk.said.clear();
        talk.take(event).look().said
    };
    let missing = Event::Fetched { fetched: Fetched::Missing { detail: detail() } };
    assert_snapshot!("artifact_missing", on_the_way(3, missing));
    let refused = Preflighted::Refused { reasons: vec!["blue has 0 of 4 servers up".into(), detail()] };
    assert_snapshot!("preflight_refused", on_the_way(4, Event::PreflightDone { preflight: refused }));
    let nowhere = |shares| Event::ShiftRead {
        reading: ShiftReading::NotSettled { shares, detail: detail(), pending: false },
    };
    let failed = |shares| {
        let mut talk = Talk::new(opening()).all(shifted().into_iter().take(5));
        talk.said.clear();
        let refused = Event::Applied { applied: Applied::Failed { detail: "permission denied".into() } };
        talk.take(refused).take(nowhere(shares)).look().said
    };
    assert_snapshot!("shift_failed", failed(to("green")));
    assert_snapshot!("partly_shifted", failed(half()));
    let stuck = Event::EffectStuck { effect: "apply".into(), detail: detail() };
    assert_snapshot!("stuck", on_the_way(5, stuck));
}

#[test]
fn handed_over_after_calls_that_failed() {
    let mut opening = opening();
    opening.policy.pagers = 2;
    let talk = Talk::new(opening)
        .all(shifted())
        .take(seen(Some(0.08), 90_000, false))
        .take(timer(Timer::Recover))
        .take(paged(1, 0, Some("401 Unauthorized")))
        .take(paged(2, 1, None))
        .take(Event::CommanderSet { by: actor("ana"), standing: approver(), commander: actor("carl") })
        .take(Event::AlertResolved)
        .take(Event::AlertFired {
            title: "CheckoutErrorRate is above 5 %".into(),
            since: None,
            heard: false,
            more: 0,
        })
        .take(Event::RetryAsked { by: actor("carl"), standing: approver() })
        .take(Event::EffectStuck { effect: "observe".into(), detail: "unknown version 9".into() })
        .take(Event::HandedOver { by: actor("carl"), standing: approver() })
        .look();
    assert_snapshot!(talk.said);
}

#[test]
fn somebody_else_was_faster() {
    let there = || Event::DecisionRead { decision: Decision::AlreadyThere };
    let talk = Talk::new(opening()).all([found(survey()), approve("ana", 1), there()]).look();
    assert_snapshot!(talk.said);
    let stop = || Event::StopAsked { by: actor("ben"), standing: approver() };
    assert_snapshot!("stopped_early", Talk::new(opening()).take(found(survey())).take(stop()).look().said);
}

#[test]
fn a_closed_incident() {
    let incident = Incident { id: IncidentId(7), root_cause: Some("The pool of connections was halved.") };
    let post = incident_closed(incident, &actor("ana"), true);
    assert_snapshot!(draw(&post.card));
}
