//! GitLab: files, commits and merge requests of its REST interface, version 4.
//!
//! <https://docs.gitlab.com/api/repository_files/>, `…/commits/`, `…/merge_requests/`.

use async_trait::async_trait;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Change, File, Forge, Proposal, State, config::Place};
use crate::{
    Fault,
    client::{ask, quote},
};

const MOST: usize = 4 << 20;

pub struct GitLab(pub(super) Place);

/// A whole path as one segment.
fn segment(path: &str) -> String {
    path.replace('/', "%2F")
}

impl GitLab {
    async fn send(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value), Fault> {
        let Place { url, repository, token, limit, http, .. } = &self.0;
        let mut at = url.url().clone();
        // Escaped already: the setter keeps `%2F` as it is.
        at.set_path(&format!(
            "{}/projects/{}/{path}",
            url.url().path().trim_end_matches('/'),
            segment(repository)
        ));
        if !query.is_empty() {
            at.query_pairs_mut().extend_pairs(query);
        }
        let what = format!("GitLab {method} {repository}/{path}");
        let changes = method != Method::GET;
        let mut request = http.request(method, at).header("private-token", token.reveal());
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = ask(request, *limit, MOST).await;
        let answer =
            answer.map_err(|lost| if changes { lost.of_change(&what) } else { lost.of_question(&what) })?;
        let told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let said = quote(&told["message"].to_string(), &[token]);
        match answer.status {
            status if status.is_success() => Ok((status, told)),
            // What they mean depends on what was asked for.
            status @ (StatusCode::BAD_REQUEST | StatusCode::CONFLICT) => Ok((status, told)),
            StatusCode::NOT_FOUND => Err(Fault::NotFound(format!("{what}: {said}; may the token read it?"))),
            status if changes && status.is_server_error() => {
                Err(Fault::Unknown(format!("{what}: {said} ({status})")))
            }
            _ => Err(answer.fault(format!("{what}: {said}"))),
        }
    }

    async fn read(&self, branch: &str) -> Result<File, Fault> {
        let path = format!("repository/files/{}", segment(&self.0.file));
        let (_, told) = self.send(Method::GET, &path, &[("ref", branch)], None).await?;
        let wrong = || Fault::Invalid(format!("{} is no text file", self.name()));
        let bytes =
            BASE64_STANDARD.decode(told["content"].as_str().ok_or_else(wrong)?).map_err(|_| wrong())?;
        let text = String::from_utf8(bytes).map_err(|_| wrong())?;
        Ok(File { text, revision: told["last_commit_id"].as_str().unwrap_or_default().to_owned() })
    }
}

#[async_trait]
impl Forge for GitLab {
    fn name(&self) -> String {
        format!("GitLab {} {}", self.0.repository, self.0.file)
    }

    async fn file(&self) -> Result<File, Fault> {
        self.read(&self.0.branch).await
    }

    async fn proposal(&self, branch: &str) -> Result<Option<Proposal>, Fault> {
        let query = [("source_branch", branch), ("state", "all")];
        let (_, told) = self.send(Method::GET, "merge_requests", &query, None).await?;
        Ok(told.as_array().into_iter().flatten().find(|one| one["source_branch"] == branch).map(proposal))
    }

    async fn propose(&self, change: &Change) -> Result<Proposal, Fault> {
        if let Some(there) = self.proposal(&change.branch).await? {
            return Ok(there);
        }
        let action = json!({"action": "update", "file_path": self.0.file, "content": change.text,
                            "last_commit_id": change.revision});
        let body = json!({"branch": change.branch, "start_branch": self.0.branch, "commit_message": change.title,
                          "actions": [action]});
        let (status, told) = self.send(Method::POST, "repository/commits", &[], Some(&body)).await?;
        // Branch and commit are made in one: a branch that is there has its commit.
        if !status.is_success()
            && self.read(&change.branch).await.map(|file| file.text).ok().as_ref() != Some(&change.text)
        {
            let said = quote(&told["message"].to_string(), &[&self.0.token]);
            return Err(Fault::Conflict(format!(
                "{} could not be changed as it was read: {said}",
                self.name()
            )));
        }
        let body = json!({"source_branch": change.branch, "target_branch": self.0.branch, "title": change.title,
                          "description": change.body, "remove_source_branch": true});
        let (status, told) = self.send(Method::POST, "merge_requests", &[], Some(&body)).await?;
        if status.is_success() {
            return Ok(proposal(&told));
        }
        let said = quote(&told["message"].to_string(), &[&self.0.token]);
        self.proposal(&change.branch)
            .await?
            .ok_or_else(|| Fault::Invalid(format!("{}: no merge request: {said}", self.name())))
    }
}

fn proposal(told: &Value) -> Proposal {
    let state = match told["state"].as_str() {
        Some("opened" | "locked") => State::Open,
        Some("merged") => State::Merged,
        _ => State::Closed,
    };
    Proposal { url: told["web_url"].as_str().unwrap_or_default().to_owned(), state }
}
