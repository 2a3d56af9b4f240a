//! One connection to Discord's gateway (Gateway, Connection Lifecycle): hello, identify or resume, heartbeats, events, and its
//! end. The loop is our own: serenity resumes at the address that Discord says not to resume at, dials the public gateway when
//! asking for it fails, and drops an event that its models don't know.

use std::{sync::Arc, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep_until, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, protocol::CloseFrame},
};

use super::{answer::First, payload::Payload, work};
use crate::{
    Fault,
    chat::{
        Inbox,
        discord::Discord,
        json::{some, text},
    },
};

const CONNECT_WITHIN: Duration = Duration::from_secs(15);
const SEND_WITHIN: Duration = Duration::from_secs(15);
/// Between two heartbeats, in milliseconds, when Discord says nothing.
const HEARTBEAT: u64 = 41_250;

/// Opcodes (Opcodes and Status Codes, Gateway Opcodes).
mod op {
    pub const DISPATCH: u64 = 0;
    pub const HEARTBEAT: u64 = 1;
    pub const IDENTIFY: u64 = 2;
    pub const RESUME: u64 = 6;
    pub const RECONNECT: u64 = 7;
    pub const INVALID_SESSION: u64 = 9;
    pub const HELLO: u64 = 10;
    pub const ACKNOWLEDGED: u64 = 11;
}

/// Rooms' messages; without them, the gateway brings interactions only.
const MESSAGES: u64 = 1 << 9;
const MESSAGE_CONTENT: u64 = 1 << 15;

/// Where a broken session goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resumable {
    session: String,
    pub url: String,
    /// Number of the last event that came.
    seq: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The session can go on over another connection.
    Broken(String),
    /// It can't: another one begins.
    Lost(String),
    /// A person has to change something.
    Refused(String),
}

/// Whether it lived: it got as far as events.
pub(super) struct Report {
    pub ended: Ended,
    pub lived: bool,
}

pub(super) struct Session {
    discord: Discord,
    inbox: Arc<dyn Inbox>,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    every: Duration,
    next_beat: Instant,
    /// The last heartbeat has no answer yet.
    unanswered: bool,
    resumable: Option<Resumable>,
    lived: bool,
}

impl Session {
    /// `url` is the gateway's, or the one to resume at.
    pub async fn open(
        discord: &Discord,
        inbox: &Arc<dyn Inbox>,
        url: &str,
        resumable: Option<Resumable>,
    ) -> Result<Self, Fault> {
        let address = format!("{}/?v=10&encoding=json", url.trim_end_matches('/'));
        let late = |_| {
            Fault::Unavailable(format!(
                "Discord's gateway did not open within {} s",
                CONNECT_WITHIN.as_secs()
            ))
        };
        let (socket, _) = timeout(CONNECT_WITHIN, connect_async(address.as_str()))
            .await
            .map_err(late)?
            .map_err(|error| Fault::Unavailable(format!("Discord's gateway can't be opened: {error}")))?;
        let mut session = Self {
            discord: discord.clone(),
            inbox: inbox.clone(),
            socket,
            every: Duration::from_millis(HEARTBEAT),
            next_beat: Instant::now(),
            unanswered: false,
            resumable,
            lived: false,
        };
        timeout(CONNECT_WITHIN, session.begin()).await.map_err(late)??;
        Ok(session)
    }

