//! One outage of many services: one page for it, whatever happens to the process while it is made.

use std::{sync::Arc, time::Duration};

use lastgood::{
    engine::acts::{Act, Delivery},
    service::Services,
    store,
};
use lastgood_core::{
    Actor, RollbackId,
    rollback::{Phase, Policy, Rollback, Standing},
};
use lastgood_tests::{
    database::{Database, Kind, fresh},
    process::{poll, poll_async},
    standin::chat::Platform,
};

use super::{
    life::{Life, PLATFORM, ROOM, policy, service},
    steps::Steps,
    story::{TERM, alert, record},
    world::World,
};

const NAMES: [&str; 5] = ["api", "cart", "checkout", "login", "search"];
const LIMIT: Duration = Duration::from_secs(30);

/// Five services, and one pager for all of them.
struct Outage {
    database: Database,
    world: Arc<World>,
    chat: Arc<Platform>,
    ana: Actor,
    /// How long nobody may acknowledge before a call is repeated, in milliseconds.
    ack_within: i64,
}

impl Outage {
    async fn new(kind: Kind, ack_within: i64) -> Self {
        let chat = Platform::start(PLATFORM, &[ROOM]);
        let ana = chat.person("ana");
        Self { database: fresh(kind).await, world: World::new(true), chat, ana, ack_within }
    }

    async fn begin(&self) -> Life {
        self.begin_with(|_| "oncall").await
    }

    /// A service calls the pager of this name.
    async fn begin_with(&self, pager: impl Fn(&str) -> &'static str) -> Life {
        let steps = Arc::new(Steps::endless());
        let policy = Policy { answer_within: 1_500, ack_within: self.ack_within, ..policy(true) };
        let one = |name: &&str| {
            let mut service = service(name, &self.world, &steps, policy.clone(), &self.ana);
            service.pagers[0].0 = pager(name).to_owned();
            service
        };
        let services = Services::new(NAMES.iter().map(one));
        Life::begin(&self.database.url, services, &self.chat, &steps, TERM).await.unwrap()
    }

    /// Everything alerts, and nobody answers.
    async fn strikes(&self, life: &Life) {
        for name in NAMES {
            record(&life.engine, name).await;
        }
        for name in NAMES {
            life.engine.alert(&alert(name)).await.unwrap();
        }
    }

    /// Keys of what rings.
    fn rings(&self) -> Vec<String> {
        self.world.rings().into_iter().filter(|ring| ring.open).map(|ring| ring.key).collect()
    }
}

async fn runs(life: &Life) -> Vec<Rollback> {
    let db = life.engine.store.reader();
    let mut runs: Vec<_> =
        store::rollbacks::recent(db, None, 10).await.unwrap().into_iter().map(|run| run.state).collect();
    runs.sort_by_key(|run| run.id);
    runs
}

/// Until this is true of every run.
async fn until(life: &Life, what: &str, fits: impl Fn(&Rollback) -> bool) -> Vec<Rollback> {
    poll_async(what, LIMIT, || async {
        let runs = runs(life).await;
        (runs.len() == NAMES.len() && runs.iter().all(&fits)).then_some(runs)
    })
    .await
}

fn called(run: &Rollback) -> bool {
    run.pages.iter().any(|page| page.delivered == Some(true))
}

async fn act(life: &Life, ana: &Actor, run: RollbackId, act: Act) {
    let standing = Standing { approver: true, ..Standing::default() };
    let delivery = Delivery { source: "test".into(), id: format!("{run}/{act:?}") };
    let state = store::rollbacks::get(life.engine.store.reader(), run).await.unwrap().unwrap().state;
    life.engine.act(run, state.revision, &act, ana, &standing, &delivery).await.unwrap().unwrap();
}

async fn no_effects_left(life: &Life) {
    poll_async("the last effects", LIMIT, || async {
        (store::effects::unfinished(life.engine.store.reader()).await.unwrap() == 0).then_some(())
    })
    .await;
}

