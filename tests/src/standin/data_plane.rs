//! A stand-in of HAProxy's Data Plane API, version 3: a map's entry, which reaches its file only with `force_sync`, and the servers
//! of one backend, which are changed in transactions bound to a version of the configuration. Written from its published
//! specification; there is no package of it to test with.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{Path, Query, Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

#[derive(Default)]
struct Inner {
    version: i64,
    servers: BTreeMap<String, Value>,
    key: String,
    /// In the process, and in the file.
    entry: (String, String),
    /// By id: the version that it began from, and its servers.
    transactions: BTreeMap<String, (i64, BTreeMap<String, Value>)>,
    /// The configuration is changed by somebody else before the next commit.
    disturbed: bool,
    begun: u32,
}

type Shared = Arc<Mutex<Inner>>;

pub struct DataPlane {
    at: SocketAddr,
    inner: Shared,
    serving: JoinHandle<()>,
}

impl Drop for DataPlane {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl DataPlane {
    pub const USER: &str = "lastgood";
    pub const PASSWORD: &str = "hunter2";

    /// Servers and weights of the backend `be_weights`, and the one entry of the map `active.map`.
    pub async fn start(servers: &[(&str, u64)], (key, value): (&str, &str)) -> Self {
        let server = |(name, weight): &(&str, u64)| {
            // What is not ours must come back as it was.
            let of = json!({"name": name, "address": "127.0.0.1", "port": 80, "check": "enabled", "weight": weight});
            ((*name).to_owned(), of)
        };
        let inner = Inner {
            version: 7,
            servers: servers.iter().map(server).collect(),
            key: key.to_owned(),
            entry: (value.to_owned(), value.to_owned()),
            ..Inner::default()
        };
        let inner: Shared = Arc::new(Mutex::new(inner));
        let base = "/v3/services/haproxy";
        let app = Router::new()
            .route(&format!("{base}/runtime/maps/active.map/entries/{{key}}"), get(entry).put(set_entry))
            .route(&format!("{base}/configuration/version"), get(version))
            .route(&format!("{base}/configuration/backends/be_weights/servers"), get(servers_of))
            .route(&format!("{base}/configuration/backends/be_weights/servers/{{name}}"), put(set_server))
            .route(&format!("{base}/transactions"), post(begin))
            .route(&format!("{base}/transactions/{{id}}"), put(commit).delete(abandon))
            .layer(middleware::from_fn(authorised))
            .with_state(inner.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { at, inner, serving }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.at)
    }

    pub fn entry_in_file(&self) -> String {
        self.inner.lock().unwrap().entry.1.clone()
    }

    pub fn weights(&self) -> Vec<(String, u64)> {
        let inner = self.inner.lock().unwrap();
        let weight = |(name, of): (&String, &Value)| {
            assert_eq!((of["port"].as_u64(), of["check"].as_str()), (Some(80), Some("enabled")), "{of}");
            (name.clone(), of["weight"].as_u64().unwrap())
        };
        inner.servers.iter().map(weight).collect()
    }

    pub fn open_transactions(&self) -> usize {
        self.inner.lock().unwrap().transactions.len()
    }

    /// Somebody else commits before the next one does.
    pub fn another_hand(&self) {
        self.inner.lock().unwrap().disturbed = true;
    }
}

async fn authorised(request: Request, next: Next) -> Response {
    let wanted =
        format!("Basic {}", BASE64_STANDARD.encode(format!("{}:{}", DataPlane::USER, DataPlane::PASSWORD)));
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if given != Some(wanted.as_str()) {
        return error(StatusCode::UNAUTHORIZED, "unauthorised");
    }
    next.run(request).await
}

fn error(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({"code": status.as_u16(), "message": message}))).into_response()
}

type Asked = Query<BTreeMap<String, String>>;

async fn entry(State(inner): State<Shared>, Path(key): Path<String>) -> Response {
    let inner = inner.lock().unwrap();
    match inner.key == key {
        true => Json(json!({"id": "0x1", "key": key, "value": inner.entry.0})).into_response(),
        false => error(StatusCode::NOT_FOUND, "entry not found"),
    }
}

async fn set_entry(
    State(inner): State<Shared>,
    Path(key): Path<String>,
    Query(asked): Asked,
    Json(body): Json<Value>,
) -> Response {
    let mut inner = inner.lock().unwrap();
    let Some(value) = body["value"].as_str().filter(|_| inner.key == key) else {
        return error(StatusCode::NOT_FOUND, "entry not found");
    };
    inner.entry.0 = value.to_owned();
    if asked.get("force_sync").is_some_and(|sync| sync == "true") {
        inner.entry.1 = value.to_owned();
    }
    Json(json!({"key": key, "value": value})).into_response()
}

async fn version(State(inner): State<Shared>) -> Response {
    Json(json!(inner.lock().unwrap().version)).into_response()
}

async fn servers_of(State(inner): State<Shared>, Query(asked): Asked) -> Response {
    let inner = inner.lock().unwrap();
    let servers = match asked.get("transaction_id") {
        None => &inner.servers,
        Some(id) => match inner.transactions.get(id) {
            Some((_, servers)) => servers,
            None => return error(StatusCode::NOT_FOUND, "no such transaction"),
        },
    };
    Json(json!(servers.values().collect::<Vec<_>>())).into_response()
}

async fn set_server(
    State(inner): State<Shared>,
    Path(name): Path<String>,
    Query(asked): Asked,
    Json(body): Json<Value>,
) -> Response {
    let mut inner = inner.lock().unwrap();
    let Some((_, servers)) = asked.get("transaction_id").and_then(|id| inner.transactions.get_mut(id)) else {
        return error(StatusCode::BAD_REQUEST, "version or transaction_id is required");
    };
    if body["name"] != json!(name) || !servers.contains_key(&name) {
        return error(StatusCode::NOT_FOUND, "no such server");
    }
    servers.insert(name, body.clone());
    (StatusCode::ACCEPTED, Json(body)).into_response()
}

async fn begin(State(inner): State<Shared>, Query(asked): Asked) -> Response {
    let mut inner = inner.lock().unwrap();
    let version = inner.version;
    if asked.get("version") != Some(&version.to_string()) {
        return error(StatusCode::CONFLICT, "version mismatch");
    }
    inner.begun += 1;
    let (id, servers) = (format!("t-{}", inner.begun), inner.servers.clone());
    inner.transactions.insert(id.clone(), (version, servers));
    let begun = json!({"_version": version, "id": id, "status": "in_progress"});
    (StatusCode::CREATED, Json(begun)).into_response()
}

async fn commit(State(inner): State<Shared>, Path(id): Path<String>) -> Response {
    let mut inner = inner.lock().unwrap();
    if std::mem::take(&mut inner.disturbed) {
        inner.version += 1;
    }
    let Some((from, servers)) = inner.transactions.get(&id).cloned() else {
        return error(StatusCode::NOT_FOUND, "no such transaction");
    };
    if from != inner.version {
        return error(StatusCode::CONFLICT, "version mismatch");
    }
    inner.transactions.remove(&id);
    inner.servers = servers;
    inner.version += 1;
    (StatusCode::ACCEPTED, Json(json!({"id": id, "status": "success"}))).into_response()
}

async fn abandon(State(inner): State<Shared>, Path(id): Path<String>) -> Response {
    match inner.lock().unwrap().transactions.remove(&id) {
        Some(_) => StatusCode::NO_CONTENT.into_response(),
        None => error(StatusCode::NOT_FOUND, "no such transaction"),
    }
}