    /// Waits for hello, and says who is there.
    async fn begin(&mut self) -> Result<(), Fault> {
        let hello = loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(frame))) => {
                    let frame: Value = serde_json::from_str(&frame).unwrap_or_default();
                    if opcode(&frame) == Some(op::HELLO) {
                        break frame;
                    }
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => {
                    return Err(Fault::Unavailable("Discord's gateway closed at once".to_owned()));
                }
                Some(Ok(_)) => {}
            }
        };
        let every = hello.pointer("/d/heartbeat_interval").and_then(Value::as_u64).unwrap_or(HEARTBEAT);
        self.every = Duration::from_millis(every.max(100));
        // The first one at a random moment, or all of a platform's clients would beat at once after an outage.
        self.next_beat = Instant::now() + self.every.mul_f64(super::gateway::fraction());
        let frame = match &self.resumable {
            Some(of) => json!({ "op": op::RESUME, "d": {
                "token": self.token(), "session_id": of.session, "seq": of.seq } }),
            None => json!({ "op": op::IDENTIFY, "d": {
                "token": self.token(),
                "intents": intents(&self.discord),
                "properties": { "os": std::env::consts::OS, "browser": "lastgood", "device": "lastgood" } } }),
        };
        self.send(&frame).await.map_err(Fault::Unavailable)
    }

    fn token(&self) -> String {
        self.discord.0.settings.token.reveal().to_owned()
    }

    /// Until it ends.
    pub async fn run(mut self) -> (Report, Option<Resumable>) {
        let ended = loop {
            tokio::select! {
                came = self.socket.next() => match came {
                    Some(Ok(Message::Text(frame))) => match serde_json::from_str::<Value>(&frame) {
                        Ok(frame) => {
                            if let Some(ended) = self.heard(frame).await {
                                break ended;
                            }
                        }
                        Err(error) => tracing::warn!(%error, "Discord sent what is not JSON"),
                    },
                    Some(Ok(Message::Close(frame))) => break closed(frame.as_ref()),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => break Ended::Broken(error.to_string()),
                    None => break Ended::Broken("closed by Discord".to_owned()),
                },
                () = sleep_until(self.next_beat) => {
                    if self.unanswered {
                        break Ended::Broken("a heartbeat had no answer".to_owned());
                    }
                    if let Err(why) = self.beat().await {
                        break Ended::Broken(why);
                    }
                    super::history::again(&self.discord, &self.inbox);
                }
            }
        };
        // Any other code than 1000 and 1001 lets the session go on.
        let close = CloseFrame { code: 4_000.into(), reason: "".into() };
        drop(timeout(Duration::from_secs(1), self.socket.close(Some(close))).await);
        let resumable = self.resumable.filter(|_| matches!(ended, Ended::Broken(_)));
        (Report { ended, lived: self.lived }, resumable)
    }

    async fn beat(&mut self) -> Result<(), String> {
        self.unanswered = true;
        self.next_beat = Instant::now() + self.every;
        let seq = self.resumable.as_ref().map(|of| of.seq);
        self.send(&json!({ "op": op::HEARTBEAT, "d": seq })).await
    }

    async fn send(&mut self, frame: &Value) -> Result<(), String> {
        match timeout(SEND_WITHIN, self.socket.send(Message::text(frame.to_string()))).await {
            Ok(sent) => sent.map_err(|error| error.to_string()),
            Err(_) => Err("what is sent is not taken".to_owned()),
        }
    }

    async fn heard(&mut self, mut frame: Value) -> Option<Ended> {
        match opcode(&frame)? {
            op::DISPATCH => {
                let name = text(&frame, "/t").to_owned();
                let seq = frame.get("s").and_then(Value::as_u64);
                self.event(&name, frame.get_mut("d").map(Value::take).unwrap_or_default());
                // The first event opens the session that counts it.
                if let (Some(seq), Some(of)) = (seq, self.resumable.as_mut()) {
                    of.seq = seq;
                }
                None
            }
            op::HEARTBEAT => {
                let unanswered = self.unanswered;
                let sent = self.beat().await;
                // Asked for, and no sign of a dead connection.
                self.unanswered = unanswered;
                sent.err().map(Ended::Broken)
            }
            op::ACKNOWLEDGED => {
                self.unanswered = false;
                None
            }
            op::RECONNECT => Some(Ended::Broken("Discord asks for another connection".to_owned())),
            op::INVALID_SESSION => Some(match frame.get("d").and_then(Value::as_bool) {
                Some(true) => Ended::Broken("the session is not ready".to_owned()),
                _ => Ended::Lost("the session is over".to_owned()),
            }),
            _ => None,
        }
    }

    /// Never waits: whatever has to be done is done in a task of its own.
    fn event(&mut self, name: &str, data: Value) {
        match name {
            "READY" => {
                self.lived = true;
                let url = some(&data, "/resume_gateway_url");
                self.resumable = some(&data, "/session_id").zip(url).map(|(session, url)| Resumable {
                    session,
                    url,
                    seq: 0,
                });
                tracing::info!(bot = text(&data, "/user/username"), "connected to Discord");
                // What came while nobody listened.
                super::history::catch_up(&self.discord, &self.inbox);
            }
            "RESUMED" => {
                self.lived = true;
                tracing::info!("connected to Discord again; nothing was missed");
            }
            "INTERACTION_CREATE" if self.discord.0.settings.verifier.is_none() => {
                let payload = Payload::Interaction(data);
                tokio::spawn(work::off(self.discord.clone(), self.inbox.clone(), payload, First::Call));
            }
            "MESSAGE_CREATE" | "MESSAGE_UPDATE" if self.discord.0.settings.reads_messages => {
                super::history::came(&self.discord, &self.inbox, Payload::Message(data));
            }
            _ => {}
        }
    }
}

fn opcode(frame: &Value) -> Option<u64> {
    frame.get("op").and_then(Value::as_u64)
}

/// The least that works.
fn intents(discord: &Discord) -> u64 {
    if discord.0.settings.reads_messages { MESSAGES | MESSAGE_CONTENT } else { 0 }
}

/// Gateway Close Event Codes.
fn closed(frame: Option<&CloseFrame>) -> Ended {
    let code = frame.map_or(0, |frame| u16::from(frame.code));
    let said = frame.map_or("", |frame| frame.reason.as_str());
    match code {
        4_004 => Ended::Refused("the token is not valid (any more): \"Bot\", \"Reset Token\"".to_owned()),
        4_014 => Ended::Refused(
            "the message content intent is off: switch it on under \"Bot\", \"Privileged Gateway Intents\", \
             or set chats.discord.reads_messages = false"
                .to_owned(),
        ),
        4_010..=4_013 => Ended::Refused(format!("Discord refuses the connection ({code} {said})")),
        4_007 | 4_009 => Ended::Lost(format!("closed by Discord ({code} {said})")),
        _ => Ended::Broken(format!("closed by Discord ({code} {said})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_connection_ends_says_what_follows() {
        let ended = |code: u16| closed(Some(&CloseFrame { code: code.into(), reason: "".into() }));
        // Only a client's own 1000 and 1001 end its session.
        for code in [1_000, 1_001, 4_000, 4_001, 4_002, 4_003, 4_005, 4_008, 1_006] {
            assert!(matches!(ended(code), Ended::Broken(_)), "{code}");
        }
        for code in [4_007, 4_009] {
            assert!(matches!(ended(code), Ended::Lost(_)), "{code}");
        }
        for code in [4_004, 4_010, 4_011, 4_012, 4_013, 4_014] {
            assert!(matches!(ended(code), Ended::Refused(_)), "{code}");
        }
        assert!(matches!(closed(None), Ended::Broken(_)));
    }
}