/// One page; who comes to one run comes to all; it ends with the last of them.
async fn one_page(kind: Kind) {
    let outage = Outage::new(kind, 300_000).await;
    let life = outage.begin().await;
    outage.strikes(&life).await;
    let all = until(&life, "everybody to be paged", called).await;
    assert_eq!(outage.world.rings().len(), 1, "one page: {:?}", outage.world.rings());
    let shown = outage.world.summaries();
    assert_eq!(shown.len(), NAMES.len(), "each is named in the page's log: {shown:#?}");
    assert!(shown.iter().all(|text| text.contains("api, cart, checkout, login, search")), "{shown:#?}");

    act(&life, &outage.ana, all[2].id, Act::Acknowledge).await;
    let acknowledged = |run: &Rollback| run.pages.iter().all(|page| page.acknowledged.is_some());
    let all = until(&life, "who came to one to have come to all", acknowledged).await;
    assert!(all.iter().all(|run| run.commander.as_ref() == Some(&outage.ana)));
    poll("the pager to hear of it", LIMIT, || outage.world.rings()[0].acknowledged.then_some(())).await;

    // A reason of its own, later: it rings by itself.
    act(&life, &outage.ana, all[0].id, Act::PageCommander).await;
    poll("a page of its own", LIMIT, || (outage.rings().len() == 2).then_some(())).await;
    let all = runs(&life).await;
    assert!(all[0].ringing().is_some() && all[1..].iter().all(|run| run.ringing().is_none()));

    let shared = outage.world.rings()[0].key.clone();
    for run in &all[..4] {
        act(&life, &outage.ana, run.id, Act::Reject { reason: None }).await;
    }
    no_effects_left(&life).await;
    assert_eq!(outage.rings(), [shared], "one of them needs somebody still, and only its page is open");
    act(&life, &outage.ana, all[4].id, Act::Reject { reason: None }).await;
    poll("the end of the page", LIMIT, || outage.rings().is_empty().then_some(())).await;
    life.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_many_services_is_one_page_on_sqlite() {
    one_page(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_many_services_is_one_page_on_postgresql() {
    one_page(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_called_by_another_pager_has_a_page_of_their_own() {
    let outage = Outage::new(Kind::Sqlite, 300_000).await;
    let life = outage.begin_with(|name| if name == "login" { "identity" } else { "oncall" }).await;
    outage.strikes(&life).await;
    let all = until(&life, "everybody to be paged", called).await;
    assert_eq!(outage.rings().len(), 2, "{:?}", outage.rings());
    act(&life, &outage.ana, all[0].id, Act::Acknowledge).await;
    let at_login = |run: &Rollback| run.service.0 == "login";
    until(&life, "the others to be acknowledged", |run| at_login(run) == run.ringing().is_some()).await;
    for run in &all {
        act(&life, &outage.ana, run.id, Act::Reject { reason: None }).await;
    }
    poll("the end of both", LIMIT, || outage.rings().is_empty().then_some(())).await;
    life.end().await;
}

/// Nobody comes: all of them together call as often as one would.
async fn repeated_once(kind: Kind) {
    let outage = Outage::new(kind, 2_000).await;
    let life = outage.begin().await;
    outage.strikes(&life).await;
    let thrice = |run: &Rollback| run.pages.iter().filter(|page| page.delivered == Some(true)).count() >= 3;
    until(&life, "two rounds of calls in vain", thrice).await;
    let calls = outage.world.calls("page");
    // The first calls, so that each is named in the page's log; then one for each round, of which a third may have begun.
    assert!((NAMES.len() + 2..=NAMES.len() + 3).contains(&calls), "{calls} calls");
    assert_eq!(outage.world.rings().len(), 1);
    for run in runs(&life).await {
        act(&life, &outage.ana, run.id, Act::Reject { reason: None }).await;
    }
    poll("the end of the page", LIMIT, || outage.rings().is_empty().then_some(())).await;
    life.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_page_is_repeated_once_for_all_on_sqlite() {
    repeated_once(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_page_is_repeated_once_for_all_on_postgresql() {
    repeated_once(Kind::Postgres).await;
}

/// The process dies while everybody is being called, and while the pager is being told that somebody came.
async fn dies_in_the_middle(kind: Kind) {
    let outage = Outage::new(kind, 300_000).await;
    let life = outage.begin().await;
    outage.world.hold("page");
    outage.strikes(&life).await;
    outage.world.begun("page").await;
    life.die().await;
    assert!(outage.rings().is_empty(), "held before the pager took it");
    outage.world.hold("");
    let life = outage.begin().await;
    let all = until(&life, "everybody to be paged", called).await;
    assert_eq!(outage.world.rings().len(), 1, "{:?}", outage.world.rings());

    outage.world.hold("acknowledge");
    act(&life, &outage.ana, all[0].id, Act::Acknowledge).await;
    outage.world.begun("acknowledge").await;
    life.die().await;
    assert!(!outage.world.rings()[0].acknowledged);
    outage.world.hold("");
    let life = outage.begin().await;
    let acknowledged = |run: &Rollback| run.pages.iter().all(|page| page.acknowledged.is_some());
    let all = until(&life, "who came to one to have come to all", acknowledged).await;
    poll("the pager to hear of it", LIMIT, || outage.world.rings()[0].acknowledged.then_some(())).await;
    no_effects_left(&life).await;
    for run in &all {
        let events = store::rollbacks::events(life.engine.store.reader(), run.id, 0).await.unwrap();
        let came = events.iter().filter(|event| event.event.kind() == "acknowledged").count();
        assert_eq!(came, 1, "{}: once", run.id);
        assert!(matches!(run.phase, Phase::Proposed { .. }));
        act(&life, &outage.ana, run.id, Act::Reject { reason: None }).await;
    }
    poll("the end of the page", LIMIT, || outage.rings().is_empty().then_some(())).await;
    life.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_page_outlives_the_process_on_sqlite() {
    dies_in_the_middle(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_page_outlives_the_process_on_postgresql() {
    dies_in_the_middle(Kind::Postgres).await;
}
