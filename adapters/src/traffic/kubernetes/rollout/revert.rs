//! Going back through Git: the file that names the image is changed by a proposal on the forge, and whoever applies it from there moves
//! traffic once somebody has merged. Only the image goes back: what else that release changed stays in Git.

use lastgood_core::Digest;

use super::{Rollout, snapshot::Snapshot};
use crate::{
    Fault,
    forge::{Change, Forge, State},
    traffic::{
        Move,
        kubernetes::{gitops, image::Image},
    },
};

/// How a proposal stands, in words.
pub enum Standing {
    Waiting(String),
    Closed(String),
    /// None was made.
    Nothing,
}

impl Rollout {
    /// The change of the file that leads to the target.
    pub(super) async fn change_of(
        &self,
        forge: &dyn Forge,
        snapshot: &Snapshot,
        wanted: &Move,
    ) -> Result<Change, Fault> {
        let invalid = |why: String| Fault::Invalid(format!("{}: {why}", forge.name()));
        let (failing, running) = snapshot.asked().map_err(|why| self.invalid(&why))?;
        let target: Digest = self.whole(snapshot, wanted).map_err(|why| self.invalid(&why))?;
        let file = forge.file().await?;
        let tag = Some(wanted.version.as_str()).filter(|version| super::plan::is_tag(version));
        let text = edited(&file.text, &failing, running.as_ref(), tag, &target).map_err(invalid)?;
        let owner = gitops::owner(&snapshot.object, &self.argocd)
            .map_or_else(|| "what applies it".to_owned(), |owner| owner.name);
        Ok(Change {
            branch: branch(wanted, &target),
            title: wanted.note.clone(),
            body: format!(
                "{} goes back to `{}` (`{target}`).\n\nOpened by lastgood. Its merge moves traffic, once {owner} has applied it.",
                self.called(),
                wanted.version
            ),
            text,
            revision: file.revision,
        })
    }

    /// How the proposal stands that leads there.
    pub(super) async fn standing_of(
        &self,
        forge: &dyn Forge,
        snapshot: &Snapshot,
        wanted: &Move,
    ) -> Result<Standing, Fault> {
        let target = self.whole(snapshot, wanted).map_err(|why| self.invalid(&why))?;
        let Some(found) = forge.proposal(&branch(wanted, &target)).await? else {
            return Ok(Standing::Nothing);
        };
        Ok(match found.state {
            State::Open => Standing::Waiting(format!("waits for somebody to merge {}", found.url)),
            State::Merged => Standing::Waiting(format!("{} is merged, and not applied yet", found.url)),
            State::Closed => Standing::Closed(format!("{} was closed without being merged", found.url)),
        })
    }
}

/// One for each run and target: `lastgood/rb-1-e40dbc2dac47`.
fn branch(wanted: &Move, target: &Digest) -> String {
    let run = wanted.note.split(':').next().unwrap_or_default().to_lowercase();
    format!("lastgood/{run}-{}", target.short())
}

/// The text with the failing image replaced: where it stands as the workload has it, else by its tag and digest as Kustomize and Helm
/// write them.
///
/// # Errors
/// Why that can't be done surely.
fn edited(
    text: &str,
    failing: &Image,
    running: Option<&Digest>,
    tag: Option<&str>,
    target: &Digest,
) -> Result<String, String> {
    let pinned = failing.pinned(tag, target);
    let whole = replaced(text, failing.as_str(), pinned.as_str());
    if whole != text {
        return Ok(whole);
    }
    let (mut changed, mut tags) = (text.to_owned(), 0);
    if let (Some(old), Some(new)) = (failing.tag(), tag) {
        let lines: Vec<String> =
            text.lines().map(|line| keyed(line, &["newTag", "tag"], old, new, &mut tags)).collect();
        changed = lines.join("\n") + if text.ends_with('\n') { "\n" } else { "" };
    }
    if tags > 1 {
        return Err(format!(
            "it names {} {tags} times: which of them is meant can't be told",
            failing.tag().unwrap_or_default()
        ));
    }
    if let Some(running) = running {
        changed = replaced(&changed, running.as_str(), target.as_str());
    }
    if changed == text {
        return Err(format!("it does not name {}, which is deployed now", failing.as_str()));
    }
    Ok(changed)
}

/// Every occurrence that is not part of something longer.
fn replaced(text: &str, old: &str, new: &str) -> String {
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':' | '@' | '/');
    let mut done = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(old) {
        let (before, after) = (&rest[..at], &rest[at + old.len()..]);
        // A digest may follow what it belongs to.
        let begins =
            before.chars().next_back().is_none_or(|c| !part(c) || (c == '@' && old.starts_with("sha")));
        let alone = begins && after.chars().next().is_none_or(|c| !part(c));
        done.push_str(before);
        done.push_str(if alone { new } else { old });
        rest = after;
    }
    done + rest
}

/// A line `key: value`, with its value replaced if it is the old one; counts those.
fn keyed(line: &str, keys: &[&str], old: &str, new: &str, count: &mut u32) -> String {
    let Some((key, value)) = line.split_once(':') else { return line.to_owned() };
    let key = key.trim().trim_start_matches("- ");
    let bare = value.split(" #").next().unwrap_or_default().trim().trim_matches(['"', '\'']);
    if !keys.contains(&key) || bare != old {
        return line.to_owned();
    }
    *count += 1;
    let (before, _) = line.split_at(line.len() - value.len());
    format!("{before}{}", value.replacen(old, new, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(digit: char) -> Digest {
        format!("sha256:{}", digit.to_string().repeat(64)).parse().unwrap()
    }

    fn with(text: &str, failing: &str) -> Result<String, String> {
        edited(text, &Image::new(failing), Some(&digest('b')), Some("v1"), &digest('a'))
    }

    #[test]
    fn the_image_is_replaced_where_it_stands_and_nowhere_else() {
        let failing = format!("registry:5000/shop/checkout:v2@{}", digest('b'));
        let good = format!("registry:5000/shop/checkout:v1@{}", digest('a'));
        let file =
            |image: &str| format!("image: {image} # the shop\nother: registry:5000/shop/checkout:v2-debug\n");
        assert_eq!(with(&file(&failing), &failing).unwrap(), file(&good));
        let tagged = "image: \"shop/checkout:v2\"\nsidecar: shop/checkout:v2.1\n";
        let pinned = format!("image: \"shop/checkout:v1@{}\"\nsidecar: shop/checkout:v2.1\n", digest('a'));
        assert_eq!(with(tagged, "shop/checkout:v2").unwrap(), pinned);
    }

    #[test]
    fn kustomize_and_helm_name_tag_and_digest_apart() {
        let kustomize = "images:\n- name: shop/checkout\n  newTag: v2 # by the pipeline\n";
        assert_eq!(with(kustomize, "shop/checkout:v2").unwrap(), kustomize.replace("v2", "v1"));
        let helm = format!("image:\n  repository: shop/checkout\n  tag: \"v2\"\n  digest: {}\n", digest('b'));
        let back = helm.replace("v2", "v1").replace(digest('b').as_str(), digest('a').as_str());
        assert_eq!(with(&helm, "shop/checkout:v2").unwrap(), back);
        let two = "a:\n  tag: v2\nb:\n  tag: v2\n";
        assert!(with(two, "shop/checkout:v2").unwrap_err().contains("2 times"));
        assert!(
            with("replicas: 3\n", "shop/checkout:v2").unwrap_err().contains("does not name shop/checkout:v2")
        );
    }
}
