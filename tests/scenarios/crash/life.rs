//! One life of the product: engine, executor, delivery and desk on a database, reaching the world through counted steps.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use lastgood::{
    clock::System,
    delivery::{Chats, Delivery},
    desk::Desk,
    engine::Engine,
    service::{Metric, Pool, Room, Service, Services},
    store::{Store, StoreError},
};
use lastgood_adapters::{
    Check, Fault,
    chat::{Abilities, Chat, Inbox, MessageRef, Outgoing},
};
use lastgood_core::{Actor, card::Card, rollback::Policy, verdict::Tolerance};
use lastgood_tests::standin::chat::Platform;
use tokio::{sync::watch, task::JoinHandle};

use super::{
    steps::Steps,
    world::{BAD, GOOD, Reach, Runs, World},
};

pub const PLATFORM: &str = "test";
pub const ROOM: &str = "#incidents";
pub const SERVICE: &str = "checkout";

/// Fast where nobody has to wait, and far where nothing must happen by itself.
pub fn policy(cures: bool) -> Policy {
    Policy { every: 10, bake: 30, recover_within: if cures { 30_000 } else { 50 }, ..Policy::default() }
}

/// A service of this name, in front of this world.
pub fn service(
    name: &str,
    world: &Arc<World>,
    steps: &Arc<Steps>,
    policy: Policy,
    approver: &Actor,
) -> Service {
    let reach = Reach { world: world.clone(), steps: steps.clone() };
    let port = Arc::new(reach.clone());
    let pool = |version| Pool {
        metrics: vec![],
        version: Some(Arc::new(Runs(reach.clone(), version))),
        health: vec![Arc::new(reach.clone())],
    };
    Service {
        id: name.into(),
        environment: "production".into(),
        rooms: vec![Room { platform: PLATFORM.into(), name: ROOM.into() }],
        hears: Default::default(),
        approvers: vec![approver.id.clone()],
        fallback_approvers: Vec::new(),
        commander: None,
        depends_on: vec![],
        policy,
        min_bake: 600_000,
        suspect_within: 24 * 3_600_000,
        again_after: 30 * 60_000,
        alert_expires: 6 * 3_600_000,
        at_once: 2,
        tolerance: Tolerance::default(),
        needs_pool: true,
        only_recorded: vec![],
        must_pull: true,
        shifter: port.clone(),
        registry: Some(port.clone()),
        pools: [("blue".to_owned(), pool(GOOD)), ("green".to_owned(), pool(BAD))].into(),
        health: vec![port.clone()],
        metrics: vec![Metric { name: "error rate".into(), source: port.clone(), baseline: Some(0.01) }],
        pagers: vec![("oncall".into(), port)],
        public_url: None,
    }
}

/// The chat, as this life reaches it.
struct Reached {
    platform: Arc<Platform>,
    steps: Arc<Steps>,
}

#[async_trait]
impl Chat for Reached {
    fn abilities(&self) -> Abilities {
        self.platform.abilities()
    }

    async fn post(&self, message: &Outgoing) -> Result<MessageRef, Fault> {
        self.steps.call("post", self.platform.post(message)).await
    }

    async fn update(&self, at: &MessageRef, card: &Card) -> Result<(), Fault> {
        self.steps.call("update", self.platform.update(at, card)).await
    }

    async fn find(&self, message: &Outgoing) -> Result<Option<MessageRef>, Fault> {
        self.steps.call("find", self.platform.find(message)).await
    }

    async fn belongs(&self, actor: &Actor, group: &str) -> Result<bool, Fault> {
        self.platform.belongs(actor, group).await
    }

    async fn listen(&self, inbox: Arc<dyn Inbox>) {
        self.platform.listen(inbox).await;
    }

    async fn check(&self, rooms: &[String]) -> Vec<Check> {
        self.platform.check(rooms).await
    }
}

pub struct Life {
    pub engine: Engine,
    steps: Arc<Steps>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Life {
    /// Begins to work.
    ///
    /// # Errors
    /// When the store does not let it begin.
    pub async fn begin(
        url: &str,
        services: Services,
        platform: &Arc<Platform>,
        steps: &Arc<Steps>,
        term: Duration,
    ) -> Result<Self, StoreError> {
        let store = Store::open(url, None).await?.guarded_by(steps.clone());
        let (engine, executor) = Engine::new(store, services, Arc::new(System), term);
        executor.join().await?;
        let chat: Arc<dyn Chat> = Arc::new(Reached { platform: platform.clone(), steps: steps.clone() });
        let chats = Chats::new([(PLATFORM.to_owned(), chat.clone())]);
        let desk = Arc::new(Desk::new(engine.clone(), chats.clone(), PLATFORM));
        let (stop, stopped) = watch::channel(false);
        let tasks = vec![
            tokio::spawn(executor.run(stopped.clone())),
            tokio::spawn(Delivery::new(engine.clone(), chats).run(stopped)),
            tokio::spawn(async move { chat.listen(desk).await }),
        ];
        Ok(Self { engine, steps: steps.clone(), stop, tasks })
    }

    /// Gone from one moment to the next, as after SIGKILL.
    pub async fn die(self) {
        self.steps.burn();
        for task in self.tasks {
            task.abort();
            task.await.ok();
        }
    }

    /// Ends in order.
    pub async fn end(mut self) {
        self.stop.send_replace(true);
        let listens = self.tasks.pop().unwrap();
        listens.abort();
        for task in self.tasks {
            task.await.unwrap();
        }
        self.engine.store.close().await;
    }
}
