//! What a manifest says of itself: that it is the bytes that were asked for, what kind it is, and what an index names.

use std::collections::BTreeSet;

use lastgood_core::Digest;
use oci_client::manifest::{
    IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE,
    OCI_IMAGE_MEDIA_TYPE,
};
use serde::Deserialize;
use sha2::{Digest as _, Sha256, Sha512};

use crate::client::Answer;

/// All four, or a registry that has the other kind says that there is none.
pub const ACCEPT: [&str; 4] = [
    OCI_IMAGE_MEDIA_TYPE,
    OCI_IMAGE_INDEX_MEDIA_TYPE,
    IMAGE_MANIFEST_MEDIA_TYPE,
    IMAGE_MANIFEST_LIST_MEDIA_TYPE,
];
/// Manifests that one index may name: images are made for a few platforms.
const MOST: usize = 500;

/// Whether `bytes` are what `digest` names.
pub fn matches_digest(digest: &Digest, bytes: &[u8]) -> bool {
    let hex = |hash: &[u8]| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    match digest.as_str().split_once(':') {
        Some(("sha256", wanted)) => hex(&Sha256::digest(bytes)) == wanted,
        Some(("sha512", wanted)) => hex(&Sha512::digest(bytes)) == wanted,
        _ => false,
    }
}

/// What the registry says it is, or else what the manifest says of itself.
pub fn media_type(answer: &Answer) -> String {
    #[derive(Deserialize)]
    struct Typed {
        #[serde(rename = "mediaType")]
        media_type: String,
    }
    let said = answer.headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let said = said.map(|said| said.split(';').next().unwrap_or(said).trim().to_lowercase());
    match said {
        Some(said) if ACCEPT.contains(&said.as_str()) => said,
        said => match serde_json::from_slice::<Typed>(&answer.body) {
            Ok(typed) => typed.media_type,
            Err(_) => said.unwrap_or_else(|| OCI_IMAGE_MEDIA_TYPE.to_owned()),
        },
    }
}

/// An OCI image index, or Docker's manifest list: the same fields, as far as they are read here.
#[derive(Deserialize)]
struct Index {
    manifests: Vec<Named>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    media_type: String,
    digest: String,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

impl Named {
    /// An image for a platform. BuildKit's attestations are manifests as well, for the platform `unknown/unknown`; an index in an index
    /// is not followed.
    fn is_image(&self) -> bool {
        let image = [OCI_IMAGE_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE].contains(&self.media_type.as_str());
        image && self.platform.as_ref().is_none_or(|of| of.os != "unknown" && of.architecture != "unknown")
    }
}

/// The images that an index names; none for a manifest that is no index.
///
/// # Errors
/// What makes no sense about it.
pub fn named(media_type: &str, bytes: &[u8]) -> Result<BTreeSet<Digest>, String> {
    if ![OCI_IMAGE_INDEX_MEDIA_TYPE, IMAGE_MANIFEST_LIST_MEDIA_TYPE].contains(&media_type) {
        return Ok(BTreeSet::new());
    }
    let index: Index = serde_json::from_slice(bytes).map_err(|error| format!("no image index: {error}"))?;
    if index.manifests.len() > MOST {
        return Err(format!(
            "an image index of {} manifests: at most {MOST} are read",
            index.manifests.len()
        ));
    }
    let digests = index.manifests.iter().filter(|one| one.is_image()).map(|one| {
        one.digest
            .parse::<Digest>()
            .map_err(|error| format!("an image index with something else in it: {error}"))
    });
    digests.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bytes_are_hashed_with_the_algorithm_of_the_digest() {
        let of_nothing = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let digest: Digest = of_nothing.parse().unwrap();
        assert!(matches_digest(&digest, b"") && !matches_digest(&digest, b" "));
        let sha512: Digest = format!("sha512:{}", "0".repeat(128)).parse().unwrap();
        assert!(!matches_digest(&sha512, b""));
    }

    #[test]
    fn an_index_names_its_platforms_and_not_their_attestations() {
        let digest = |letter: char| format!("sha256:{}", letter.to_string().repeat(64));
        let of = |letter, platform| json!({"mediaType": OCI_IMAGE_MEDIA_TYPE, "digest": digest(letter), "size": 1, "platform": platform});
        let mut attestation = of('c', json!({"os": "unknown", "architecture": "unknown"}));
        attestation["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
        let mut nested = of('d', json!(null));
        nested["mediaType"] = OCI_IMAGE_INDEX_MEDIA_TYPE.into();
        let arm = json!({"os": "linux", "architecture": "arm64", "variant": "v8"});
        let index = json!({"schemaVersion": 2, "manifests": [
            of('a', json!({"os": "linux", "architecture": "amd64"})), of('b', arm), attestation, nested, of('e', json!(null)),
        ]});
        let read = |value: &serde_json::Value, kind| named(kind, value.to_string().as_bytes());
        let wanted: BTreeSet<Digest> = ['a', 'b', 'e'].map(|letter| digest(letter).parse().unwrap()).into();
        assert_eq!(read(&index, OCI_IMAGE_INDEX_MEDIA_TYPE), Ok(wanted.clone()));
        assert_eq!(read(&index, IMAGE_MANIFEST_LIST_MEDIA_TYPE), Ok(wanted));
        assert_eq!(read(&index, OCI_IMAGE_MEDIA_TYPE), Ok(BTreeSet::new()));
        let wrong = read(&json!({"manifests": [of('z', json!(null))]}), OCI_IMAGE_INDEX_MEDIA_TYPE);
        assert!(wrong.unwrap_err().contains("not a digest"));
        assert!(read(&json!({}), OCI_IMAGE_INDEX_MEDIA_TYPE).unwrap_err().contains("missing field"));
        let many = vec![of('a', json!(null)); MOST + 1];
        assert!(read(&json!({"manifests": many}), OCI_IMAGE_INDEX_MEDIA_TYPE).unwrap_err().contains("501"));
    }
}
