//! An engine on a database, without an executor: what it decides is seen in what it writes.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use lastgood::{
    app::{self, App},
    clock::Clock,
    config::Config,
    engine::{
        Engine,
        acts::{Act, Delivery},
        alerts::{Alert, Taken},
    },
    store::{self, Store, releases::NewRelease},
};
use lastgood_core::{
    Actor, Artifact, At, ReleaseId, RollbackId, Shares,
    inventory::{
        Origin, Phase as ReleasePhase,
        choice::{Candidate, Choice},
        live::{Live, Running},
        suspect::Suspect,
        target::Target,
    },
    rollback::{Decision, Event, Fetched, Preflighted, Rollback, Standing, Survey, Surveyed},
};
use lastgood_tests::{
    database::{Database, Kind, fresh},
    shop::artifact,
};

/// 2027-01-15T08:00:00Z
pub const NOW: At = 1_800_000_000_000;
pub const MINUTE: At = 60_000;
pub const HOUR: At = 60 * MINUTE;

const SERVICE: &str = r#"
[services.NAME]
environment = "production"
room = "terminal:incidents"
approvers = ["os:ana"]
page = ["oncall"]
alerts = ['service="NAME"']
health.http = [{ url = "http://127.0.0.1:9/healthz" }]
traffic = { strategy = "blue-green", kind = "haproxy", instances = ["unix:/nowhere/haproxy.sock"], switch = { map = "/m", key = "k", blue = "be_blue", green = "be_green" } }
pools = { blue = {}, green = {} }
"#;

#[derive(Clone)]
struct Hands(Arc<AtomicI64>);

impl Clock for Hands {
    fn now(&self) -> At {
        self.0.load(Ordering::SeqCst)
    }
}

pub struct Place {
    pub engine: Engine,
    hands: Hands,
    pub database: Database,
    _folder: tempfile::TempDir,
}

impl Place {
    /// With these services, each with these keys as well.
    pub async fn new(kind: Kind, names: &[&str], keys: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("key");
        std::fs::write(&secret, "hunter2-0123456789abcdef").unwrap();
        let pager = format!("[pagers.oncall]\nkind = \"pagerduty\"\nrouting_key = {{ file = {secret:?} }}\n");
        let traffic = format!("{keys}\ntraffic = ");
        let service = |name: &&str| SERVICE.replace("NAME", name).replace("traffic = ", &traffic);
        let services: String = names.iter().map(service).collect();
        let (config, _) = Config::parse(&format!("{pager}{services}"), "x.toml").unwrap();
        let client = lastgood_adapters::client::client().unwrap();
        let services = app::services(&config, &client).unwrap();
        let database = fresh(kind).await;
        let store = Store::open(&database.url, None).await.unwrap();
        let hands = Hands(Arc::new(AtomicI64::new(NOW)));
        let (app, _) = App::with(config, services, store, client, Arc::new(hands.clone()));
        Self { engine: app.engine, hands, database, _folder: folder }
    }

    pub fn now(&self) -> At {
        self.hands.now()
    }

    /// Time goes on.
    pub fn later(&self, by: At) {
        self.hands.0.fetch_add(by, Ordering::SeqCst);
    }

    /// A webhook about checkout.
    pub async fn told(&self, name: &str, firing: bool) -> Taken {
        self.engine.alert(&alert("checkout", name, firing)).await.unwrap()
    }

    pub async fn run(&self, number: i64) -> Rollback {
        let db = self.engine.store.reader();
        store::rollbacks::get(db, RollbackId(number)).await.unwrap().expect("the run").state
    }

    pub async fn takes(&self, number: i64, event: Event) {
        self.engine.take(RollbackId(number), &event).await.unwrap();
    }

