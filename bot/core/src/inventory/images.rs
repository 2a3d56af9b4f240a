//! One identity for an image that has several digests: an index, and the manifests that it names, one for each platform. A record may
//! hold either, and what runs may report the other; both are one artifact.

use std::collections::{BTreeMap, BTreeSet};

use crate::Digest;

/// What registries said of digests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Images {
    /// Newest first, each once.
    recorded: Vec<Digest>,
    /// Those that were asked about. What is no index names nothing.
    manifests: BTreeMap<Digest, BTreeSet<Digest>>,
}

impl Images {
    /// `recorded` newest first; of each digest that a registry was asked about, the manifests that it names.
    pub fn new(
        recorded: impl IntoIterator<Item = Digest>,
        manifests: impl IntoIterator<Item = (Digest, BTreeSet<Digest>)>,
    ) -> Self {
        let mut seen = BTreeSet::new();
        let recorded = recorded.into_iter().filter(|digest| seen.insert(digest.clone())).collect();
        Self { recorded, manifests: manifests.into_iter().collect() }
    }

    /// Adds what a registry said.
    pub fn learn(&mut self, digest: Digest, manifests: BTreeSet<Digest>) {
        self.manifests.insert(digest, manifests);
    }

    /// Newest first, each once.
    pub fn recorded(&self) -> &[Digest] {
        &self.recorded
    }

    /// Whether a registry was asked about it.
    pub fn is_known(&self, digest: &Digest) -> bool {
        self.manifests.contains_key(digest)
    }

    /// The digest that stands for the artifact: of those that were recorded the index, if there is one, and of several the one that
    /// was recorded last. Itself, when it belongs to nothing that was recorded.
    ///
    /// Two indexes are one artifact only when they name the same manifests: rebuilt with other attestations. Sharing the manifest of
    /// one platform, they differ on another.
    pub fn artifact<'a>(&'a self, digest: &'a Digest) -> &'a Digest {
        let Some(own) = self.named_by(digest) else {
            return self.recorded.iter().find(|one| self.names(one, digest)).unwrap_or(digest);
        };
        let same = self.recorded.iter().find(|one| self.named_by(one) == Some(own));
        same.or_else(|| {
            let manifest = self.recorded.iter().find(|one| own.contains(one))?;
            // It may have been recorded as a part of another index as well.
            Some(self.recorded.iter().find(|one| self.names(one, manifest)).unwrap_or(manifest))
        })
        .unwrap_or(digest)
    }

    /// Whether both are one artifact.
    pub fn are_one(&self, a: &Digest, b: &Digest) -> bool {
        self.artifact(a) == self.artifact(b)
    }

    /// Whether it, or what it is one artifact with, was recorded.
    pub fn is_recorded(&self, digest: &Digest) -> bool {
        self.recorded.contains(self.artifact(digest))
    }

    /// The manifests of an index; none for what is none, or is not known.
    fn named_by(&self, digest: &Digest) -> Option<&BTreeSet<Digest>> {
        self.manifests.get(digest).filter(|manifests| !manifests.is_empty())
    }

    fn names(&self, index: &Digest, manifest: &Digest) -> bool {
        self.named_by(index).is_some_and(|manifests| manifests.contains(manifest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(letter: char) -> Digest {
        format!("sha256:{}", letter.to_string().repeat(64)).parse().unwrap()
    }

    fn images(recorded: &str, indexes: &[(char, &str)]) -> Images {
        let set = |letters: &str| letters.chars().map(digest).collect();
        Images::new(recorded.chars().map(digest), indexes.iter().map(|(of, named)| (digest(*of), set(named))))
    }

    #[track_caller]
    fn stands(images: &Images, of: char, wanted: char) {
        assert_eq!(images.artifact(&digest(of)), &digest(wanted), "{of}");
        assert_eq!(
            images.artifact(&digest(wanted)),
            &digest(wanted),
            "what stands for others stands for itself"
        );
    }

    #[test]
    fn a_manifest_is_what_its_recorded_index_is_and_the_other_way_round() {
        let by_index = images("a", &[('a', "12"), ('1', "")]);
        stands(&by_index, '1', 'a');
        stands(&by_index, '2', 'a');
        stands(&by_index, '3', '3');
        assert!(by_index.is_recorded(&digest('1')) && !by_index.is_recorded(&digest('3')));
        let by_manifest = images("1", &[('a', "12"), ('1', "")]);
        stands(&by_manifest, 'a', '1');
        stands(&by_manifest, '2', '2');
        // Both, in either order: the index stands for both, so that a later record changes nothing.
        for recorded in ["a1", "1a"] {
            let both = images(recorded, &[('a', "12"), ('1', "")]);
            stands(&both, '1', 'a');
            stands(&both, 'a', 'a');
        }
    }

    #[test]
    fn indexes_are_one_only_when_they_name_the_same() {
        // Newest first: b was rebuilt from the same bytes as a; c shares one platform only.
        let rebuilt = images("cba", &[('a', "12"), ('b', "21"), ('c', "13")]);
        stands(&rebuilt, 'a', 'b');
        stands(&rebuilt, '2', 'b');
        stands(&rebuilt, 'c', 'c');
        assert!(!rebuilt.are_one(&digest('a'), &digest('c')));
        // A manifest of both is taken for the newer one.
        stands(&rebuilt, '1', 'c');
        // One that was never recorded, of an artifact that was.
        let unrecorded = images("ba", &[('a', "1"), ('b', "2"), ('f', "1")]);
        stands(&unrecorded, 'f', 'a');
        let by_part = images("2a", &[('a', "12"), ('f', "23")]);
        stands(&by_part, 'f', 'a');
    }

    #[test]
    fn nothing_is_guessed_of_what_was_not_asked() {
        let none = images("a1", &[]);
        stands(&none, 'a', 'a');
        stands(&none, '1', '1');
        assert!(!none.is_known(&digest('a')));
        // Indexes of nothing but attestations are not all the same one.
        let empty = images("ab", &[('a', ""), ('b', "")]);
        stands(&empty, 'b', 'b');
    }
}
