//! What types can't say: names that must exist, numbers that must fit together, secrets that must be there. Every rule
//! looks on after a mistake.

/// A path from its steps.
macro_rules! keys {
    ($($step:expr),+ $(,)?) => {
        $crate::config::problem::Path::default()$(.then($step))+
    };
}

mod outside;
mod people;
mod service;

use std::collections::HashSet;

use super::{
    problem::{Path, Problem, Step, did_you_mean},
    sections::Config,
    tree::{Node, Tree, Value},
};

/// What the rules found.
pub struct Rules<'a> {
    tree: &'a Tree<'a>,
    /// What the configuration lacks because it could not be read.
    excluded: &'a HashSet<Path>,
    pub problems: Vec<Problem>,
    pub warnings: Vec<Problem>,
}

impl<'a> Rules<'a> {
    pub fn check(tree: &'a Tree<'a>, excluded: &'a HashSet<Path>, config: &Config) -> Self {
        let mut rules = Self { tree, excluded, problems: Vec::new(), warnings: Vec::new() };
        rules.store(&config.store);
        rules.http(config);
        rules.pagers(config);
        rules.chats(config);
        rules.operators(config);
        rules.automatic(config);
        rules.services(config);
        rules.addresses(&tree.root, &Path::default());
        rules
    }

    fn problem(&mut self, path: Path, what: impl Into<String>) {
        self.problems.push(self.tree.problem(self.actual(&path), what, None));
    }

    fn advise(&mut self, path: Path, what: impl Into<String>, advice: impl Into<String>) {
        self.problems.push(self.tree.problem(self.actual(&path), what, Some(advice.into())));
    }

    fn warn(&mut self, path: Path, what: impl Into<String>, advice: impl Into<String>) {
        self.warnings.push(self.tree.problem(self.actual(&path), what, Some(advice.into())));
    }

    /// Whether everything at a path could be read: what is there is then all there is.
    fn intact(&self, path: &Path) -> bool {
        !self.excluded.iter().any(|excluded| excluded.0.starts_with(&path.0))
    }

    /// A list's index in the file, given its index in the configuration, which lacks the unreadable items before it.
    fn actual(&self, path: &Path) -> Path {
        path.0.iter().fold(Path::default(), |list, step| match step {
            Step::Key(_) => list.then(step.clone()),
            Step::Index(index) => {
                let mut kept = (0..).filter(|nth: &usize| !self.excluded.contains(&list.then(*nth)));
                list.then(kept.nth(*index).unwrap_or(*index))
            }
        })
    }

    /// Names that the file declares under a path, even where the section itself has mistakes.
    fn declared(&self, path: &Path) -> Vec<String> {
        self.tree.get(path).into_iter().flat_map(Node::keys).map(str::to_owned).collect()
    }

    /// Reports a reference to what is not declared.
    fn refer(&mut self, at: Path, what: &str, name: &str, declared: &[String]) {
        if declared.iter().any(|known| known == name) {
            return;
        }
        let near = did_you_mean(name, declared.iter().map(String::as_str));
        let advice = near.unwrap_or_else(|| match declared {
            [] => format!("no {what} is declared"),
            names => format!("declared: {}", names.join(", ")),
        });
        self.advise(at, format!("there is no {what} {name:?}"), advice);
    }

    /// Every address anywhere: `url` is HTTP, and none holds a password.
    fn addresses(&mut self, node: &Node, path: &Path) {
        match &node.value {
            Value::Table(entries) => {
                for entry in entries {
                    self.addresses(&entry.node, &path.then(entry.key.as_str()));
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.addresses(item, &path.then(index));
                }
            }
            Value::String(text) => self.address(text, path),
            _ => {}
        }
    }

    fn address(&mut self, text: &str, path: &Path) {
        let parsed = url::Url::parse(text);
        if parsed.as_ref().is_ok_and(has_password) {
            let advice = match path.to_string().as_str() {
                "store.url" => "leave it out and set store.password = { env = \"NAME\" }",
                _ => "secrets come from { env = \"NAME\" } or { file = \"/path\" }, in a key made for them",
            };
            let what = "there is a password in the address";
            self.problems.push(self.tree.problem(path.clone(), what, Some(advice.to_owned())));
            return;
        }
        let text_path = path.to_string();
        let is_http = text_path.ends_with(".url") || text_path.ends_with(".public_url");
        if is_http && text_path != "store.url" {
            let good = parsed.is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
            if !good {
                let advice = "it starts with http:// or https://".to_owned();
                self.problems.push(self.tree.problem(path.clone(), "not an address", Some(advice)));
            }
        }
    }
}

/// In the user's part or, as PostgreSQL takes it, among the parameters.
fn has_password(url: &url::Url) -> bool {
    url.password().is_some() || url.query_pairs().any(|(key, _)| key == "password")
}
