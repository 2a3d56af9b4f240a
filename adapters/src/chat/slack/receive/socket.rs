//! Socket Mode: Slack delivers over WebSockets that the bot opens, so that no public address is needed (docs.slack.dev, Using
//! Socket Mode). Several at once, since Slack closes each every few hours, and delivers to any that is open.
//!
//! The loop is our own: nothing is handled inside the read loop, so one slow click can't hold up the next one's
//! acknowledgement; and a connection that Slack is about to close is read to its end while the next one opens.

use crate::chat::json::{some, text};
use std::{sync::Arc, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    sync::mpsc,
    task::JoinSet,
    time::{Instant, Interval, MissedTickBehavior, interval, sleep, timeout},
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

use super::payload::{Kind, Payload};
use crate::{
    Fault,
    chat::{Inbox, slack::Slack},
};

const CONNECT_WITHIN: Duration = Duration::from_secs(15);
const PING_EVERY: Duration = Duration::from_secs(5);
/// Without a sign of life, the connection is dead: Slack answers every ping, and sends its own.
const SILENT_FOR: Duration = Duration::from_secs(20);
/// A connection that lived this long was a good one.
const GOOD: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How long a connection is read on after Slack announced its end.
const DRAIN: Duration = Duration::from_secs(30);

/// Until the process ends.
pub(in crate::chat::slack) async fn listen(slack: &Slack, inbox: Arc<dyn Inbox>) {
    let mut keepers = JoinSet::new();
    for number in 0..slack.sockets() {
        keepers.spawn(keep_connected(slack.clone(), inbox.clone(), number));
    }
    while keepers.join_next().await.is_some() {}
}

async fn keep_connected(slack: Slack, inbox: Arc<dyn Inbox>, number: usize) {
    let mut failures = 0_u32;
    loop {
        let began = Instant::now();
        let asked = match Session::open(&slack, &inbox, number).await {
            Ok(mut session) => match session.run().await {
                Ended::Announced => {
                    tokio::spawn(async move { timeout(DRAIN, session.drain()).await });
                    // Announced at once, time and again, is no service either.
                    failures = if began.elapsed() >= SHORT { 0 } else { failures.saturating_add(1) };
                    None
                }
                Ended::Broken(why) => {
                    tracing::warn!(socket = number, why, "Slack's socket broke off; connecting anew");
                    failures = if began.elapsed() >= GOOD { 1 } else { failures.saturating_add(1) };
                    None
                }
                Ended::Refused(why) => {
                    tracing::error!(socket = number, why, "Slack ended the socket");
                    Some(LONGEST_WAIT)
                }
            },
            Err(fault) => {
                failures = failures.saturating_add(1);
                tracing::warn!(%fault, socket = number, failures, "no socket to Slack; commands and clicks wait");
                match fault {
                    Fault::RateLimited { after, .. } => after,
                    Fault::Denied(_) => Some(LONGEST_WAIT),
                    _ => None,
                }
            }
        };
        let wait = asked.unwrap_or_else(|| backoff(failures));
        if !wait.is_zero() {
            sleep(wait).await;
        }
    }
}

/// None at first, then half a second, doubled each time.
fn backoff(failures: u32) -> Duration {
    match failures {
        0 => Duration::ZERO,
        failures => (Duration::from_millis(250) * 2_u32.pow(failures.min(7))).min(LONGEST_WAIT),
    }
}

#[derive(Debug)]
enum Ended {
    /// Slack closes it soon, and wants another one opened.
    Announced,
    Broken(String),
    /// Connecting anew at once would be refused, too.
    Refused(String),
}

struct Session {
    slack: Slack,
    inbox: Arc<dyn Inbox>,
    number: usize,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Ids of envelopes that may be acknowledged.
    kept: mpsc::Receiver<String>,
    keeping: mpsc::Sender<String>,
    pings: Interval,
    heard: Instant,
}

impl Session {
    async fn open(slack: &Slack, inbox: &Arc<dyn Inbox>, number: usize) -> Result<Self, Fault> {
        let url = slack.socket_address().await?;
        let connecting = timeout(CONNECT_WITHIN, connect_async(url.as_str())).await;
        // The address holds a ticket: it stays out of the text.
        let late = |_| {
            Fault::Unavailable(format!("Slack's socket did not open within {} s", CONNECT_WITHIN.as_secs()))
        };
        let (socket, _) = connecting
            .map_err(late)?
            .map_err(|error| Fault::Unavailable(format!("Slack's socket can't be opened: {error}")))?;
        let (keeping, kept) = mpsc::channel(64);
        let mut pings = interval(PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let heard = Instant::now();
        Ok(Self { slack: slack.clone(), inbox: inbox.clone(), number, socket, kept, keeping, pings, heard })
    }

    /// Reads until Slack announces the end, or it comes unannounced.
    async fn run(&mut self) -> Ended {
        loop {
            tokio::select! {
                came = self.socket.next() => {
                    self.heard = Instant::now();
                    match came {
                        Some(Ok(Message::Text(text))) => {
                            if let Some(ended) = self.heard(&text) {
                                return ended;
                            }
                        }
                        Some(Ok(Message::Close(_))) | None => return Ended::Broken("closed by Slack".to_owned()),
                        Some(Ok(_)) => {}
                        Some(Err(error)) => return Ended::Broken(error.to_string()),
                    }
                }
                Some(envelope) = self.kept.recv() => {
                    let acknowledgement = json!({ "envelope_id": envelope }).to_string();
                    if let Err(error) = self.send(Message::text(acknowledgement)).await {
                        return Ended::Broken(error);
                    }
                }
                _ = self.pings.tick() => {
                    if self.heard.elapsed() > SILENT_FOR {
                        return Ended::Broken(format!("silent for {} s", SILENT_FOR.as_secs()));
                    }
                    if let Err(error) = self.send(Message::Ping(Vec::new().into())).await {
                        return Ended::Broken(error);
                    }
                }
            }
        }
    }

    /// A peer that takes nothing more is as dead as a silent one.
    async fn send(&mut self, message: Message) -> Result<(), String> {
        match timeout(SILENT_FOR, self.socket.send(message)).await {
            Ok(sent) => sent.map_err(|error| error.to_string()),
            Err(_) => Err("what is sent is not taken".to_owned()),
        }
    }

    /// What still comes is taken, too.
    async fn drain(&mut self) {
        while matches!(self.run().await, Ended::Announced) {}
    }

    /// Never waits: whatever has to be done is done in a task of its own.
    fn heard(&self, text_frame: &str) -> Option<Ended> {
        let Ok(mut frame) = serde_json::from_str::<Value>(text_frame) else {
            tracing::warn!(socket = self.number, "Slack sent what is not JSON");
            return None;
        };
        let kind = match text(&frame, "/type") {
            "hello" => {
                tracing::info!(
                    socket = self.number,
                    app = text(&frame, "/connection_info/app_id"),
                    "connected to Slack"
                );
                return None;
            }
            "disconnect" => return Some(disconnected(text(&frame, "/reason"))),
            "events_api" => Kind::EventsApi,
            "interactive" => Kind::Interactive,
            "slash_commands" => Kind::SlashCommands,
            other => {
                tracing::debug!(kind = other, "unknown to this version");
                return None;
            }
        };
        let envelope = some(&frame, "/envelope_id")?;
        let payload = Payload::new(kind, frame.get_mut("payload").map(Value::take).unwrap_or_default());
        let (slack, inbox, keeping) = (self.slack.clone(), self.inbox.clone(), self.keeping.clone());
        tokio::spawn(async move {
            match super::accept(&slack, &inbox, payload).await {
                // A closed channel: the socket is gone, and Slack delivers again over another one.
                Ok(()) => drop(keeping.send(envelope).await),
                Err(error) => {
                    tracing::error!(%error, "not acknowledged: Slack repeats it, or tells the person")
                }
            }
        });
        None
    }
}

/// Reasons as documented, and as Slack's own clients know them.
fn disconnected(reason: &str) -> Ended {
    match reason {
        "link_disabled" => Ended::Refused("Socket Mode was switched off in the app's settings".to_owned()),
        "too_many_websockets" => Ended::Refused("an app may have ten sockets, over all replicas".to_owned()),
        _ => Ended::Announced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        assert_eq!(backoff(0), Duration::ZERO);
        assert_eq!(backoff(1), Duration::from_millis(500));
        assert_eq!(backoff(2), Duration::from_secs(1));
        assert_eq!(backoff(99), LONGEST_WAIT);
    }

    #[test]
    fn only_what_would_be_refused_again_waits() {
        for reason in ["warning", "refresh_requested", "", "something new"] {
            assert!(matches!(disconnected(reason), Ended::Announced), "{reason}");
        }
        for reason in ["link_disabled", "too_many_websockets"] {
            assert!(matches!(disconnected(reason), Ended::Refused(_)), "{reason}");
        }
    }
}
