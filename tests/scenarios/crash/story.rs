//! What happens around the product, whatever happens to it: an alert that is sent until it is taken, a person who presses a
//! button again until it is answered. And what must be true at the end.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use lastgood::{
    clock::{Clock as _, System},
    delivery,
    engine::{Engine, alerts::Alert},
    service::Services,
    store::{self, Store, releases::NewRelease},
};
use lastgood_adapters::chat::{Abilities, Incoming, What};
use lastgood_core::{
    Actor, RollbackId, ServiceId, Shares,
    inventory::{Origin, Phase as ReleasePhase, Stability},
    rollback::{self, Event, Phase, Rollback},
};
use lastgood_tests::{
    database::{Database, Kind, fresh, prepared},
    process::poll,
    shop::artifact,
    standin::chat::Platform,
};

use super::{
    life::{Life, PLATFORM, ROOM, SERVICE, policy, service},
    steps::Steps,
    world::{BAD, GOOD, Ring, World},
};

/// How long a life stands by before it takes over from a dead one.
pub const TERM: Duration = Duration::from_secs(1);

pub struct Setting {
    pub database: Database,
    pub world: Arc<World>,
    pub chat: Arc<Platform>,
    pub ana: Actor,
    cures: bool,
    told: Mutex<Told>,
}

/// What the people and programs around it know to have been taken.
#[derive(Default)]
struct Told {
    alert: bool,
    approve: Click,
    acknowledge: Click,
    hand_over: Click,
}

#[derive(Default, Clone)]
struct Click {
    pressed: Option<Incoming>,
    answered: bool,
}

/// Everything that must be the same, wherever it was interrupted.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    phases: Vec<(RollbackId, &'static str, String)>,
    shares: Shares,
    shifts: u32,
    rings: Vec<Ring>,
    incidents: usize,
    rollback_releases: usize,
    mark: String,
    root: String,
    replies: Vec<String>,
    left_over: LeftOver,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct LeftOver {
    pub effects: i64,
    pub timers: i64,
    pub messages: i64,
    pub refused: i64,
    /// Runs whose recorded events don't lead to their saved state.
    pub untrue: Vec<RollbackId>,
}

impl Facts {
    pub fn left_over(&self) -> &LeftOver {
        &self.left_over
    }

    /// What was said again because nobody can look, left out.
    pub fn heard_once(mut self) -> Self {
        self.replies.dedup();
        self
    }
}

pub fn alert(service: &str) -> Alert {
    Alert {
        service: service.into(),
        fingerprint: "high-error-rate".into(),
        starts_at: System.now(),
        ends_at: None,
        firing: true,
        title: "HighErrorRate".into(),
        annotations: vec![("summary".into(), "30 % of requests fail".into())],
        ignore: false,
        names: vec!["HighErrorRate".into()],
        heard: None,
        anchor: None,
    }
}

/// What had been deployed before: the good version for a day, the bad one for five minutes.
pub async fn record(engine: &Engine, name: &str) {
    let now = engine.now();
    for (version, pool, ago) in [(GOOD, "blue", 24 * 3_600_000), (BAD, "green", 300_000)] {
        let release = NewRelease {
            service: name.into(),
            artifact: artifact(version),
            phase: ReleasePhase::Live,
            pool: Some(pool.into()),
            at: now - ago,
            by: Some("ci".into()),
            url: None,
            irreversible: None,
            origin: Origin::Recorded,
            delivery: format!("ci/{version}"),
        };
        engine.record(&release).await.unwrap();
    }
}

/// Migrations and the past.
async fn prepare(url: String) {
    let (world, steps) = (World::new(true), Arc::new(Steps::endless()));
    let nobody = Actor::new("test:nobody", "nobody");
    let services = Services::new([service(SERVICE, &world, &steps, policy(true), &nobody)]);
    let store = Store::open(&url, None).await.unwrap();
    let (engine, _executor) = Engine::new(store, services, Arc::new(System), TERM);
    record(&engine, SERVICE).await;
    engine.store.close().await;
}

/// A database with a past. SQLite: a copy of a file that was made once.
async fn database(kind: Kind) -> Database {
    static MADE: tokio::sync::OnceCell<Vec<u8>> = tokio::sync::OnceCell::const_new();
    if kind == Kind::Postgres {
        return prepared(kind, &format!("crash_{}", std::process::id()), prepare).await;
    }
    let path = |database: &Database| database.url.trim_start_matches("sqlite:").to_owned();
    let made = MADE.get_or_init(|| async {
        let first = fresh(kind).await;
        prepare(first.url.clone()).await;
        std::fs::read(path(&first)).unwrap()
    });
    let database = fresh(kind).await;
    std::fs::write(path(&database), made.await).unwrap();
    database
}

