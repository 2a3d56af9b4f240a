//! `lastgood.toml`: read, checked as a whole, and either usable or refused with everything that is wrong with it. An
//! engineer who sets up a rollback bot must not find its mistakes one by one, least of all during an incident.

pub mod adapters;
pub mod names;
mod problem;
mod rules;
mod sections;
mod service;
mod tree;

use std::path::Path;

pub use lastgood_core::Strategy;
pub use names::{Room, Who};
pub(crate) use problem::did_you_mean;
pub use problem::{Path as KeyPath, Position, Problem, Step, Warning};
pub use sections::{Chats, Config, Http, Log, LogFormat, May, Pager, Store, TlsFiles, Token};
pub use service::{Approval, Health, Pool, Service, Tolerance, Traffic};

use rules::Rules;
use tree::{Reading, Tree};

impl Config {
    /// Reads and checks a file, and reads the secrets that it names.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the file's order.
    pub fn load(path: &Path) -> Result<(Self, Vec<Warning>), Vec<Problem>> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            let advice = (error.kind() == std::io::ErrorKind::NotFound)
                .then(|| "give another file with --config".to_owned());
            let what = format!("can't be read: {error}");
            let (at, path) = (Position::START, problem::Path::default());
            vec![Problem { file: file.clone(), at, path, what, advice }]
        })?;
        Self::parse(&text, &file)
    }

    /// As `load`, for a text; `file` is its name in problems.
    ///
    /// # Errors
    /// As `load`.
    pub fn parse(text: &str, file: &str) -> Result<(Self, Vec<Warning>), Vec<Problem>> {
        let tree = Tree::parse(text, file)?;
        let Reading { value: config, mut problems, excluded, .. } = tree::read::<Self>(&tree);
        let mut warnings = Vec::new();
        if let Some(config) = &config {
            let found = Rules::check(&tree, &excluded, config);
            // What was reported already is a stand-in by now, and would be reported for being empty.
            let known: Vec<_> = problems.iter().map(|problem| problem.path.clone()).collect();
            let news = |problem: &Problem| !known.iter().any(|path| problem.path.0.starts_with(&path.0));
            problems.extend(found.problems.into_iter().filter(news));
            warnings.extend(found.warnings.into_iter().filter(news).map(Warning));
        }
        problems
            .sort_by(|one, other| (one.at, &one.path, &one.what).cmp(&(other.at, &other.path, &other.what)));
        warnings.sort_by_key(|warning| (warning.0.at, warning.0.path.clone()));
        match config {
            Some(config) if problems.is_empty() => Ok((config, warnings)),
            _ => Err(problems),
        }
    }
}

#[cfg(test)]
mod tests;
