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

use super::{
    problem::{Path, Problem, did_you_mean},
    sections::Config,
    tree::{Node, Tree, Value},
};

/// What the rules found.
pub struct Rules<'a> {
    tree: &'a Tree<'a>,
    pub problems: Vec<Problem>,
    pub warnings: Vec<Problem>,
}

impl<'a> Rules<'a> {
    pub fn check(tree: &'a Tree<'a>, config: &Config) -> Self {
        let mut rules = Self { tree, problems: Vec::new(), warnings: Vec::new() };
        rules.store(&config.store);
        rules.http(config);
        rules.pagers(config);
        rules.operators(config);
        rules.services(config);
        rules.addresses(&tree.root, &Path::default());
        rules
    }

    fn problem(&mut self, path: Path, what: impl Into<String>) {
        self.problems.push(self.tree.problem(path, what, None));
    }

    fn advise(&mut self, path: Path, what: impl Into<String>, advice: impl Into<String>) {
        self.problems.push(self.tree.problem(path, what, Some(advice.into())));
    }

    fn warn(&mut self, path: Path, what: impl Into<String>, advice: impl Into<String>) {
        self.warnings.push(self.tree.problem(path, what, Some(advice.into())));
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
        if parsed.as_ref().is_ok_and(|url| url.password().is_some()) {
            let advice = match path.to_string().as_str() {
                "store.url" => "leave it out and set store.password = { env = \"NAME\" }",
                _ => "secrets come from { env = \"NAME\" } or { file = \"/path\" }, in a key made for them",
            };
            self.advise(path.clone(), "there is a password in the address", advice);
            return;
        }
        let text_path = path.to_string();
        let is_http = text_path.ends_with(".url") || text_path.ends_with(".public_url");
        if is_http && text_path != "store.url" {
            let good = parsed.is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
            if !good {
                self.advise(path.clone(), "not an address", "it starts with http:// or https://");
            }
        }
    }
}
