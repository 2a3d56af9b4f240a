//! `POST /chat/{platform}/{door}`: what a chat platform sends to the bot's own address. The platform's adapter verifies it.

use axum::{
    extract::{Path, Request, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};

use super::{Problem, body};
use crate::chat::Talk;

pub async fn receive(
    State(talk): State<Talk>,
    Path((platform, door)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    let nobody = || {
        let detail = format!("no room is on {platform:?}: nothing is taken from there");
        Problem::new(StatusCode::NOT_FOUND, detail)
    };
    let (chat, inbox) = talk.on(&platform).ok_or_else(nobody)?;
    let (head, sent) = request.into_parts();
    let request = axum::http::Request::from_parts(head, body::read(sent).await?);
    let answer = chat.receive(&door, request, inbox).await;
    if answer.status().is_success() {
        return Ok(answer.map(axum::body::Body::from).into_response());
    }
    let why = String::from_utf8_lossy(answer.body()).into_owned();
    Err(Problem::new(answer.status(), why))
}
