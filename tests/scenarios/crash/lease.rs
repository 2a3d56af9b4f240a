//! Several replicas on one PostgreSQL: one stands still and comes back, two work side by side.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use lastgood::{
    engine::{
        Engine,
        acts::{Act, Delivery},
    },
    store,
};
use lastgood_core::{
    Actor,
    rollback::{Event, Phase, Standing},
};
use lastgood_tests::{database::Kind, process::poll_async};

use super::{
    life::SERVICE,
    steps::Steps,
    story::{LeftOver, Setting, TERM, active, alert, left_over, quiet},
};

/// A life on a thread of its own, which can stand still as a whole: as a stopped process does.
struct Apart {
    engine: Engine,
    freeze: mpsc::Sender<mpsc::Receiver<()>>,
    thread: std::thread::JoinHandle<()>,
}

impl Apart {
    fn begin(setting: &Arc<Setting>) -> Self {
        let (freeze, frozen) = mpsc::channel::<mpsc::Receiver<()>>();
        let (started, engine) = mpsc::channel();
        let setting = setting.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let life = setting.begin(&Arc::new(Steps::endless()), TERM).await.unwrap();
                started.send(life.engine.clone()).unwrap();
                loop {
                    match frozen.try_recv() {
                        // Nothing else runs on this thread until somebody says so.
                        Ok(thaw) => thaw.recv().unwrap(),
                        Err(mpsc::TryRecvError::Empty) => tokio::time::sleep(Duration::from_millis(5)).await,
                        Err(mpsc::TryRecvError::Disconnected) => break life.end().await,
                    }
                }
            });
        });
        Self { engine: engine.recv().unwrap(), freeze, thread }
    }

    fn freeze(&self) -> mpsc::Sender<()> {
        let (thaw, thawed) = mpsc::channel();
        self.freeze.send(thawed).unwrap();
        thaw
    }

    async fn end(self) {
        drop(self.freeze);
        drop(self.engine);
        tokio::task::spawn_blocking(|| self.thread.join().unwrap()).await.unwrap();
    }
}

/// Stands still in this call of the world; another replica takes over and finishes; then it comes back.
async fn stands_still_in(call: &'static str) {
    let setting = Arc::new(Setting::new(Kind::Postgres, true, true).await);
    setting.world.hold(call);
    let first = Apart::begin(&setting);
    let playing = tokio::spawn({
        let (setting, engine) = (setting.clone(), first.engine.clone());
        async move {
            engine.alert(&alert(SERVICE)).await.unwrap();
            let approve = setting.chat.wait_for("a proposal", |thread| {
                thread.root.card().buttons.iter().any(|button| button.action.ends_with(".approve"))
            });
            let root = approve.await.root;
            let button = root.card().buttons.iter().find(|b| b.action.ends_with(".approve")).unwrap();
            setting.chat.press(&setting.ana, &button.action, &root.at).await;
        }
    });
    tokio::time::timeout(Duration::from_secs(20), setting.world.begun(call)).await.unwrap();
    playing.await.unwrap();
    let name = first.engine.lease().owner().unwrap();
    let thaw = first.freeze();
    let second = setting.begin(&Arc::new(Steps::endless()), TERM).await.unwrap();
    poll_async("the other replica to begin", Duration::from_secs(20), async || {
        (setting.world.calls(call) > 1).then_some(())
    })
    .await;
    setting.world.hold("");
    tokio::time::timeout(Duration::from_secs(20), quiet(&second.engine)).await.unwrap();
    let applied = setting.world.calls("apply");
    let before = setting.facts(&second.engine).await;

    thaw.send(()).unwrap();
    // Back when it takes part again, under another name.
    poll_async("the first replica to come back", Duration::from_secs(20), async || {
        first.engine.lease().owner().filter(|now| *now != name)
    })
    .await;
    quiet(&first.engine).await;
    assert_eq!(setting.facts(&second.engine).await, before);
    assert_eq!(before.left_over(), &LeftOver::default());
    assert_eq!((setting.world.shifts(), setting.world.calls("apply")), (1, applied), "it shifted again");
    let run = &store::rollbacks::recent(first.engine.store.reader(), None, 1).await.unwrap()[0];
    let events = store::rollbacks::events(first.engine.store.reader(), run.state.id, 0).await.unwrap();
    assert_eq!(events.iter().filter(|e| matches!(e.event, Event::Applied { .. })).count(), 1);
    assert_eq!(setting.chat.repeats(), Vec::<String>::new());
    first.end().await;
    second.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_stands_still_in_the_middle_of_a_shift_is_replaced_and_does_nothing_more() {
    stands_still_in("apply").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_stands_still_before_the_shift_does_not_shift_when_it_comes_back() {
    stands_still_in("preflight").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_share_the_work_and_one_click_wins() {
    let setting = Setting::new(Kind::Postgres, true, true).await;
    let steps = Arc::new(Steps::endless());
    let one = setting.begin(&steps, TERM).await.unwrap();
    let other = setting.begin(&steps, TERM).await.unwrap();
    let alert = alert(SERVICE);
    let taken = tokio::join!(one.engine.alert(&alert), other.engine.alert(&alert));
    let taken = [format!("{:?}", taken.0.unwrap()), format!("{:?}", taken.1.unwrap())];
    assert!(taken.contains(&"Opened".into()) && taken.contains(&"Repeated".into()), "{taken:?}");
    let run = poll_async("a proposal", Duration::from_secs(20), async || {
        active(&one.engine, SERVICE).await.filter(|run| matches!(run.phase, Phase::Proposed { .. }))
    })
    .await;

    let click = async |engine: &Engine, who: &str| {
        let act = Act::Approve { confirmed: false, reason: None };
        let standing = Standing { approver: true, ..Standing::default() };
        let by = Actor::new(format!("test:{who}"), who);
        let delivery = Delivery { source: "test".into(), id: who.into() };
        engine.act(run.id, run.revision, &act, &by, &standing, &delivery).await.unwrap()
    };
    let (ana, ben) = tokio::join!(click(&one.engine, "ana"), click(&other.engine, "ben"));
    assert!(ana.is_ok() != ben.is_ok(), "one wins, and one is answered: {ana:?} {ben:?}");
    // The same click, delivered to the other replica, is answered the same.
    assert_eq!(click(&other.engine, "ana").await, ana);
    tokio::time::timeout(Duration::from_secs(20), quiet(&one.engine)).await.unwrap();
    assert_eq!(left_over(&one.engine).await, LeftOver::default());
    assert_eq!((setting.world.shifts(), setting.world.calls("apply")), (1, 1));
    assert_eq!(setting.chat.repeats(), Vec::<String>::new());

    // Undo of what has ended: the first click opens a run, the second is answered, and the third the same.
    let undo = async |engine: &Engine, id: &str| {
        let act = Act::Undo { reason: Some("it was not the release".into()) };
        let standing = Standing { approver: true, ..Standing::default() };
        let delivery = Delivery { source: "test".into(), id: id.into() };
        engine.act(run.id, run.revision, &act, &setting.ana, &standing, &delivery).await.unwrap()
    };
    let (first, second) = tokio::join!(undo(&one.engine, "undo 1"), undo(&other.engine, "undo 2"));
    assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
    let refusal = first.clone().and(second.clone()).unwrap_err();
    assert!(refusal.contains("RB-2"), "{refusal}");
    assert_eq!(undo(&one.engine, "undo 1").await, first);
    assert_eq!(undo(&one.engine, "undo 2").await, second);
    one.end().await;
    other.end().await;
}
