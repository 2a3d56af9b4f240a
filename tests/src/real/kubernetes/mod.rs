//! A real kube-apiserver and kube-controller-manager, with an etcd of their own. There is no scheduler and no kubelet: `nodes`
//! plays both, so that rollouts are real and traffic is not.

pub mod nodes;
mod objects;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

pub use self::objects::{as_kind, configmap, deployment, image};
use super::local;
use crate::process::{Process, free_port, poll_async};

const ADMIN: &str = "token-of-the-administrator";
const BOT: &str = "token-of-lastgood";
const READER: &str = "token-of-a-reader";
pub const NAMESPACE: &str = "shop";

pub struct Kubernetes {
    folder: TempDir,
    port: u16,
    etcd_port: u16,
    pub etcd: Process,
    pub api: Process,
    controllers: Process,
    http: reqwest::Client,
}

fn program(name: &str) -> PathBuf {
    let folder = std::env::var_os("LASTGOOD_TEST_KUBERNETES").expect("tests/run names where Kubernetes is");
    PathBuf::from(folder).join(name)
}

impl Kubernetes {
    /// With a namespace, and lastgood's permissions in it as `deploy/kubernetes` has them.
    pub async fn start() -> Self {
        lastgood_adapters::client::install_tls();
        let folder = tempfile::tempdir().unwrap();
        let (port, etcd_port) = (free_port(), free_port());
        let key = rcgen::KeyPair::generate().unwrap();
        fs::write(folder.path().join("accounts.key"), key.serialize_pem()).unwrap();
        fs::write(folder.path().join("accounts.pub"), key.public_key_pem()).unwrap();
        let tokens = format!("{ADMIN},admin,1,system:masters\n{BOT},lastgood,2\n{READER},reader,3\n");
        fs::write(folder.path().join("tokens"), tokens).unwrap();
        let mut etcd = Self::run_etcd(folder.path(), etcd_port);
        etcd.listening(local(etcd_port)).await;
        let mut api = Self::run_api(folder.path(), port, etcd_port);
        api.listening(local(port)).await;
        let ca = fs::read(folder.path().join("pki/apiserver.crt")).unwrap();
        let http = reqwest::Client::builder()
            .tls_certs_only(reqwest::Certificate::from_pem_bundle(&ca).unwrap())
            .timeout(Duration::from_secs(20))
            .build()
            .unwrap();
        for (name, token) in [("admin", ADMIN), ("lastgood", BOT), ("reader", READER)] {
            fs::write(folder.path().join(name), kubeconfig(folder.path(), port, token)).unwrap();
        }
        let controllers = Self::run_controllers(folder.path());
        let mut cluster = Self { folder, port, etcd_port, etcd, api, controllers, http };
        cluster.ready().await;
        cluster.create("/api/v1/namespaces", &json!({"metadata": {"name": NAMESPACE}})).await;
        cluster.permit(include_str!("../../../../deploy/kubernetes/rollout.yaml"), "lastgood").await;
        cluster
    }

