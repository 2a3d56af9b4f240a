//! The database goes over to its standby, and with asynchronous replication forgets what was committed last. The bot reaches
//! "the database" through one address, as behind a virtual one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use lastgood::{
    engine::acts::{Act, Delivery},
    store,
};
use lastgood_core::rollback::{Phase, Standing};
use lastgood_tests::{
    lossy::{Lossy, Mode},
    process::poll_async,
    real::postgres::Pair,
};

use super::{
    life::{Life, SERVICE},
    steps::Steps,
    story::{LeftOver, Setting, TERM, active, alert, left_over, monitor, quiet, record},
};

const LIMIT: Duration = Duration::from_secs(60);

struct Place {
    setting: Setting,
    pair: Pair,
    proxy: Lossy,
    life: Life,
}

impl Place {
    async fn begin() -> Self {
        let setting = Setting::new(lastgood_tests::database::Kind::Postgres, true, true).await;
        let pair = Pair::start().await;
        let proxy = Lossy::tcp(pair.primary()).await;
        let url = format!("postgres://postgres@{}/postgres", proxy.at());
        let life = setting.begin_at(&url, &Arc::new(Steps::endless()), TERM).await.unwrap();
        record(&life.engine, SERVICE).await;
        Self { setting, pair, proxy, life }
    }

    async fn approve(&self) {
        let proposal = self.setting.chat.wait_for("a proposal", |thread| {
            !thread.root.deleted && thread.root.card().buttons.iter().any(|b| b.action.ends_with(".approve"))
        });
        let root = proposal.await.root;
        let button =
            root.card().buttons.iter().find(|b| b.action.ends_with(".approve")).unwrap().action.clone();
        self.setting.chat.press(&self.setting.ana, &button, &root.at).await;
    }

    async fn fail_over(&mut self) {
        self.proxy.set(Mode::Refuse).await;
        self.pair.fail_over().await;
        self.proxy.lead_to(self.pair.standby());
        self.proxy.set(Mode::Pass).await;
    }
}

/// In the middle of the shift; nothing is lost but the connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_that_loses_nothing_goes_on_by_itself() {
    let mut place = Place::begin().await;
    place.setting.world.hold("apply");
    place.life.engine.alert(&alert(SERVICE)).await.unwrap();
    place.approve().await;
    place.setting.world.begun("apply").await;
    place.pair.caught_up().await;
    place.fail_over().await;
    place.setting.world.hold("");
    tokio::time::timeout(LIMIT, quiet(&place.life.engine)).await.expect("it goes on by itself");
    assert_eq!(left_over(&place.life.engine).await, LeftOver::default());
    assert_eq!(place.setting.world.shifts(), 1);
    place.life.end().await;
}

/// The approval is forgotten, its effects with it, while the traffic was moved: the bot believes in a proposal, and the world
/// is where it was to go. Nothing moves that nobody asked for, and the next click ends well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_that_forgets_an_approved_shift_moves_nothing_by_itself() {
    let mut place = Place::begin().await;
    place.life.engine.alert(&alert(SERVICE)).await.unwrap();
    place
        .setting
        .chat
        .wait_for("a proposal", |thread| {
            thread.root.card().buttons.iter().any(|button| button.action.ends_with(".approve"))
        })
        .await;
    place.pair.caught_up().await;
    place.pair.cut().await;
    place.approve().await;
    poll_async("the shift", LIMIT, async || (place.setting.world.shifts() == 1).then_some(())).await;
    place.fail_over().await;

    let engine = &place.life.engine;
    let known = poll_async("the database to answer again", LIMIT, async || {
        store::rollbacks::active(engine.store.reader(), &SERVICE.into()).await.ok().flatten()
    })
    .await;
    assert!(matches!(known.state.phase, Phase::Proposed { .. }), "{:?}", known.state.phase);
    poll_async("the lease", LIMIT, async || engine.lease().remaining()).await;
    // Several looks for what is due: what was claimed by the forgotten approval ends in nothing.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(matches!(active(engine, SERVICE).await.unwrap().phase, Phase::Proposed { .. }));
    assert_eq!(place.setting.world.shifts(), 1, "it moved traffic that nobody asked it to move");

    // Whoever is asked anew decides; what is read then is so now.
    let seen = AtomicU32::new(0);
    poll_async("the run to end", LIMIT, async || {
        monitor(engine).await;
        let run = active(engine, SERVICE).await;
        let Some(run) = run else { return Some(()) };
        if let Phase::Proposed { confirming } = run.phase {
            let seen = seen.fetch_add(1, Ordering::SeqCst);
            let act = Act::Approve { confirmed: confirming, reason: None };
            let standing = Standing { approver: true, ..Standing::default() };
            let delivery = Delivery { source: "test".into(), id: format!("again {seen}") };
            let ana = &place.setting.ana;
            engine.act(run.id, run.revision, &act, ana, &standing, &delivery).await.unwrap().ok();
        }
        None
    })
    .await;
    assert_eq!((place.setting.world.shifts(), place.setting.world.shares()["blue"]), (1, 100));
    place.life.end().await;
}
