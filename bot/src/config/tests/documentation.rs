//! deploy/example.toml has every key that the types know, and docs/configuration.md has a row for each.

use std::collections::BTreeSet;

use super::{Secrets, *};

const EXAMPLE: &str = include_str!("../../../../deploy/example.toml");
const DOCUMENT: &str = include_str!("../../../../docs/configuration.md");
const MINIMAL: &str = include_str!("../../../../deploy/minimal.toml");
const README: &str = include_str!("../../../../README.md");

/// Keys by the types; what people name themselves is `NAME`, list items `[]`.
fn keys(text: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let tree = tree::Tree::parse(text, "example.toml").unwrap();
    let Reading { value, problems, shapes, .. } = tree::read::<Config>(&tree);
    assert!(value.is_some() && problems.is_empty(), "{problems:#?}");
    (shapes.known, shapes.present)
}

#[test]
fn the_example_is_valid_and_has_every_key() {
    let secrets = Secrets::new();
    let (known, present) = keys(&secrets.put_in(EXAMPLE));
    let missing: Vec<_> = known.difference(&present).collect();
    assert!(missing.is_empty(), "deploy/example.toml lacks {missing:?}");
}

#[test]
fn the_readme_shows_the_minimal_configuration_and_it_is_good() {
    let block = README.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    assert_eq!(block, Some(MINIMAL));
    let secrets = Secrets::new();
    let (_, warnings) = Config::parse(&secrets.put_in(MINIMAL), "minimal.toml").unwrap();
    let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 1, "nobody is paged, and no more: {warnings:#?}");
    assert!(warnings[0].contains("services.checkout.page"), "{warnings:#?}");
}

#[test]
fn the_document_has_a_row_for_every_key_and_no_other() {
    let secrets = Secrets::new();
    let (known, _) = keys(&secrets.put_in(EXAMPLE));
    // A pool's metrics are as the service's own.
    let own =
        |key: String| key.replace("services.NAME.pools.NAME.metrics[].", "services.NAME.health.metrics[].");
    let known: BTreeSet<_> = known.into_iter().map(own).collect();
    let mut rows = BTreeSet::new();
    for line in DOCUMENT.lines().filter(|line| line.starts_with("| `")) {
        let key = line.trim_start_matches("| `").split('`').next().unwrap();
        assert!(rows.insert(key.to_owned()), "{key} is documented twice");
    }
    let leaves: BTreeSet<_> = known.iter().filter(|key| !parent(key, &known)).cloned().collect();
    let undocumented: Vec<_> = leaves.difference(&rows).collect();
    let unknown: Vec<_> = rows.difference(&leaves).collect();
    assert!(
        undocumented.is_empty() && unknown.is_empty(),
        "undocumented {undocumented:#?}, unknown {unknown:#?}"
    );
}

/// A table whose keys have rows of their own.
fn parent(key: &str, known: &BTreeSet<String>) -> bool {
    known.iter().any(|other| {
        other.strip_prefix(key).is_some_and(|rest| rest.starts_with('.') || rest.starts_with("[]."))
    })
}
