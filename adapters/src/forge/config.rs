//! The section that says which file a revert changes, and where.

use std::sync::Arc;

use serde::Deserialize;

use super::{Forge, github::GitHub, gitlab::GitLab};
use crate::{
    BuildError, Secret,
    client::{Address, limit},
    duration::Span,
    secret::Source,
    traffic::CALL_LIMIT,
};

/// ```toml
/// revert = { forge = "github", repository = "shop/deploy", file = "apps/checkout.yaml", token = { env = "GITHUB_TOKEN" } }
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub forge: Kind,
    /// `owner/name`; on GitLab groups may be nested.
    pub repository: String,
    /// Which names the image that is deployed.
    pub file: String,
    /// That is deployed from; `main` unless given.
    pub branch: Option<String>,
    pub token: Source,
    /// Of the interface, for a forge of one's own: `https://git.example.com/api/v3` (GitHub), `https://git.example.com/api/v4` (GitLab).
    pub url: Option<Address>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Github,
    Gitlab,
}

/// What both vendors need.
pub(super) struct Place {
    pub url: Address,
    pub repository: String,
    pub file: String,
    pub branch: String,
    pub token: Secret,
    pub limit: std::time::Duration,
    pub http: reqwest::Client,
}

impl Config {
    /// # Errors
    /// A token that can't be read, a repository or file that is none.
    pub fn build(&self, timeout: Option<Span>, http: &reqwest::Client) -> Result<Arc<dyn Forge>, BuildError> {
        let parts: Vec<&str> = self.repository.split('/').collect();
        let plain = |text: &str| !text.is_empty() && !text.contains(['?', '#', '%', ' ']) && text != "..";
        if parts.len() < 2 || !parts.iter().all(|part| plain(part)) {
            return Err(BuildError::invalid(
                "revert",
                format!("{:?}: write the repository like \"shop/deploy\"", self.repository),
            ));
        }
        if !self.file.trim_start_matches('/').split('/').all(plain) {
            return Err(BuildError::invalid("revert", format!("{:?} is no file of a repository", self.file)));
        }
        let public = match self.forge {
            Kind::Github => "https://api.github.com",
            Kind::Gitlab => "https://gitlab.com/api/v4",
        };
        let url = match &self.url {
            Some(url) => url.clone(),
            None => Address::try_from(public.to_owned())
                .map_err(|why| BuildError::invalid("revert", why.to_string()))?,
        };
        let place = Place {
            url,
            repository: self.repository.clone(),
            file: self.file.trim_start_matches('/').to_owned(),
            branch: self.branch.clone().unwrap_or_else(|| "main".to_owned()),
            token: BuildError::read("revert", &self.token)?,
            limit: limit(timeout, CALL_LIMIT)?,
            http: http.clone(),
        };
        Ok(match self.forge {
            Kind::Github => Arc::new(GitHub(place)),
            Kind::Gitlab => Arc::new(GitLab(place)),
        })
    }
}
