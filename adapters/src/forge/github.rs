//! GitHub: contents, references and pull requests of its REST interface, version 2022-11-28.
//!
//! <https://docs.github.com/en/rest/repos/contents>, `…/git/refs`, `…/pulls/pulls`.

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

pub struct GitHub(pub(super) Place);

impl GitHub {
    async fn send(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value), Fault> {
        let Place { url, repository, token, limit, http, .. } = &self.0;
        let mut at = url.join(&format!("repos/{repository}/{path}"));
        if !query.is_empty() {
            at.query_pairs_mut().extend_pairs(query);
        }
        let what = format!("GitHub {method} {repository}/{path}");
        let changes = method != Method::GET;
        let mut request = http
            .request(method, at)
            .bearer_auth(token.reveal())
            .header("accept", "application/vnd.github+json")
            .header("x-github-api-version", "2022-11-28");
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = ask(request, *limit, MOST).await;
        let answer =
            answer.map_err(|lost| if changes { lost.of_change(&what) } else { lost.of_question(&what) })?;
        let told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let said = quote(told["message"].as_str().unwrap_or_default(), &[token]);
        match answer.status {
            status if status.is_success() => Ok((status, told)),
            // What they mean depends on what was asked for.
            status @ (StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY) => Ok((status, told)),
            StatusCode::NOT_FOUND => Err(Fault::NotFound(format!("{what}: {said}; may the token read it?"))),
            // Its secondary limits are refusals (403) with a time to wait.
            StatusCode::FORBIDDEN if answer.retry_after().is_some() => {
                Err(Fault::RateLimited { after: answer.retry_after(), detail: format!("{what}: {said}") })
            }
            status if changes && status.is_server_error() => {
                Err(Fault::Unknown(format!("{what}: {said} ({status})")))
            }
            _ => Err(answer.fault(format!("{what}: {said}"))),
        }
    }

    /// A branch for the change, where the one that is deployed from is now. True: it was there already.
    async fn branch(&self, name: &str) -> Result<bool, Fault> {
        let (_, base) =
            self.send(Method::GET, &format!("git/ref/heads/{}", self.0.branch), &[], None).await?;
        let body = json!({"ref": format!("refs/heads/{name}"), "sha": base["object"]["sha"]});
        let (status, told) = self.send(Method::POST, "git/refs", &[], Some(&body)).await?;
        match (status.is_success(), told["message"].as_str()) {
            (true, _) => Ok(false),
            (false, Some("Reference already exists")) => Ok(true),
            (false, said) => {
                Err(Fault::Invalid(format!("{}: no branch {name}: {}", self.name(), said.unwrap_or("?"))))
            }
        }
    }

    async fn read(&self, branch: &str) -> Result<File, Fault> {
        let path = format!("contents/{}", self.0.file);
        let (_, told) = self.send(Method::GET, &path, &[("ref", branch)], None).await?;
        let wrong = || Fault::Invalid(format!("{} is no text file of at most 1 MB", self.name()));
        let lines: String = told["content"].as_str().ok_or_else(wrong)?.split_whitespace().collect();
        let bytes = BASE64_STANDARD.decode(lines).map_err(|_| wrong())?;
        let text = String::from_utf8(bytes).map_err(|_| wrong())?;
        Ok(File { text, revision: told["sha"].as_str().unwrap_or_default().to_owned() })
    }
}

#[async_trait]
impl Forge for GitHub {
    fn name(&self) -> String {
        format!("GitHub {} {}", self.0.repository, self.0.file)
    }

    async fn file(&self) -> Result<File, Fault> {
        self.read(&self.0.branch).await
    }

    async fn proposal(&self, branch: &str) -> Result<Option<Proposal>, Fault> {
        let owner = self.0.repository.split('/').next().unwrap_or_default();
        let query = [("head", format!("{owner}:{branch}")), ("state", "all".to_owned())];
        let query: Vec<(&str, &str)> = query.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let (_, told) = self.send(Method::GET, "pulls", &query, None).await?;
        let ours = told.as_array().into_iter().flatten().find(|one| one["head"]["ref"] == branch);
        Ok(ours.map(proposal))
    }

    async fn propose(&self, change: &Change) -> Result<Proposal, Fault> {
        if let Some(there) = self.proposal(&change.branch).await? {
            return Ok(there);
        }
        let there = self.branch(&change.branch).await?;
        // A branch that is there may have its commit already.
        if !there || self.read(&change.branch).await?.text != change.text {
            let body = json!({
                "message": change.title, "branch": change.branch, "sha": change.revision,
                "content": BASE64_STANDARD.encode(&change.text),
            });
            let path = format!("contents/{}", self.0.file);
            let (status, _) = self.send(Method::PUT, &path, &[], Some(&body)).await?;
            if !status.is_success() {
                return Err(Fault::Conflict(format!("{} was changed since it was read", self.name())));
            }
        }
        let body =
            json!({"title": change.title, "body": change.body, "head": change.branch, "base": self.0.branch});
        let (status, told) = self.send(Method::POST, "pulls", &[], Some(&body)).await?;
        if status.is_success() {
            return Ok(proposal(&told));
        }
        let said = quote(
            &told["errors"][0]["message"].as_str().map_or_else(|| told["message"].to_string(), str::to_owned),
            &[&self.0.token],
        );
        self.proposal(&change.branch)
            .await?
            .ok_or_else(|| Fault::Invalid(format!("{}: no pull request: {said}", self.name())))
    }
}

fn proposal(told: &Value) -> Proposal {
    let state = match (told["state"].as_str(), told["merged_at"].is_string()) {
        (_, true) => State::Merged,
        (Some("open"), false) => State::Open,
        _ => State::Closed,
    };
    Proposal { url: told["html_url"].as_str().unwrap_or_default().to_owned(), state }
}