    fn run_etcd(folder: &Path, port: u16) -> Process {
        let mut command = Command::new(program("etcd"));
        let (client, peer) =
            (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{}", free_port()));
        command.arg("--data-dir").arg(folder.join("etcd")).arg("--unsafe-no-fsync");
        for (flag, value) in [
            ("--listen-client-urls", &client),
            ("--advertise-client-urls", &client),
            ("--listen-peer-urls", &peer),
            ("--initial-advertise-peer-urls", &peer),
            ("--initial-cluster", &format!("default={peer}")),
        ] {
            command.arg(format!("{flag}={value}"));
        }
        Process::start("etcd", &mut command, folder)
    }

    fn run_api(folder: &Path, port: u16, etcd: u16) -> Process {
        let mut command = Command::new(program("kube-apiserver"));
        command
            .arg(format!("--etcd-servers=http://127.0.0.1:{etcd}"))
            .arg(format!("--secure-port={port}"))
            .arg(format!("--cert-dir={}", folder.join("pki").display()))
            .arg(format!("--token-auth-file={}", folder.join("tokens").display()))
            .arg(format!("--service-account-key-file={}", folder.join("accounts.pub").display()))
            .arg(format!("--service-account-signing-key-file={}", folder.join("accounts.key").display()))
            .args([
                "--bind-address=127.0.0.1",
                "--service-account-issuer=https://kubernetes.default.svc",
                "--authorization-mode=RBAC",
                "--service-cluster-ip-range=10.0.0.0/24",
                "--disable-admission-plugins=ServiceAccount",
                "--endpoint-reconciler-type=none",
            ]);
        Process::start("kube-apiserver", &mut command, folder)
    }

    fn run_controllers(folder: &Path) -> Process {
        let mut command = Command::new(program("kube-controller-manager"));
        command.arg(format!("--kubeconfig={}", folder.join("admin").display())).args([
            "--controllers=deployment,replicaset,statefulset,daemonset,garbagecollector,namespace,disruption,endpoint,endpointslice",
            "--leader-elect=false",
            "--secure-port=0",
            "--port=0",
        ]);
        Process::start("kube-controller-manager", &mut command, folder)
    }

    async fn ready(&mut self) {
        self.api.listening(local(self.port)).await;
        poll_async("the API server", Duration::from_secs(60), || async {
            let asked = self.http.get(format!("{}/readyz", self.url())).bearer_auth(ADMIN).send().await;
            asked.ok().filter(|answer| answer.status() == StatusCode::OK).map(drop)
        })
        .await;
    }

    /// The server is killed, and comes back.
    pub async fn restart_api(&mut self) {
        self.api.kill();
        self.api = Self::run_api(self.folder.path(), self.port, self.etcd_port);
        self.ready().await;
    }

    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// With lastgood's own credentials.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("lastgood")
    }

    /// With which everything may be done.
    pub fn admins_kubeconfig(&self) -> PathBuf {
        self.folder.path().join("admin")
    }

    /// So many more Deployments in the namespace, which want no pods.
    pub async fn crowd(&self, many: usize, image: &str) {
        use futures_util::StreamExt as _;
        const AT_ONCE: usize = 16;
        let path = format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments");
        let each = (0..many).map(|number| {
            let mut object = deployment(0, image, &json!([]));
            object["metadata"]["name"] = format!("crowd-{number}").into();
            let path = &path;
            async move { self.create(path, &object).await }
        });
        futures_util::stream::iter(each).buffer_unordered(AT_ONCE).for_each(|_| async {}).await;
    }

    /// With the credentials of somebody who may only look.
    pub fn readers_kubeconfig(&self) -> PathBuf {
        self.folder.path().join("reader")
    }

    /// Gives a user the Role that is the first document of a manifest.
    pub async fn permit(&self, manifest: &str, user: &str) {
        self.permit_in(NAMESPACE, manifest, user).await;
    }

