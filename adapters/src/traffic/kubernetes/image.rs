//! Image references as pods write them: `registry:5000/shop/checkout:v2.4.0@sha256:…`.

use lastgood_core::Digest;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image(String);

impl Image {
    pub fn new(reference: impl Into<String>) -> Self {
        Self(reference.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn digest(&self) -> Option<Digest> {
        self.0.split_once('@').and_then(|(_, digest)| digest.parse().ok())
    }

    /// A colon before the last slash belongs to the registry's port.
    pub fn tag(&self) -> Option<&str> {
        let name = self.0.split('@').next().unwrap_or_default();
        let last = name.rsplit('/').next().unwrap_or_default();
        last.split_once(':').map(|(_, tag)| tag)
    }

    /// The same repository, and exactly these bytes. The tag is for people: whoever pulls goes by the digest.
    pub fn pinned(&self, tag: Option<&str>, digest: &Digest) -> Self {
        let name = self.0.split('@').next().unwrap_or_default();
        let repository = match self.tag() {
            Some(tag) => name.strip_suffix(tag).and_then(|name| name.strip_suffix(':')).unwrap_or(name),
            None => name,
        };
        let tag = tag.map(|tag| format!(":{tag}")).unwrap_or_default();
        Self(format!("{repository}{tag}@{digest}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_taken_apart_and_pinned() {
        let digest: Digest = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
        let plain = Image::new("localhost:5000/shop/checkout");
        assert_eq!((plain.tag(), plain.digest()), (None, None));
        assert_eq!(plain.pinned(None, &digest).as_str(), format!("localhost:5000/shop/checkout@{digest}"));
        let tagged = Image::new("localhost:5000/shop/checkout:v2");
        assert_eq!(tagged.tag(), Some("v2"));
        let pinned = tagged.pinned(Some("v1"), &digest);
        assert_eq!(pinned.as_str(), format!("localhost:5000/shop/checkout:v1@{digest}"));
        assert_eq!((pinned.tag(), pinned.digest()), (Some("v1"), Some(digest.clone())));
        assert_eq!(pinned.pinned(None, &digest).as_str(), format!("localhost:5000/shop/checkout@{digest}"));
    }
}
