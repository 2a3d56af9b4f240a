//! What counts as normal is read from before the trouble, once for all runs of an incident: never from inside an alert, and never
//! from what a rollback itself has made.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use lastgood::{
    engine::acts::{Act, Delivery},
    service::{Metric, Services},
    store::{self, Store, alerts::Fired},
};
use lastgood_adapters::{
    Check, Fault,
    metrics::{Metrics, Sample},
};
use lastgood_core::{
    At, RollbackId, ThreadId,
    rollback::{Event, Phase, Rollback, Standing},
};
use lastgood_tests::{
    database::{Kind, both},
    process::poll_async,
};

use super::{
    life::{Life, SERVICE, policy, service},
    steps::Steps,
    story::{Setting, TERM, alert},
};

const MIN: At = 60_000;
/// What the service's rate was on a normal day, and in trouble.
const NORMAL: f64 = 0.002;
const TROUBLE: f64 = 0.4;

/// A rate that was bad in an earlier trouble, and has been since the release that fails.
struct Past {
    earlier: (At, At),
    since: At,
    asked: Mutex<Vec<At>>,
}

#[async_trait]
impl Metrics for Past {
    fn window(&self) -> Duration {
        Duration::from_secs(60)
    }

    async fn error_rate(&self, at: At) -> Result<Option<Sample>, Fault> {
        self.asked.lock().unwrap().push(at);
        let bad = at >= self.since || (at >= self.earlier.0 && at - MIN <= self.earlier.1);
        Ok(Some(Sample { rate: if bad { TROUBLE } else { NORMAL }, requests: Some(1_000.0) }))
    }

    async fn check(&self, _now: At) -> Vec<Check> {
        vec![]
    }
}

/// An alert that is over, of a thread long ago.
async fn earlier_alert(store: &Store, (from, to): (At, At)) {
    let mut tx = store.begin().await.unwrap();
    let service = SERVICE.into();
    let fired = Fired {
        service: &service,
        fingerprint: "earlier",
        starts_at: from,
        title: "Earlier",
        thread: Some(ThreadId(900)),
        heard: None,
        names: &[],
    };
    let written = async {
        tx.lock(&service).await?;
        tx.alert_fired(&fired, from).await?;
        tx.alert_resolved(&service, "earlier", to).await
    };
    let written = written.await.map(drop);
    store.end(tx, written, 1).await.unwrap().unwrap();
}

async fn run(life: &Life, number: i64, is: impl Fn(&Phase) -> bool) -> Rollback {
    poll_async("the phase", Duration::from_secs(20), || async {
        let saved = store::rollbacks::get(life.engine.store.reader(), RollbackId(number)).await.unwrap()?;
        is(&saved.state.phase).then_some(saved.state)
    })
    .await
}

async fn acts(life: &Life, setting: &Setting, on: &Rollback, act: &Act) {
    let standing = Standing { approver: true, ..Standing::default() };
    let delivery = Delivery { source: "test".into(), id: format!("{}/{act:?}", on.id) };
    let answered = life.engine.act(on.id, on.revision, act, &setting.ana, &standing, &delivery).await;
    assert_eq!(answered.unwrap(), Ok(()));
}

async fn baselines(kind: Kind) {
    let setting = Setting::new(kind, false, true).await;
    let steps = Arc::new(Steps::endless());
    let released = newest_release(&setting).await;
    // Over only half a minute before the release that fails: a rate of then is none of a normal day.
    let earlier = (released - 4 * MIN, released - MIN / 2);
    let past = Arc::new(Past { earlier, since: released, asked: Mutex::default() });
    let mut checkout = service(SERVICE, &setting.world, &steps, policy(false), &setting.ana);
    checkout.metrics = vec![Metric { name: "errors".into(), source: past.clone(), baseline: None }];
    let life = Life::begin(&setting.database.url, Services::new([checkout]), &setting.chat, &steps, TERM);
    let life = life.await.unwrap();
    earlier_alert(&life.engine.store, earlier).await;

    life.engine.alert(&alert(SERVICE)).await.unwrap();
    let first = run(&life, 1, |phase| matches!(phase, Phase::Proposed { .. })).await;
    let [baseline] = first.baselines.as_slice() else { panic!("{:?}", first.baselines) };
    // Alerts fire a while after what they are about began.
    let before = earlier.0 - 5 * MIN;
    assert_eq!((baseline.at, baseline.rate), (before, Some(NORMAL)), "the last minute before all trouble");
    acts(&life, &setting, &first, &Act::Approve { confirmed: true, reason: None }).await;
    let first = run(&life, 1, |phase| matches!(phase, Phase::Escalated { .. })).await;
    judged_by_what_was_normal(&life).await;

    // The second run of the incident begins in the outage, after a shift of lastgood's own.
    let asked = past.asked.lock().unwrap().iter().filter(|at| **at < released).count();
    acts(&life, &setting, &first, &Act::Next).await;
    let second = run(&life, 2, |phase| !matches!(phase, Phase::Surveying)).await;
    assert_eq!(second.baselines, first.baselines);
    let again = past.asked.lock().unwrap().iter().filter(|at| **at < released).count();
    assert_eq!(again, asked, "read once");
    life.end().await;
}

/// When the failing version was recorded.
async fn newest_release(setting: &Setting) -> At {
    let store = Store::open(&setting.database.url, None).await.unwrap();
    let newest = store::releases::newest(store.reader(), &SERVICE.into(), 1).await.unwrap();
    store.close().await;
    newest[0].at
}

async fn judged_by_what_was_normal(life: &Life) {
    let events = store::rollbacks::events(life.engine.store.reader(), RollbackId(1), 0).await.unwrap();
    let seen = events.iter().filter_map(|committed| match &committed.event {
        Event::Observed { observation, .. } => observation.metrics.first(),
        _ => None,
    });
    let baselines: Vec<_> = seen.map(|metric| metric.baseline).collect();
    assert!(!baselines.is_empty() && baselines.iter().all(|rate| *rate == Some(NORMAL)), "{baselines:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_normal_is_read_once_and_from_before_all_trouble() {
    for kind in both() {
        baselines(kind).await;
    }
}
