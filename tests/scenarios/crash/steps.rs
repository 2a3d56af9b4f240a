//! Steps of one life of the product, counted: before and after every commit, before and after every call of the world. At
//! the chosen one it ends: from there on nothing of this life reaches the database or the world.

use std::sync::Mutex;

use lastgood::store::Fuse;
use tokio::sync::watch;

pub struct Steps {
    /// Step at which it ends, from 1; 0: never.
    ends_at: u64,
    /// Life goes on: only this one commit fails, or only its answer is lost.
    once: bool,
    taken: Mutex<(u64, String)>,
    burnt: watch::Sender<bool>,
}

impl Steps {
    pub fn until(ends_at: u64) -> Self {
        Self { ends_at, once: false, taken: Mutex::default(), burnt: watch::Sender::new(false) }
    }

    /// Lives on after this commit, counted from 1 with two for each (before, after), was told to have failed.
    pub fn stumbling_at(step: u64) -> Self {
        Self { once: true, ..Self::until(step) }
    }

    pub fn endless() -> Self {
        Self::until(0)
    }

    /// Whether life goes on after this step.
    fn take(&self, what: &str) -> bool {
        if self.burnt() {
            return false;
        }
        let mut taken = self.taken.lock().unwrap();
        taken.0 += 1;
        what.clone_into(&mut taken.1);
        if taken.0 == self.ends_at {
            drop(taken);
            if !self.once {
                self.burn();
            }
            return false;
        }
        true
    }

    /// Ends this life now.
    pub fn burn(&self) {
        self.burnt.send_replace(true);
    }

    /// How many steps were taken, and which was the last one.
    pub fn taken(&self) -> (u64, String) {
        self.taken.lock().unwrap().clone()
    }

    pub async fn ended(&self) {
        self.burnt.subscribe().wait_for(|burnt| *burnt).await.unwrap();
    }

    /// A call of the world. When this life ends at it, it never comes back.
    pub async fn call<T>(&self, what: &str, call: impl Future<Output = T>) -> T {
        if self.once {
            return call.await;
        }
        if !self.take(&format!("before {what}")) {
            std::future::pending::<()>().await;
        }
        let answer = call.await;
        if !self.take(&format!("after {what}")) {
            std::future::pending::<()>().await;
        }
        answer
    }
}

impl Fuse for Steps {
    fn burnt(&self) -> bool {
        *self.burnt.borrow()
    }

    fn before_commit(&self) -> bool {
        self.take("before a commit")
    }

    fn after_commit(&self) -> bool {
        self.take("after a commit")
    }
}
