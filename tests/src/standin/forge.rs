//! Plays the parts of GitHub's and GitLab's REST interfaces that a proposal needs: one repository with one file. Strict about what the
//! documentation requires; an answer can be lost after the request took effect.
//!
//! <https://docs.github.com/en/rest>, <https://docs.gitlab.com/api/rest/>

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

pub const TOKEN: &str = "forge-token-0123456789";
pub const FILE: &str = "apps/checkout.yaml";

#[derive(Default)]
struct Inner {
    /// The file, by branch.
    branches: BTreeMap<String, String>,
    /// By branch: title and state.
    requests: BTreeMap<String, (String, &'static str)>,
    /// The answer to the next request with this method is lost.
    losing: Option<Method>,
    asked: Vec<String>,
}

type Shared = Arc<Mutex<Inner>>;

pub struct Forge {
    at: SocketAddr,
    inner: Shared,
    task: JoinHandle<()>,
}

impl Drop for Forge {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Forge {
    /// With the file on `main`.
    pub async fn start(text: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let inner = Shared::default();
        inner.lock().unwrap().branches.insert("main".to_owned(), text.to_owned());
        let app = Router::new().fallback(serve).with_state(inner.clone());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { at, inner, task }
    }

    /// For the configuration, as either of them.
    pub fn section(&self, kind: &str) -> Value {
        json!({"forge": kind, "repository": "shop/deploy", "file": FILE, "token": {"file": "/dev/stdin"}, "url": self.url(kind)})
    }

    pub fn url(&self, kind: &str) -> String {
        format!("http://{}/{}", self.at, if kind == "github" { "api/v3" } else { "api/v4" })
    }

    pub fn lose_answer_to(&self, method: Method) {
        self.inner.lock().unwrap().losing = Some(method);
    }

    /// Branches that were proposed, with their titles.
    pub fn open(&self) -> Vec<(String, String)> {
        let inner = self.inner.lock().unwrap();
        let open = inner.requests.iter().filter(|(_, (_, state))| *state == "open");
        open.map(|(branch, (title, _))| (branch.clone(), title.clone())).collect()
    }

    /// Somebody merges; the file on `main` from now on.
    pub fn merge(&self, branch: &str) -> String {
        let mut inner = self.inner.lock().unwrap();
        let text = inner.branches[branch].clone();
        inner.branches.insert("main".to_owned(), text.clone());
        inner.requests.get_mut(branch).unwrap().1 = "merged";
        text
    }

    pub fn close(&self, branch: &str) {
        self.inner.lock().unwrap().requests.get_mut(branch).unwrap().1 = "closed";
    }

    pub fn asked(&self) -> Vec<String> {
        self.inner.lock().unwrap().asked.clone()
    }
}

fn refuse(status: u16, message: &str) -> (u16, Value) {
    (status, json!({ "message": message }))
}

async fn serve(
    State(inner): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let path = uri.path().to_owned();
    let query: BTreeMap<String, String> =
        url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let header =
        |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let github = path.starts_with("/api/v3/");
    let known = match github {
        // GitHub refuses requests without a user agent.
        true => header("authorization") == format!("Bearer {TOKEN}") && !header("user-agent").is_empty(),
        false => header("private-token") == TOKEN,
    };
    let (lost, (status, answer)) = {
        let mut inner = inner.lock().unwrap();
        inner.asked.push(format!("{method} {path}"));
        let answer = match (known, github) {
            (false, _) => refuse(401, "Bad credentials"),
            (true, true) => inner.github(&method, &path, &query, &body),
            (true, false) => inner.gitlab(&method, &path, &query, &body),
        };
        (inner.losing.take_if(|losing| *losing == method).is_some(), answer)
    };
    if lost {
        return (StatusCode::BAD_GATEWAY, "no answer from behind").into_response();
    }
    (StatusCode::from_u16(status).unwrap(), axum::Json(answer)).into_response()
}

impl Inner {
    fn sha(text: &str) -> String {
        format!("{:x}", text.len() * 31 + text.bytes().map(usize::from).sum::<usize>())
    }

    fn requested(&self, branch: &str) -> bool {
        self.requests.get(branch).is_some_and(|(_, state)| *state == "open")
    }