impl Setting {
    pub async fn new(kind: Kind, cures: bool, finds: bool) -> Self {
        let chat = Platform::start(PLATFORM, &[ROOM]);
        chat.set_abilities(Abilities { finds, edits: true, pace: Duration::ZERO });
        let ana = chat.person("ana");
        let world = World::new(cures);
        Self { database: database(kind).await, world, chat, ana, cures, told: Mutex::default() }
    }

    /// # Errors
    /// When the store does not let it begin.
    pub async fn begin(&self, steps: &Arc<Steps>, term: Duration) -> Result<Life, store::StoreError> {
        self.begin_at(&self.database.url, steps, term).await
    }

    /// Reaching the database in another way.
    ///
    /// # Errors
    /// When the store does not let it begin.
    pub async fn begin_at(
        &self,
        url: &str,
        steps: &Arc<Steps>,
        term: Duration,
    ) -> Result<Life, store::StoreError> {
        let checkout = service(SERVICE, &self.world, steps, policy(self.cures), &self.ana);
        Life::begin(url, Services::new([checkout]), &self.chat, steps, term).await
    }

    /// All that is to be done, from where it was left; returns when nothing is left to do.
    pub async fn play(&self, life: &Life) {
        if !self.told.lock().unwrap().alert {
            // Alertmanager sends it again until it is taken.
            while life.engine.alert(&alert(SERVICE)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            self.told.lock().unwrap().alert = true;
        }
        self.click(".approve", |told| &mut told.approve).await;
        if !self.cures {
            // A person reads first who was called; then the order of what is said is no matter of chance.
            let paged = |threads: &[lastgood_tests::standin::chat::Thread]| {
                threads.iter().any(|thread| thread.saying("was paged").is_some()).then_some(())
            };
            self.chat.wait_until("the page", paged).await;
            self.click(".acknowledge", |told| &mut told.acknowledge).await;
            let came = || self.world.rings().iter().all(|ring| ring.acknowledged).then_some(());
            poll("the pager to hear that somebody came", Duration::from_secs(30), came).await;
            self.click(".hand-over", |told| &mut told.hand_over).await;
        }
        quiet(&life.engine).await;
    }

    /// Presses a button of the root as soon as it is there, and presses again when no answer came.
    async fn click(&self, verb: &str, of: impl Fn(&mut Told) -> &mut Click) {
        let click = of(&mut self.told.lock().unwrap()).clone();
        if click.answered {
            return;
        }
        let incoming = match click.pressed {
            Some(incoming) => incoming,
            None => {
                let action = self.chat.wait_until(verb, |threads| {
                    let roots = threads.iter().rev().filter(|thread| !thread.root.deleted);
                    let mut buttons = roots.flat_map(|thread| &thread.root.card().buttons);
                    buttons.find(|button| button.action.ends_with(verb)).map(|button| button.action.clone())
                });
                let what = What::Press { action: action.await, inputs: Default::default() };
                self.chat.new_delivery(&self.ana, ROOM, what)
            }
        };
        of(&mut self.told.lock().unwrap()).pressed = Some(incoming.clone());
        while self.chat.deliver(incoming.clone()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        of(&mut self.told.lock().unwrap()).answered = true;
    }

    pub async fn facts(&self, engine: &Engine) -> Facts {
        let db = engine.store.reader();
        let runs = store::rollbacks::recent(db, None, 10).await.unwrap();
        let releases = store::releases::newest(db, &SERVICE.into(), 50).await.unwrap();
        let mark = store::releases::mark_of(db, &SERVICE.into(), &artifact(BAD).digest).await.unwrap();
        let threads = self.chat.threads();
        let here = threads.iter().rev().filter(|thread| !thread.root.deleted);
        let mut rings = self.world.rings();
        rings.iter_mut().for_each(|ring| ring.key = told(&ring.key));
        Facts {
            phases: runs.iter().map(|run| phase(&run.state)).collect(),
            shares: self.world.shares(),
            shifts: self.world.shifts(),
            rings,
            incidents: store::incidents::list(db, true).await.unwrap().len(),
            rollback_releases: releases.iter().filter(|r| r.origin == Origin::Rollback).count(),
            mark: match mark.map(|mark| mark.stability) {
                Some(Stability::Unstable { provisional, .. }) => {
                    format!("unstable, provisional {provisional}")
                }
                other => format!("{other:?}"),
            },
            root: here.clone().next().map(|thread| told(&thread.root.card().plain())).unwrap_or_default(),
            replies: here
                .rev()
                .flat_map(|thread| &thread.replies)
                .map(|reply| told(&reply.card().plain()))
                // Said only when somebody looked before the deadline.
                .filter(|text| !text.contains("first bad check"))
                .collect(),
            left_over: left_over(engine).await,
        }
    }
}

fn phase(state: &Rollback) -> (RollbackId, &'static str, String) {
    let end = match &state.phase {
        Phase::Ended { end } => format!("{end:?}"),
        other => format!("{other:?}"),
    };
    (state.id, state.phase.word(), end)
}

/// Text without what depends on how long something took, or how often somebody looked.
fn told(text: &str) -> String {
    let mut out = String::new();
    for part in text.chars() {
        match part {
            '0'..='9' if out.ends_with('#') => {}
            '0'..='9' => out.push('#'),
            '▁'..='█' => {}
            other => out.push(other),
        }
    }
    // An alert that was taken and not acknowledged comes twice.
    out.replace("# ms", "# s").replace("# min", "# s").replace(", came # times", "")
}

/// What its sender says when the alert is over.
pub fn over(service: &str) -> Alert {
    Alert { firing: false, ends_at: Some(System.now()), ..alert(service) }
}

/// Monitoring sees that it is over once the service has been stable for a while, and says so until it is taken.
pub async fn monitor(engine: &Engine) {
    let runs = store::rollbacks::recent(engine.store.reader(), None, 300).await.unwrap_or_default();
    for run in runs {
        if let Phase::Confirming { waits_for_alert: true, .. } = run.state.phase {
            engine.alert(&over(&run.state.service.0)).await.ok();
        }
    }
}

/// Until nothing is left to do: every run has ended, and all of it was told.
pub async fn quiet(engine: &Engine) {
    let mut committed = engine.store.committed();
    loop {
        monitor(engine).await;
        if let Ok(true) = is_quiet(engine).await {
            return;
        }
        // Other lives commit too.
        tokio::time::timeout(Duration::from_millis(100), committed.changed()).await.ok();
    }
}

async fn is_quiet(engine: &Engine) -> Result<bool, store::StoreError> {
    let db = engine.store.reader();
    let runs = store::rollbacks::recent(db, None, 300).await?;
    let ended = !runs.is_empty() && runs.iter().all(|run| !run.state.active());
    if !ended || store::effects::unfinished(db).await? > 0 {
        return Ok(false);
    }
    for run in &runs {
        if !delivery::caught_up(engine, run.state.id).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

pub async fn left_over(engine: &Engine) -> LeftOver {
    let db = engine.store.reader();
    let count = async |sql: &'static str| -> i64 { sqlx::query_scalar(sql).fetch_one(db).await.unwrap() };
    let mut untrue = vec![];
    for run in store::rollbacks::recent(db, None, 300).await.unwrap() {
        if replayed(engine, run.state.id).await != Some(run.state.clone()) {
            untrue.push(run.state.id);
        }
    }
    LeftOver {
        effects: store::effects::unfinished(db).await.unwrap(),
        timers: count("SELECT COUNT(*) FROM timers").await,
        messages: count("SELECT COUNT(*) FROM messages WHERE status <> 'done'").await,
        refused: store::messages::refused(db).await.unwrap(),
        untrue,
    }
}

/// A run as its recorded events make it.
async fn replayed(engine: &Engine, id: RollbackId) -> Option<Rollback> {
    let mut state: Option<Rollback> = None;
    for (number, committed) in
        (1..).zip(store::rollbacks::events(engine.store.reader(), id, 0).await.unwrap())
    {
        assert_eq!(committed.seq, number, "{id} has a gap in its events");
        state = match (&state, &committed.event) {
            (None, Event::Opened(opening)) => Some(rollback::open(opening).state),
            (Some(state), event) => Some(rollback::step(state, event, committed.at).unwrap().state),
            (None, event) => panic!("{id} begins with {event:?}"),
        };
    }
    state
}

pub async fn active(engine: &Engine, service: &str) -> Option<Rollback> {
    let service = ServiceId::from(service);
    store::rollbacks::active(engine.store.reader(), &service).await.unwrap().map(|saved| saved.state)
}
