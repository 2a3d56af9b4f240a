//! A process that only executes: no chat, no people. For what several of them do to each other.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use lastgood::{
    clock::{Clock, System},
    engine::{Engine, Executor},
    service::Services,
    store::Store,
};
use lastgood_core::{At, Millis};
use tokio::{sync::watch, task::JoinHandle};

/// A clock that is wrong by as much as a test says.
#[derive(Default)]
pub struct Wrong(AtomicI64);

impl Wrong {
    pub fn by(ahead: Millis) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(ahead)))
    }

    pub fn set(&self, ahead: Millis) {
        self.0.store(ahead, Ordering::SeqCst);
    }
}

impl Clock for Wrong {
    fn now(&self) -> At {
        System.now() + self.0.load(Ordering::SeqCst)
    }
}

/// Engine and executor, not yet at work.
pub async fn process(
    url: &str,
    services: &Services,
    clock: Arc<Wrong>,
    term: Duration,
) -> (Engine, Executor) {
    let store = Store::open(url, None).await.unwrap();
    Engine::new(store, services.clone(), clock, term)
}

pub struct Worker {
    pub engine: Engine,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Worker {
    pub async fn begin((engine, executor): (Engine, Executor)) -> Self {
        executor.join().await.unwrap();
        let (stop, stopped) = watch::channel(false);
        Self { engine, stop, task: tokio::spawn(executor.run(stopped)) }
    }

    pub async fn end(self) {
        self.stop.send_replace(true);
        self.task.await.unwrap();
        self.engine.store.close().await;
    }
}

/// Changes rows behind everybody's back.
pub async fn change(engine: &Engine, sql: &str) {
    let mut tx = engine.store.begin().await.unwrap();
    let done = sqlx::query(sqlx::AssertSqlSafe(sql.to_owned())).execute(tx.conn()).await;
    engine.store.end(tx, done.map_err(Into::into), 1).await.unwrap();
}

pub async fn count(engine: &Engine, sql: &str) -> i64 {
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned())).fetch_one(engine.store.reader()).await.unwrap()
}
