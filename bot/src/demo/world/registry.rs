//! A registry that speaks as much of the OCI distribution specification (v1.1) as pulling takes: the end point check,
//! manifests by digest or tag, blobs by digest, tags, and errors in the specified JSON.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use lastgood_core::Digest;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::REPOSITORY;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// One version's bytes: a manifest that hashes to the version's digest, and the blobs it names.
#[derive(Debug, Clone)]
pub struct Image {
    pub digest: Digest,
    version: String,
    manifest: Bytes,
    blobs: Vec<(Digest, Bytes)>,
}

impl Image {
    /// None only if hashing gave no digest, which would be a mistake in this program.
    pub fn build(version: &str) -> Option<Self> {
        // A tar archive without entries is 1024 bytes of zeros (POSIX.1-2001, pax): the demo runs no container.
        let layer = Bytes::from(vec![0; 1024]);
        let layer_digest = digest(&layer)?;
        let config = json!({
            "architecture": "amd64",
            "os": "linux",
            "config": { "Labels": { "org.opencontainers.image.version": version } },
            "rootfs": { "type": "layers", "diff_ids": [layer_digest.as_str()] },
        });
        let config = Bytes::from(config.to_string());
        let config_digest = digest(&config)?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": { "mediaType": CONFIG, "digest": config_digest.as_str(), "size": config.len() },
            "layers": [{ "mediaType": LAYER, "digest": layer_digest.as_str(), "size": layer.len() }],
            "annotations": { "org.opencontainers.image.version": version },
        });
        let manifest = Bytes::from(manifest.to_string());
        Some(Self {
            digest: digest(&manifest)?,
            version: version.to_owned(),
            manifest,
            blobs: vec![(config_digest, config), (layer_digest, layer)],
        })
    }
}

fn digest(bytes: &[u8]) -> Option<Digest> {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}").parse().ok()
}

/// `GET` routes of axum answer `HEAD` too, with the same headers and no body.
pub fn app(images: Vec<Image>) -> Router {
    Router::new()
        .route("/v2/", get(async || api(StatusCode::OK, Json(json!({})))))
        .route("/v2/{*path}", get(pull))
        .fallback(async || refusal(StatusCode::NOT_FOUND, "UNSUPPORTED", "this registry only answers pulls"))
        .with_state(Arc::new(images))
}

async fn pull(State(images): State<Arc<Vec<Image>>>, Path(path): Path<String>) -> Response {
    // A repository's name may hold slashes, so the path is read from its end.
    let mut parts = path.rsplitn(3, '/');
    let (Some(reference), Some(kind), Some(repository)) = (parts.next(), parts.next(), parts.next()) else {
        return refusal(StatusCode::NOT_FOUND, "NAME_INVALID", "no such path");
    };
    if repository != REPOSITORY {
        return refusal(StatusCode::NOT_FOUND, "NAME_UNKNOWN", "repository name not known to registry");
    }
    match (kind, reference) {
        ("manifests", reference) => manifest(&images, reference),
        ("blobs", reference) => blob(&images, reference),
        ("tags", "list") => {
            let tags: Vec<_> = images.iter().map(|image| image.version.as_str()).collect();
            api(StatusCode::OK, Json(json!({ "name": REPOSITORY, "tags": tags })))
        }
        _ => refusal(StatusCode::NOT_FOUND, "UNSUPPORTED", "no such path"),
    }
}

fn manifest(images: &[Image], reference: &str) -> Response {
    if reference.contains(':') && reference.parse::<Digest>().is_err() {
        return refusal(StatusCode::BAD_REQUEST, "DIGEST_INVALID", "not a digest");
    }
    let wanted = |image: &&Image| image.digest.as_str() == reference || image.version == reference;
    match images.iter().find(wanted) {
        Some(image) => content(MANIFEST, &image.digest, image.manifest.clone()),
        None => refusal(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", "manifest unknown to registry"),
    }
}

fn blob(images: &[Image], reference: &str) -> Response {
    let mut blobs = images.iter().flat_map(|image| &image.blobs);
    match blobs.find(|(digest, _)| digest.as_str() == reference) {
        Some((digest, bytes)) => content("application/octet-stream", digest, bytes.clone()),
        None => refusal(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", "blob unknown to registry"),
    }
}

fn content(media_type: &'static str, digest: &Digest, bytes: Bytes) -> Response {
    let headers = [
        (header::CONTENT_TYPE, media_type.to_owned()),
        (header::CONTENT_LENGTH, bytes.len().to_string()),
        (HeaderName::from_static("docker-content-digest"), digest.to_string()),
        (header::ETAG, format!("\"{digest}\"")),
    ];
    api(StatusCode::OK, (headers, bytes))
}

fn refusal(status: StatusCode, code: &str, message: &str) -> Response {
    api(status, Json(json!({ "errors": [{ "code": code, "message": message, "detail": null }] })))
}

fn api(status: StatusCode, body: impl IntoResponse) -> Response {
    let version = (HeaderName::from_static("docker-distribution-api-version"), "registry/2.0");
    (status, [version], body).into_response()
}