    /// As `permit`, elsewhere.
    pub async fn permit_in(&self, namespace: &str, manifest: &str, user: &str) {
        let (role, _) = manifest.split_once("\n---\n").unwrap();
        let role = role
            .lines()
            .map(|line| match line.trim_start().starts_with("namespace: ") {
                true => format!("  namespace: {namespace}\n"),
                false => format!("{line}\n"),
            })
            .collect::<String>();
        let path = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}");
        let sent = self
            .http
            .post(format!("{}{path}/roles", self.url()))
            .bearer_auth(ADMIN)
            .header("content-type", "application/yaml")
            .body(role);
        let answer = sent.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(status, StatusCode::CREATED, "{text}");
        let role: Value = serde_json::from_str(&text).unwrap();
        self.bind(namespace, role["metadata"]["name"].as_str().unwrap(), user).await;
    }

    /// Lets a user look at everything in the namespace.
    pub async fn show(&self, user: &str) {
        let path = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/roles");
        let rules = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}]);
        self.create(&path, &json!({"metadata": {"name": "look"}, "rules": rules})).await;
        self.bind(NAMESPACE, "look", user).await;
    }

    async fn bind(&self, namespace: &str, role: &str, user: &str) {
        let binding = json!({
            "metadata": {"name": format!("{role}-{user}")},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
            "subjects": [{"kind": "User", "name": user}],
        });
        let path = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings");
        self.create(&path, &binding).await;
    }

    /// Teaches the server a kind, and waits until it knows it.
    pub async fn define(&self, definition: &str) {
        let definition: Value = serde_json::from_str(definition).unwrap();
        self.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &definition).await;
        let spec = &definition["spec"];
        let (group, version) =
            (spec["group"].as_str().unwrap(), spec["versions"][0]["name"].as_str().unwrap());
        let plural = spec["names"]["plural"].as_str().unwrap();
        let path = format!("/apis/{group}/{version}/namespaces/{NAMESPACE}/{plural}");
        poll_async(plural, Duration::from_secs(20), || async {
            self.ask(Method::GET, &path, None).await.0.is_success().then_some(())
        })
        .await;
    }

    /// Passes a request on with lastgood's credentials; the answer as it is.
    pub async fn forward(
        &self,
        method: Method,
        path: &str,
        kind: Option<&str>,
        body: Vec<u8>,
    ) -> (StatusCode, Vec<u8>) {
        let request = self.http.request(method, format!("{}{path}", self.url())).bearer_auth(BOT).body(body);
        let request = match kind {
            Some(kind) => request.header("content-type", kind),
            None => request,
        };
        match request.send().await {
            Ok(answer) => (answer.status(), answer.bytes().await.unwrap_or_default().to_vec()),
            Err(_) => (StatusCode::BAD_GATEWAY, Vec::new()),
        }
    }

    /// As the administrator.
    pub async fn ask(&self, method: Method, path: &str, body: Option<(&str, &Value)>) -> (StatusCode, Value) {
        let request = self.http.request(method.clone(), format!("{}{path}", self.url())).bearer_auth(ADMIN);
        let request = match body {
            Some((kind, body)) => request.header("content-type", kind).body(body.to_string()),
            None => request,
        };
        let answer = request.send().await.unwrap_or_else(|error| panic!("{method} {path}: {error:?}"));
        let status = answer.status();
        (status, answer.json().await.unwrap_or_default())
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, value) = self.ask(Method::GET, path, None).await;
        assert!(status.is_success(), "{path}: {value}");
        value
    }

    pub async fn create(&self, path: &str, object: &Value) -> Value {
        let (status, value) = self.ask(Method::POST, path, Some(("application/json", object))).await;
        assert_eq!(status, StatusCode::CREATED, "{path}: {value}");
        value
    }

    pub async fn delete(&self, path: &str) {
        let (status, value) = self.ask(Method::DELETE, path, None).await;
        assert!(status.is_success(), "{path}: {value}");
    }

    /// A merge, under the name of a field manager.
    pub async fn patch(&self, path: &str, manager: &str, patch: &Value) -> Value {
        let path = format!("{path}?fieldManager={manager}");
        let (status, value) =
            self.ask(Method::PATCH, &path, Some(("application/merge-patch+json", patch))).await;
        assert!(status.is_success(), "{path}: {value}");
        value
    }
}

fn kubeconfig(folder: &Path, port: u16, token: &str) -> String {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "here",
        "clusters": [{"name": "here", "cluster": {
            "server": format!("https://127.0.0.1:{port}"),
            "certificate-authority": folder.join("pki/apiserver.crt"),
        }}],
        "users": [{"name": "me", "user": {"token": token}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
    })
    .to_string()
}

impl Drop for Kubernetes {
    fn drop(&mut self) {
        // Not one after the other has missed it.
        self.controllers.kill();
        self.api.kill();
        self.etcd.kill();
    }
}
