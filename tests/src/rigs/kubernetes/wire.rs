//! The way to the API server, in the clear so that networks can fail on it, and with a judge on it: an object that its full schema
//! does not allow is refused, which the reduced definitions in the server would let pass.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};

use super::Cluster;
use crate::kubernetes_clients::Judge;

#[derive(Clone)]
struct Inner {
    cluster: Cluster,
    judge: Arc<Mutex<Option<Judge>>>,
}

pub struct Wire {
    at: SocketAddr,
    folder: TempDir,
    task: JoinHandle<()>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Wire {
    pub async fn start(cluster: &Cluster) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let inner = Inner { cluster: cluster.clone(), judge: Arc::default() };
        let app = Router::new().fallback(pass).with_state(inner);
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { at, folder: tempfile::tempdir().unwrap(), task }
    }

    pub fn at(&self) -> SocketAddr {
        self.at
    }

    /// With which lastgood comes by this way.
    pub fn kubeconfig(&self, at: SocketAddr) -> PathBuf {
        let file = self.folder.path().join("kubeconfig");
        let text = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "clusters": [{"name": "here", "cluster": {"server": format!("http://{at}")}}],
            "users": [{"name": "me", "user": {}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        });
        std::fs::write(&file, text.to_string()).unwrap();
        file
    }
}

async fn pass(
    State(inner): State<Inner>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    // While the server is being restarted, nobody is there to be asked, and nobody waits.
    let Ok(cluster) = inner.cluster.try_read() else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let (status, answer) = cluster.forward(method.clone(), path, kind, body.to_vec()).await;
    if method == Method::PATCH && status.is_success() {
        let object: Value = serde_json::from_slice(&answer).unwrap();
        if Judge::knows(&object) {
            let judge = inner.judge.clone();
            let verdict = tokio::task::spawn_blocking(move || {
                judge.lock().unwrap().get_or_insert_with(Judge::start).judge(&object)
            });
            if let Err(wrong) = verdict.await.unwrap() {
                let refusal = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 422,
                    "reason": "Invalid", "message": format!("the published schema does not allow it: {wrong}")});
                println!("{refusal}");
                return (StatusCode::UNPROCESSABLE_ENTITY, refusal.to_string()).into_response();
            }
        }
    }
    (status, [(header::CONTENT_TYPE, "application/json")], answer).into_response()
}
