//! Discord inside the test: its interface over HTTPS as `discord.com`, its gateway and its signed requests on loopback, written
//! from the published documentation, refusing what Discord refuses; the people who type and click there; and what they see. As
//! unreliable as asked for: down, slow, rate limiting, losing answers, closing or forgetting sessions.

mod answers;
mod deliver;
mod gateway;
mod messages;
mod methods;
mod multipart;
mod people;
mod rules;
mod show;
mod state;
mod tls;
mod trouble;
mod web;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use ed25519_dalek::SigningKey;
use tokio::sync::watch;

pub use deliver::Forged;
pub use messages::{Message, Shown};
pub use people::{Modal, Saw, Who};
pub use show::Thread;
use state::State;
pub use state::{APP, BOT_TOKEN, GUILD};

/// How long the people in a test wait for something to show before they give up.
const PATIENCE: Duration = Duration::from_secs(30);
/// Discord gives an application this long for its first answer.
const WITHIN: Duration = Duration::from_secs(3);

/// A server ("guild"). Cheap to clone.
#[derive(Clone)]
pub struct Discord(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    /// Increases with everything that somebody could see.
    changed: watch::Sender<u64>,
    address: SocketAddr,
    /// `ws://127.0.0.1:PORT`.
    sockets: String,
    ca: String,
    key: SigningKey,
    http: reqwest::Client,
}

impl Discord {
    /// A server with these text channels.
    pub async fn start(channels: &[&str]) -> Self {
        crate::client::tls();
        let (ca, listener) = tls::listener().await;
        let address = axum::serve::Listener::local_addr(&listener).unwrap();
        let sockets = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let discord = Self(Arc::new(Inner {
            state: Mutex::new(State::new()),
            changed: watch::Sender::new(0),
            address,
            sockets: format!("ws://{}", sockets.local_addr().unwrap()),
            ca,
            key: SigningKey::from_bytes(&rand::random()),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        }));
        for channel in channels {
            discord.channel(channel, 0, None);
        }
        tokio::spawn(web::serve(discord.clone(), listener));
        tokio::spawn(gateway::serve(discord.clone(), sockets));
        discord
    }

    /// Where `discord.com` is.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// The authority of its certificate, as PEM.
    pub fn ca(&self) -> String {
        self.0.ca.clone()
    }

    /// Of the application, in hexadecimal.
    pub fn public_key(&self) -> String {
        self.0.key.verifying_key().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    fn show(&self) {
        self.0.changed.send_modify(|count| *count += 1);
    }

    /// Waits until something can be seen, and says what was there instead when it never is.
    async fn until<T>(&self, what: &str, look: impl FnMut(&mut State) -> Option<T>) -> T {
        match self.seen_within(PATIENCE, look).await {
            Some(seen) => seen,
            None => panic!("never seen: {what}\n{}", self.everything()),
        }
    }

    async fn seen_within<T>(
        &self,
        patience: Duration,
        mut look: impl FnMut(&mut State) -> Option<T>,
    ) -> Option<T> {
        let mut changed = self.0.changed.subscribe();
        let waiting = async {
            loop {
                changed.borrow_and_update();
                if let Some(seen) = look(&mut self.state()) {
                    return seen;
                }
                if changed.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::time::timeout(patience, waiting).await.ok()
    }
}