    fn github(
        &mut self,
        method: &Method,
        path: &str,
        query: &BTreeMap<String, String>,
        body: &Value,
    ) -> (u16, Value) {
        let Some(rest) = path.strip_prefix("/api/v3/repos/shop/deploy/") else {
            return refuse(404, "Not Found");
        };
        let pull = |branch: &str, (title, state): &(String, &str)| {
            json!({"html_url": format!("https://git.example.com/shop/deploy/pull/{branch}"), "title": title,
                   "state": if *state == "open" { "open" } else { "closed" }, "head": {"ref": branch},
                   "merged_at": (*state == "merged").then_some("2026-01-01T00:00:00Z")})
        };
        let file = format!("contents/{FILE}");
        match (method.as_str(), rest) {
            ("GET", rest) if rest == file => match self.branches.get(&query["ref"]) {
                // In lines of 60, as it answers.
                Some(text) => {
                    let content = BASE64_STANDARD.encode(text);
                    let lines: Vec<_> = content.as_bytes().chunks(60).map(String::from_utf8_lossy).collect();
                    (200, json!({"content": lines.join("\n"), "encoding": "base64", "sha": Self::sha(text)}))
                }
                None => refuse(404, "No commit found for the ref"),
            },
            ("GET", "git/ref/heads/main") => (200, json!({"object": {"sha": "f00d"}})),
            ("POST", "git/refs") => {
                let branch =
                    body["ref"].as_str().and_then(|name| name.strip_prefix("refs/heads/")).map(str::to_owned);
                match branch {
                    Some(branch) if body["sha"] == "f00d" && !self.branches.contains_key(&branch) => {
                        let text = self.branches["main"].clone();
                        self.branches.insert(branch, text);
                        (201, json!({}))
                    }
                    Some(branch) if self.branches.contains_key(&branch) => {
                        refuse(422, "Reference already exists")
                    }
                    _ => refuse(422, "Object does not exist"),
                }
            }
            ("PUT", rest) if rest == file => {
                let branch = body["branch"].as_str().unwrap_or("main").to_owned();
                let Some(now) = self.branches.get(&branch) else { return refuse(404, "Branch not found") };
                if body["sha"] != Self::sha(now).as_str() {
                    return refuse(409, "does not match");
                }
                let bytes = BASE64_STANDARD.decode(body["content"].as_str().unwrap()).unwrap();
                self.branches.insert(branch, String::from_utf8(bytes).unwrap());
                (200, json!({}))
            }
            ("GET", "pulls") => {
                let head = query["head"].strip_prefix("shop:").unwrap_or_default();
                let found = self.requests.get_key_value(head).map(|(branch, request)| pull(branch, request));
                (200, Value::Array(found.into_iter().collect()))
            }
            ("POST", "pulls") => {
                let branch = body["head"].as_str().unwrap_or_default().to_owned();
                if body["base"] != "main"
                    || self.requested(&branch)
                    || self.branches.get(&branch) == self.branches.get("main")
                {
                    return refuse(422, "Validation Failed");
                }
                let request = (body["title"].as_str().unwrap().to_owned(), "open");
                let told = pull(&branch, &request);
                self.requests.insert(branch, request);
                (201, told)
            }
            _ => refuse(404, "Not Found"),
        }
    }

    fn gitlab(
        &mut self,
        method: &Method,
        path: &str,
        query: &BTreeMap<String, String>,
        body: &Value,
    ) -> (u16, Value) {
        let Some(rest) = path.strip_prefix("/api/v4/projects/shop%2Fdeploy/") else {
            return refuse(404, "404 Project Not Found");
        };
        let request = |branch: &str, (title, state): &(String, &str)| {
            json!({"web_url": format!("https://git.example.com/shop/deploy/-/merge_requests/{branch}"), "title": title,
                   "state": if *state == "open" { "opened" } else { state }, "source_branch": branch})
        };
        match (method.as_str(), rest) {
            ("GET", "repository/files/apps%2Fcheckout.yaml") => match self.branches.get(&query["ref"]) {
                Some(text) => (
                    200,
                    json!({"content": BASE64_STANDARD.encode(text), "encoding": "base64", "last_commit_id": Self::sha(text)}),
                ),
                None => refuse(404, "404 Commit Not Found"),
            },
            ("POST", "repository/commits") => {
                let (branch, action) = (body["branch"].as_str().unwrap().to_owned(), &body["actions"][0]);
                if self.branches.contains_key(&branch) {
                    return refuse(400, "A branch called that already exists.");
                }
                let now = Self::sha(&self.branches["main"]);
                if body["start_branch"] != "main"
                    || action["action"] != "update"
                    || action["file_path"] != FILE
                {
                    return refuse(400, "A file with this name doesn't exist");
                }
                if action["last_commit_id"] != now.as_str() {
                    return refuse(
                        400,
                        "You are attempting to update a file that has changed since you started editing it.",
                    );
                }
                self.branches.insert(branch, action["content"].as_str().unwrap().to_owned());
                (201, json!({}))
            }
            ("GET", "merge_requests") => {
                let found = self.requests.get_key_value(&query["source_branch"]);
                (200, Value::Array(found.map(|(branch, of)| request(branch, of)).into_iter().collect()))
            }
            ("POST", "merge_requests") => {
                let branch = body["source_branch"].as_str().unwrap().to_owned();
                if self.requested(&branch) {
                    return refuse(409, "Another open merge request already exists for this source branch");
                }
                let made = (body["title"].as_str().unwrap().to_owned(), "open");
                let told = request(&branch, &made);
                self.requests.insert(branch, made);
                (201, told)
            }
            _ => refuse(404, "404 Not Found"),
        }
    }
}
