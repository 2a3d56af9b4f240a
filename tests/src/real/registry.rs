//! A real docker-registry: htpasswd accounts (one), deletion allowed, storage in the test's own folder.

use std::{net::SocketAddr, path::Path, process::Command};

use reqwest::{Client, Method, StatusCode};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::process::{Process, free_port};

pub const USER: &str = "puller";
pub const PASSWORD: &str = "correct horse";
/// bcrypt, the only hash that docker-registry takes; at the lowest cost.
const HTPASSWD: &str = "puller:$2y$04$lastgoodlastgoodlasteuVbDoWQf3KwKY1Ne.WDS8hljDaK0VfGm\n";

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

pub struct Registry {
    pub process: Process,
    pub at: SocketAddr,
    http: Client,
    open: bool,
}

impl Registry {
    /// With one account, `USER`; or, when `open`, for everybody.
    pub async fn start(folder: &Path, open: bool) -> Self {
        let at: SocketAddr = ([127, 0, 0, 1], free_port()).into();
        let accounts = folder.join("htpasswd");
        std::fs::write(&accounts, HTPASSWD).unwrap();
        let auth = format!("auth: {{ htpasswd: {{ realm: test, path: '{}' }} }}\n", accounts.display());
        let config = folder.join("registry.yml");
        let text = format!(
            "version: 0.1\nlog: {{ level: warn }}\nhttp: {{ addr: '{at}' }}\n{}storage: {{ filesystem: {{ \
             rootdirectory: '{}' }}, delete: {{ enabled: true }}, maintenance: {{ uploadpurging: {{ enabled: false }} }} }}\n",
            if open { "" } else { &auth },
            folder.join("registry").display(),
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&config);
        let mut process = Process::start("docker-registry", &mut command, folder);
        process.listening(at).await;
        Self { process, at, http: lastgood_adapters::client::client().unwrap(), open }
    }

    /// `127.0.0.1:PORT/name`, for the configuration's `repository`.
    pub fn repository(&self, name: &str) -> String {
        format!("{}/{name}", self.at)
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url =
            if path.starts_with("http") { path.to_owned() } else { format!("http://{}/v2/{path}", self.at) };
        let request = self.http.request(method, url);
        if self.open { request } else { request.basic_auth(USER, Some(PASSWORD)) }
    }

    /// Pushes an image without layers under `tag`; the same `content` gives the same digest, which it returns.
    pub async fn push(&self, name: &str, tag: &str, content: &str) -> String {
        let config =
            json!({ "architecture": "amd64", "os": "linux", "config": { "Labels": { "content": content } },
            "rootfs": { "type": "layers", "diff_ids": [] } })
            .to_string();
        let blob = digest(config.as_bytes());
        let started = self.request(Method::POST, &format!("{name}/blobs/uploads/")).send().await.unwrap();
        assert_eq!(started.status(), StatusCode::ACCEPTED, "{}", self.process.output());
        let to = started.headers()["location"].to_str().unwrap();
        let and = if to.contains('?') { '&' } else { '?' };
        let size = config.len();
        let sent =
            self.request(Method::PUT, &format!("{to}{and}digest={blob}")).body(config).send().await.unwrap();
        assert_eq!(sent.status(), StatusCode::CREATED, "{}", self.process.output());
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "layers": [],
            "config": { "mediaType": CONFIG, "digest": blob, "size": size } })
        .to_string();
        self.put_manifest(name, tag, MANIFEST, manifest).await
    }

    /// Pushes an index (`INDEX` or `LIST`) of manifests that are there, as `linux/arm64`, `linux/amd64` or BuildKit's attestation,
    /// `unknown/unknown`. Gives its digest.
    pub async fn push_index(&self, name: &str, tag: &str, kind: &str, manifests: &[(&str, &str)]) -> String {
        let named = manifests.iter().map(|(digest, platform)| {
            let (os, architecture) = platform.split_once('/').expect("OS/ARCHITECTURE");
            let mut named = json!({ "mediaType": MANIFEST, "digest": digest, "size": 512,
                "platform": { "os": os, "architecture": architecture } });
            if os == "unknown" {
                named["annotations"] = json!({ "vnd.docker.reference.type": "attestation-manifest" });
            }
            named
        });
        let named: Vec<_> = named.collect();
        let index = json!({ "schemaVersion": 2, "mediaType": kind, "manifests": named }).to_string();
        self.put_manifest(name, tag, kind, index).await
    }

    /// An image for one platform, as BuildKit pushes it: the index, and the platform's own manifest.
    pub async fn push_built(&self, name: &str, version: &str) -> (String, String) {
        let manifest = self.push(name, &format!("{version}-amd64"), version).await;
        let attestation =
            self.push(name, &format!("{version}-att"), &format!("provenance of {version}")).await;
        let manifests = [(manifest.as_str(), "linux/amd64"), (attestation.as_str(), "unknown/unknown")];
        (self.push_index(name, version, INDEX, &manifests).await, manifest)
    }

    /// Lets `tag` point to bytes that are there under `digest`.
    pub async fn retag(&self, name: &str, digest: &str, tag: &str) {
        let path = format!("{name}/manifests/{digest}");
        let got = self.request(Method::GET, &path).header("accept", MANIFEST).send().await.unwrap();
        assert_eq!(self.put_manifest(name, tag, MANIFEST, got.text().await.unwrap()).await, digest);
    }

    async fn put_manifest(&self, name: &str, tag: &str, kind: &str, manifest: String) -> String {
        let digest = digest(manifest.as_bytes());
        let request =
            self.request(Method::PUT, &format!("{name}/manifests/{tag}")).header("content-type", kind);
        let answer = request.body(manifest).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED, "{}", self.process.output());
        digest
    }

    /// What retention does in real life: the bytes are gone.
    pub async fn delete(&self, name: &str, digest: &str) {
        let answer =
            self.request(Method::DELETE, &format!("{name}/manifests/{digest}")).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED, "{}", self.process.output());
    }
}

/// `sha256:…` of these bytes.
pub fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
