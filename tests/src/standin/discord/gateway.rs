//! The gateway: hello, identify or resume, heartbeats, numbered events; sessions that outlive their connection.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::{
        Message as Frame,
        handshake::server::{Request, Response},
        protocol::CloseFrame,
    },
};

use super::{
    Discord,
    messages::Message,
    state::{APP, BOT_TOKEN, State},
};

const MESSAGES: u64 = 1 << 9;
const MESSAGE_CONTENT: u64 = 1 << 15;

/// What goes to a connection.
pub enum Push {
    Frame(String),
    Close(u16),
    /// Without a word.
    Cut,
}

pub struct Session {
    id: String,
    intents: u64,
    /// Every event so far, in order.
    events: Vec<String>,
    connection: Option<mpsc::UnboundedSender<Push>>,
    /// What it missed can be had again.
    resumable: bool,
}

impl Session {
    fn event(&mut self, name: &str, data: &Value, deaf: bool) {
        let seq = self.events.len() + 1;
        let frame = json!({ "op": 0, "t": name, "s": seq, "d": data }).to_string();
        self.events.push(frame.clone());
        if let Some(connection) = self.connection.as_ref().filter(|_| !deaf) {
            connection.send(Push::Frame(frame)).ok();
        }
    }
}

pub async fn serve(discord: Discord, listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(connected(discord.clone(), stream));
    }
}

