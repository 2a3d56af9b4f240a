//! Socket Mode's sockets: one ticket each, a greeting, envelopes, acknowledgements.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_tungstenite::{
    accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{ErrorResponse, Request, Response},
        http::StatusCode,
    },
};

use super::{
    Slack,
    state::{APP, Socket},
};

pub async fn serve(slack: Slack, listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(connected(slack.clone(), stream));
    }
}

#[expect(clippy::result_large_err, reason = "as the library wants it")]
fn ticket(slack: &Slack, request: &Request, response: Response) -> Result<Response, ErrorResponse> {
    let query = request.uri().query().unwrap_or_default();
    let ticket = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "ticket");
    let mut state = slack.state();
    let good = ticket.is_some_and(|(_, ticket)| state.tickets.remove(ticket.as_ref()));
    if good && !state.trouble.down && state.sockets.len() < 10 {
        return Ok(response);
    }
    let mut refusal = ErrorResponse::new(None);
    *refusal.status_mut() = StatusCode::FORBIDDEN;
    Err(refusal)
}

async fn connected(slack: Slack, stream: TcpStream) {
    #[expect(clippy::result_large_err, reason = "as the library wants it")]
    let greet = |request: &Request, response| ticket(&slack, request, response);
    let greeted = accept_hdr_async(stream, greet);
    let Ok(mut socket) = greeted.await else { return };
    let (frames, mut to_send) = mpsc::unbounded_channel();
    let (id, count) = {
        let mut state = slack.state();
        let id = state.number();
        state.sockets.push(Socket { id, frames });
        (id, state.sockets.len())
    };
    let hello = json!({ "type": "hello", "num_connections": count, "connection_info": { "app_id": APP },
        "debug_info": { "host": "standin", "approximate_connection_time": 18060 } });
    if socket.send(Message::text(hello.to_string())).await.is_ok() {
        slack.show();
        loop {
            tokio::select! {
                // Closed when the socket is taken from the list: cut off without a word.
                frame = to_send.recv() => match frame {
                    Some(frame) => if socket.send(Message::text(frame)).await.is_err() { break },
                    None => break,
                },
                came = socket.next() => match came {
                    Some(Ok(Message::Text(text))) => acknowledged(&slack, &text),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => break,
                },
            }
        }
    }
    slack.state().sockets.retain(|socket| socket.id != id);
    slack.show();
}

fn acknowledged(slack: &Slack, text: &str) {
    let answer: Value = serde_json::from_str(text).unwrap_or_default();
    let envelope = answer["envelope_id"].as_str().unwrap_or_default();
    let mut state = slack.state();
    match state.waiting.remove(envelope) {
        Some(waiting) => drop(waiting.send(answer)),
        None => state.refused.push(format!("socket: acknowledges what is not waiting: {text}")),
    }
}
