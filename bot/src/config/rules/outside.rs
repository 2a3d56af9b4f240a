//! Store, HTTP and pagers.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use lastgood_adapters::chat::{discord, slack};

use super::Rules;
use crate::config::{
    adapters::Section,
    problem::Path,
    sections::{Config, May, Store, Token},
    service::Service,
};

/// Shorter secrets can be guessed by asking.
const SHORT_SECRET: usize = 16;
/// A busy machine stands still for a while without being dead.
const SHORTEST_TERM: Duration = Duration::from_secs(1);

/// With fewer the server would be busy turning people away.
const FEWEST_CONNECTIONS: usize = 8;
const MOST_CONNECTIONS: usize = 65_536;

impl Rules<'_> {
    pub(super) fn store(&mut self, store: &Store) {
        let at = keys!["store", "url"];
        let (scheme, rest) = store.url.split_once(':').unwrap_or_default();
        let postgres = matches!(scheme, "postgres" | "postgresql");
        let good = match scheme {
            "sqlite" => !rest.trim_start_matches('/').is_empty() || rest == "/",
            _ => postgres && url::Url::parse(&store.url).is_ok_and(|url| url.has_host()),
        };
        if !good {
            self.advise(at, "not a store", "write \"sqlite:PATH\" or \"postgres://user@host/database\"");
        } else if store.password.is_some() && !postgres {
            self.problem(keys!["store", "password"], "only PostgreSQL has a password");
        }
        if store.lease_term.0 < SHORTEST_TERM {
            let what = "a busy machine stands still for as long: replicas would strike each other off";
            self.advise(keys!["store", "lease_term"], what, "at least 1s");
        }
    }

    pub(super) fn automatic(&mut self, config: &Config) {
        if config.automatic.at_once == 0 {
            self.advise(
                keys!["automatic", "at_once"],
                "nothing would ever be shifted without a click",
                "at least 1; for a click everywhere leave `approval = \"none\"` out of the services",
            );
        }
    }

    pub(super) fn http(&mut self, config: &Config) {
        let mut names = BTreeSet::new();
        let mut holders: BTreeMap<&str, &str> = BTreeMap::new();
        for (index, token) in config.http.tokens.iter().enumerate() {
            let at = keys!["http", "tokens", index];
            self.token(&at, token);
            if !names.insert(token.name.as_str()) {
                self.problem(at.then("name"), format!("there are two tokens named {:?}", token.name));
            }
            if let Some(other) = holders.insert(token.secret.reveal(), &token.name) {
                let what = format!("the same secret as token {other:?}: who calls could not be told");
                self.problem(at.then("secret"), what);
            }
        }
        if config.http.connections < FEWEST_CONNECTIONS {
            let what = "too few: a load balancer, a browser and a chat hold that many by themselves";
            let advice = format!("at least {FEWEST_CONNECTIONS}; the default is 512");
            self.advise(keys!["http", "connections"], what, advice);
        } else if config.http.connections > MOST_CONNECTIONS {
            let what = "more than this server can hold";
            self.advise(keys!["http", "connections"], what, format!("at most {MOST_CONNECTIONS}"));
        }
        self.tls(config);
        let alerts = config.services.values().any(|service| !service.alerts.is_empty());
        if alerts && !config.http.tokens.iter().any(|token| token.may(May::Alert)) {
            let what = "services have alerts, but no token may send any";
            self.warn(keys!["http", "tokens"], what, "add one with may = [\"alert\"]");
        }
    }

    /// What the files hold is looked at by those who use them: break glass on the server's machine needs no key.
    fn tls(&mut self, config: &Config) {
        let Some(tls) = &config.http.tls else { return };
        for (key, file) in [("cert", &tls.cert), ("key", &tls.key)] {
            if file.as_os_str().is_empty() {
                self.advise(keys!["http", "tls", key], "empty", "give the path of a file in PEM");
            }
        }
        let plain = |url: &String| url.starts_with("http://");
        if config.http.public_url.as_ref().is_some_and(plain) {
            let what = "http.tls is configured, and links in messages would not use it";
            self.warn(keys!["http", "public_url"], what, "it starts with https://");
        }
    }

    fn token(&mut self, at: &Path, token: &Token) {
        let bad = |c: char| c == ':' || c.is_whitespace() || c.is_control();
        if token.name.is_empty() || token.name.contains(bad) {
            self.problem(at.then("name"), "a token's name is a word without a colon");
        }
        if token.may.is_empty() {
            self.problem(at.then("may"), "a token that may do nothing");
        }
        if token.secret.reveal().chars().count() < SHORT_SECRET {
            let what = format!("the secret is shorter than {SHORT_SECRET} characters");
            self.warn(at.then("secret"), what, "make one with: openssl rand -hex 32");
        }
    }

    pub(super) fn pagers(&mut self, config: &Config) {
        for (name, pager) in &config.pagers {
            let at = keys!["pagers", name.as_str()];
            self.section(&at, &pager.caller);
            let used = |page: &Vec<String>| page.contains(name);
            if !config.services.values().any(|service| used(&service.page)) {
                self.warn(at, "no service pages here", "name it in a service's `page`");
            }
        }
    }

    pub(super) fn chats(&mut self, config: &Config) {
        let rooms = || config.services.values().flat_map(Service::rooms);
        if let Some(discord) = &config.chats.discord {
            let at = keys!["chats", "discord"];
            self.section(&at, discord);
            if !rooms().any(|room| room.platform == discord::NAME) {
                self.warn(at, "no service has a room there", "for example room = \"discord:#incidents\"");
            }
        }
        if let Some(slack) = &config.chats.slack {
            let at = keys!["chats", "slack"];
            self.section(&at, slack);
            if !rooms().any(|room| room.platform == slack::NAME) {
                self.warn(at, "no service has a room there", "for example room = \"slack:#incidents\"");
            }
        }
    }

    /// What only the adapter can say of its section.
    pub(super) fn section(&mut self, at: &Path, section: &impl Section) {
        for (key, source) in section.secrets() {
            if let Err(missing) = source.read() {
                self.problem(at.then(key), missing.to_string());
            }
        }
        for (key, what) in section.problems() {
            let at = if key.is_empty() { at.clone() } else { at.then(key) };
            self.problem(at, what);
        }
    }
}