    /// An approver does this to what they see.
    pub async fn acts(&self, number: i64, act: &Act) {
        let (ana, standing) = (ana(), Standing { approver: true, ..Standing::default() });
        let revision = self.run(number).await.revision;
        let delivery = Delivery { source: "test".into(), id: format!("{number}/{act:?}/{}", self.now()) };
        let run = RollbackId(number);
        let answered = self.engine.act(run, revision, act, &ana, &standing, &delivery).await.unwrap();
        assert_eq!(answered, Ok(()));
    }

    /// Surveys; `failing` serves from green, `good` waits in blue.
    pub async fn surveyed(&self, number: i64, failing: &str) {
        let found = Surveyed::Found(Box::new(survey(failing)));
        self.takes(number, Event::Surveyed { found }).await;
    }

    /// From the proposal until traffic begins to move.
    pub async fn moves(&self, number: i64) {
        self.takes(number, Event::DecisionRead { decision: Decision::Unchanged }).await;
        self.takes(number, Event::Fetched { fetched: Fetched::Present { detail: String::new() } }).await;
        let preflight =
            Preflighted::Ready { before: to("green"), warnings: vec![], pools: Default::default() };
        self.takes(number, Event::PreflightDone { preflight }).await;
    }

    pub async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(self.engine.store.reader()).await.unwrap()
    }

    pub async fn events(&self, kind: &str) -> i64 {
        let sql = "SELECT COUNT(*) FROM events WHERE kind = $1";
        sqlx::query_scalar(sql).bind(kind.to_owned()).fetch_one(self.engine.store.reader()).await.unwrap()
    }

    /// What the audit says of this, the oldest first: actor, service and detail.
    pub async fn audited(&self, what: &str) -> Vec<(String, String, String)> {
        let sql = "SELECT actor, service, detail FROM audit WHERE what = $1 ORDER BY id";
        sqlx::query_as(sql).bind(what.to_owned()).fetch_all(self.engine.store.reader()).await.unwrap()
    }

    pub async fn records(&self, version: &str) {
        let new = NewRelease {
            service: "checkout".into(),
            artifact: artifact(version),
            phase: ReleasePhase::Live,
            pool: None,
            at: self.now(),
            by: None,
            url: None,
            irreversible: None,
            origin: Origin::Recorded,
            delivery: version.into(),
        };
        self.engine.record(&new).await.unwrap();
    }
}

pub fn ana() -> Actor {
    Actor::new("os:ana", "ana")
}

/// An alert that began when the clock did.
pub fn alert(service: &str, name: &str, firing: bool) -> Alert {
    Alert {
        service: service.into(),
        fingerprint: format!("fingerprint of {name}"),
        starts_at: NOW - MINUTE,
        ends_at: None,
        firing,
        title: name.into(),
        annotations: vec![],
        ignore: false,
        names: vec![name.into()],
        heard: None,
        anchor: None,
    }
}

pub fn to(pool: &str) -> Shares {
    ["blue", "green"].map(|name| (name.to_owned(), if name == pool { 100 } else { 0 })).into()
}

fn survey(failing: &str) -> Survey {
    let (bad, good): (Artifact, Artifact) = (artifact(failing), artifact("good"));
    let pools = [("blue", &good), ("green", &bad)]
        .map(|(pool, held)| (pool.to_owned(), Running::Seen { digest: held.digest.clone() }));
    let live = Live { shares: to("green"), pools: pools.into(), ..Live::default() };
    let candidate = Candidate {
        target: Target::in_pool(&good, "blue", &live),
        release: ReleaseId(1),
        artifact: good.clone(),
        at: NOW - 48 * HOUR,
        skip: None,
        irreversible: None,
        pools: vec!["blue".into()],
        warning: None,
        because: None,
        possible: true,
    };
    let suspect = Suspect { artifact: bad, since: Some(NOW - HOUR), share: 100, url: None, by: None };
    let choice = Choice {
        failing: Some(suspect),
        candidates: vec![candidate],
        chosen: Some(good.digest),
        notes: vec![],
    };
    Survey { choice, live, made_as: None, drift: vec![], notes: vec![], doubt: None, baselines: vec![] }
}
