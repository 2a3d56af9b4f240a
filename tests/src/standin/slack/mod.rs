//! Slack inside the test: its Web API, Socket Mode and signed HTTP deliveries on loopback, written from the published
//! documentation, refusing what Slack refuses; the people who type and click there; and what they see. As unreliable as asked
//! for: down, slow, rate limiting, losing answers, closing sockets, delivering twice.

mod answers;
mod deliver;
mod messages;
mod methods;
mod people;
mod rules;
mod show;
mod socket;
mod state;
mod trouble;
mod web;

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::sync::watch;

pub use deliver::{seconds, sign};
pub use messages::{Message, Shown};
pub use people::{Modal, Saw, Who};
use state::State;
pub use state::{APP_TOKEN, BOT_TOKEN, Delivered, SIGNING_SECRET};
pub use trouble::Forged;

/// How long the people in a test wait for something to show before they give up.
const PATIENCE: Duration = Duration::from_secs(30);
/// Slack gives an app this long to acknowledge, and a trigger this long to open a form.
const WITHIN: Duration = Duration::from_secs(3);

/// A workspace. Cheap to clone.
#[derive(Clone)]
pub struct Slack(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    /// Increases with everything that somebody could see.
    changed: watch::Sender<u64>,
    /// `http://127.0.0.1:PORT`.
    address: String,
    /// `ws://127.0.0.1:PORT`.
    sockets: String,
    http: reqwest::Client,
}

impl Slack {
    /// A workspace with these public channels, which the bot is in.
    pub async fn start(channels: &[&str]) -> Self {
        crate::client::tls();
        let web = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sockets = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let slack = Self(Arc::new(Inner {
            state: Mutex::new(State::new()),
            changed: watch::Sender::new(0),
            address: format!("http://{}", web.local_addr().unwrap()),
            sockets: format!("ws://{}", sockets.local_addr().unwrap()),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        }));
        for channel in channels {
            slack.channel(channel, true);
        }
        tokio::spawn(web::serve(slack.clone(), web));
        tokio::spawn(socket::serve(slack.clone(), sockets));
        slack
    }

    /// For `[chats.slack] url`.
    pub fn api(&self) -> String {
        format!("{}/api", self.0.address)
    }

    /// Where another program posts as with an incoming webhook.
    pub fn webhook(&self, program: &str) -> String {
        format!("{}/services/{program}", self.0.address)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    fn show(&self) {
        self.0.changed.send_modify(|count| *count += 1);
    }

    /// Waits until something can be seen, and says what was there instead when it never is.
    async fn until<T>(&self, what: &str, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
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
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(seen) => seen,
            Err(_) => panic!("never seen: {what}\n{}", self.everything()),
        }
    }
}