async fn connected(discord: Discord, stream: TcpStream) {
    let mut resuming = false;
    #[expect(clippy::result_large_err, reason = "as the library wants it")]
    let look = |request: &Request, response: Response| {
        resuming = request.uri().path().starts_with("/resume");
        Ok(response)
    };
    let Ok(mut socket) = accept_hdr_async(stream, look).await else { return };
    let hello = {
        let mut state = discord.state();
        if state.trouble.down {
            return;
        }
        state.connections += 1;
        json!({ "op": 10, "d": { "heartbeat_interval": state.heartbeat } }).to_string()
    };
    let (pushing, mut pushed) = mpsc::unbounded_channel();
    if socket.send(Frame::text(hello)).await.is_err() {
        return;
    }
    loop {
        tokio::select! {
            push = pushed.recv() => match push {
                Some(Push::Frame(frame)) => if socket.send(Frame::text(frame)).await.is_err() { break },
                Some(Push::Close(code)) => return closed(&mut socket, code).await,
                Some(Push::Cut) | None => break,
            },
            came = socket.next() => match came {
                Some(Ok(Frame::Text(text))) => {
                    let frame: Value = serde_json::from_str(&text).unwrap_or_default();
                    let refused = heard(&mut discord.state(), &frame, resuming, &pushing, &discord.0.sockets);
                    discord.show();
                    if let Err(code) = refused {
                        return closed(&mut socket, code).await;
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => break,
            },
        }
    }
    // Whoever goes may come back.
    let mut state = discord.state();
    for session in &mut state.sessions {
        session.connection.take_if(|of| of.same_channel(&pushing));
    }
    drop(state);
    discord.show();
}

async fn closed(socket: &mut WebSocketStream<TcpStream>, code: u16) {
    socket.close(Some(CloseFrame { code: code.into(), reason: "".into() })).await.ok();
}

/// A frame of the bot's; the code that the connection is closed with, where it may not say that.
fn heard(
    state: &mut State,
    frame: &Value,
    resuming: bool,
    connection: &mpsc::UnboundedSender<Push>,
    base: &str,
) -> Result<(), u16> {
    let push = |frame: Value| drop(connection.send(Push::Frame(frame.to_string())));
    match frame["op"].as_u64() {
        Some(1) if !state.deaf => push(json!({ "op": 11, "d": null })),
        Some(1) => {}
        Some(2 | 6) if frame["d"]["token"] != BOT_TOKEN => return Err(4_004),
        Some(2) => {
            state.identifies += 1;
            state.intents = frame["d"]["intents"].as_u64().unwrap_or_default();
            if state.intents & MESSAGE_CONTENT != 0 && !state.privileged {
                return Err(4_014);
            }
            let id = format!("session{}", state.identifies);
            let mut session = Session {
                id: id.clone(),
                intents: state.intents,
                events: Vec::new(),
                connection: Some(connection.clone()),
                resumable: true,
            };
            let ready = json!({ "v": 10, "user": { "id": APP, "username": "lastgood", "bot": true },
                "session_id": id, "resume_gateway_url": format!("{base}/resume"), "guilds": [],
                "application": { "id": APP, "flags": 0 } });
            session.event("READY", &ready, false);
            state.sessions.push(session);
        }
        Some(6) => {
            let seq = usize::try_from(frame["d"]["seq"].as_u64().unwrap_or_default()).unwrap();
            let known = |of: &&mut Session| frame["d"]["session_id"] == of.id.as_str() && of.resumable;
            // Anywhere but at the address that was given for it, there is nothing to resume.
            let Some(session) = state.sessions.iter_mut().find(known).filter(|_| resuming) else {
                push(json!({ "op": 9, "d": false }));
                return Ok(());
            };
            session.connection = Some(connection.clone());
            for missed in session.events.iter().skip(seq) {
                connection.send(Push::Frame(missed.clone())).ok();
            }
            session.event("RESUMED", &json!({}), false);
            state.resumes += 1;
        }
        _ => return Err(4_001),
    }
    Ok(())
}

impl Discord {
    /// Tells every session of something; whoever is away for a moment gets it later.
    pub fn tell(&self, name: &str, data: &Value) {
        let mut state = self.state();
        let deaf = state.deaf;
        for session in state.sessions.iter_mut().filter(|of| of.resumable || of.connection.is_some()) {
            session.event(name, data, deaf);
        }
    }

    /// Somebody posted or edited a message.
    pub(super) fn happened(&self, name: &str, message: &Message) {
        let mut state = self.state();
        let deaf = state.deaf;
        let mentioned = message.now().content.contains(&format!("<@{APP}>"));
        for session in &mut state.sessions {
            let live = session.resumable || session.connection.is_some();
            if live && session.intents & MESSAGES != 0 {
                let content = session.intents & MESSAGE_CONTENT != 0 || message.ours || mentioned;
                session.event(name, &message.json(content), deaf);
            }
        }
    }

    /// Somebody could be told at once.
    pub(super) fn is_connected(&self) -> bool {
        let state = self.state();
        !state.deaf && state.sessions.iter().any(|session| session.connection.is_some())
    }

    fn push(&self, push: impl Fn() -> Push) {
        for session in &self.state().sessions {
            if let Some(connection) = &session.connection {
                connection.send(push()).ok();
            }
        }
    }

    /// Waits for somebody to be there.
    pub async fn until_connected(&self) {
        self.until("a connection", |state| {
            state.sessions.iter().any(|session| session.connection.is_some()).then_some(())
        })
        .await;
    }

    /// Waits until nobody is there.
    pub async fn until_gone(&self) {
        self.until("no connection", |state| {
            state.sessions.iter().all(|session| session.connection.is_none()).then_some(())
        })
        .await;
    }

    /// Closes every connection without a word.
    pub fn cut(&self) {
        self.push(|| Push::Cut);
    }

    /// Asks everybody to connect anew.
    pub fn reconnect(&self) {
        self.push(|| Push::Frame(json!({ "op": 7, "d": null }).to_string()));
    }

    pub fn close_with(&self, code: u16) {
        self.push(|| Push::Close(code));
    }

    /// Says that sessions are over: nothing that happens until another one begins is told.
    pub fn invalidate(&self) {
        for session in &mut self.state().sessions {
            session.resumable = false;
        }
        self.push(|| Push::Frame(json!({ "op": 9, "d": false }).to_string()));
    }

    /// Forgets sessions, so that none can be resumed.
    pub fn forget(&self) {
        for session in &mut self.state().sessions {
            session.resumable = false;
        }
    }

    /// Answers no heartbeat and tells nothing; what happens meanwhile is told to who resumes.
    pub fn deaf(&self, deaf: bool) {
        self.state().deaf = deaf;
    }

    /// Milliseconds between heartbeats, for connections from now on.
    pub fn heartbeat(&self, every: u64) {
        self.state().heartbeat = every;
    }

    /// The message content intent, as the application's settings have it.
    pub fn privileged(&self, on: bool) {
        self.state().privileged = on;
    }

    pub fn identifies(&self) -> u32 {
        self.state().identifies
    }

    pub fn resumes(&self) -> u32 {
        self.state().resumes
    }

    /// Of the last session that began.
    pub fn intents(&self) -> u64 {
        self.state().intents
    }
}
