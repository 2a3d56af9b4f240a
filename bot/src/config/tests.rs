//! Bad files and the exact messages they get.

use std::path::PathBuf;

use super::*;

mod discord;
mod documentation;
mod mistakes;
mod slack;
mod whole;

/// A directory with one file of secrets per name; a configuration's `{ env = "NAME" }` become these files, since a test
/// can't set the environment.
pub struct Secrets {
    directory: tempfile::TempDir,
}

impl Secrets {
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Each name is its own secret.
    pub fn put_in(&self, text: &str) -> String {
        let named = regex::Regex::new(r#"env = "([A-Z_]+)""#).unwrap();
        let put = named.replace_all(text, |found: &regex::Captures<'_>| {
            let path = self.path(&found[1]);
            // Slack's tokens tell by their beginning what they are for.
            let kind = match &found[1] {
                "SLACK_BOT_TOKEN" => "xoxb-",
                "SLACK_APP_TOKEN" => "xapp-",
                _ => "",
            };
            let mut secret = format!("{kind}hunter2-{}", &found[1]);
            if &found[1] == "DISCORD_TOKEN" {
                // Its three parts tell a bot's token.
                secret = format!("hunter2.{secret}.hunter2");
            }
            std::fs::write(&path, format!("{secret}\n")).unwrap();
            format!("file = {:?}", path.display().to_string())
        });
        put.into_owned()
    }
}

/// The smallest file without a word of complaint but for what `warnings` says.
pub const SMALL: &str = r#"
[services.checkout]
environment = "production"
room = "terminal:"
approvers = ["os:ana", "os:ben"]
health.http = [{ url = "http://127.0.0.1/healthz" }]
[services.checkout.traffic]
strategy = "blue-green"
kind = "haproxy"
instances = ["unix:/run/haproxy.sock"]
switch = { map = "/m", key = "k", blue = "be_blue", green = "be_green" }
[services.checkout.pools.blue]
[services.checkout.pools.green]
"#;

pub fn problems(text: &str) -> Vec<String> {
    match Config::parse(text, "x.toml") {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

pub fn warnings(text: &str) -> Vec<String> {
    let (_, warnings) = Config::parse(text, "x.toml").unwrap_or_else(|problems| panic!("{problems:#?}"));
    warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn a_small_file_is_enough_and_gets_the_documented_defaults() {
    let (config, warnings) = Config::parse(SMALL, "x.toml").unwrap();
    let (name, checkout) = config.service("checkout").unwrap();
    assert_eq!(name, "checkout");
    assert_eq!(config.store.url, "sqlite:lastgood.db");
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.log.format, LogFormat::Text);
    assert_eq!((checkout.approvals, checkout.requester_may_approve), (1, true));
    assert_eq!(checkout.approval, Approval::Required);
    assert_eq!(checkout.traffic.strategy, Strategy::BlueGreen);
    assert!(!checkout.must_pull());
    let spans = [
        checkout.min_bake,
        checkout.suspect_within,
        checkout.expires_after,
        checkout.answer_within,
        checkout.ack_within,
        checkout.shift_within(),
        checkout.health.every,
        checkout.health.recover_within,
    ];
    assert_eq!(spans.map(|span| span.to_string()), ["10m", "24h", "30m", "5m", "5m", "2m", "5s", "5m"]);
    assert_eq!(checkout.health.good_in_a_row, 3);
    assert_eq!(checkout.health.tolerance, Tolerance { factor: 1.5, points: 0.5 });
    let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "x.toml:2:11: services.checkout.page: nobody is paged when a rollback does not help; name a pager in `page`"
        ]
    );
}

#[test]
fn an_alert_belongs_to_a_service_when_all_its_matchers_match() {
    let text =
        SMALL.replace("room =", "alerts = ['service=\"checkout\"', 'severity=~\"page|critical\"']\nroom =");
    let (config, _) = Config::parse(&text, "x.toml").unwrap();
    let labels =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let checkout = &config.services["checkout"];
    assert!(checkout.matches(&labels(&[("service", "checkout"), ("severity", "page")])));
    assert!(!checkout.matches(&labels(&[("service", "checkout"), ("severity", "info")])));
    let (silent, _) = Config::parse(SMALL, "x.toml").unwrap();
    assert!(!silent.services["checkout"].matches(&labels(&[])), "no matchers: no alerts");
}

#[test]
fn nothing_shows_a_secret() {
    let secrets = Secrets::new();
    let text = secrets.put_in(include_str!("../../../deploy/example.toml"));
    let (config, warnings) =
        Config::parse(&text, "x.toml").unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert_eq!(config.http.tokens[0].secret.reveal(), "hunter2-LASTGOOD_CI_TOKEN");
    let shown = format!("{config:?} {warnings:?}");
    assert!(shown.contains("[secret]") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn no_mistake_shows_a_secret_that_was_written_in_the_wrong_place() {
    let http = "[http]\ntokens = ";
    for (text, wanted) in [
        (format!("{http}[{{ name = \"ci\", secret = \"hunter2\", may = [\"gate\"] }}]"), "a secret is { env"),
        (format!("{http}[\"hunter2\"]"), "expected a table, found a string"),
        (format!("{http}\"hunter2\""), "expected a list, found a string"),
        (
            format!(
                "{http}[{{ name = \"ci\", secret = {{ env = \"LG_UNSET\", hunter = \"hunter2\" }}, may = [] }}]"
            ),
            "{ env",
        ),
        ("[http]\nlisten = \"hunter2\"".to_owned(), "listen"),
        ("[store]\nurl = \"postgres://me:hunter2@db/x\"".to_owned(), "there is a password in the address"),
        (
            "[store]\nurl = \"postgres://db/x?password=hunter2\"".to_owned(),
            "there is a password in the address",
        ),
        ("[store]\npasword = \"hunter2\"".to_owned(), "did you mean \"password\"?"),
        ("[store]\npassword = \"hunter2".to_owned(), "not TOML"),
        ("[log]\nformat = \"hunter2\"".to_owned(), "not one of \"text\", \"json\""),
        ("[pagers.p]\nkind = \"hunter2\"".to_owned(), "not one of \"pagerduty\""),
        ("[operators]\nana = \"hunter2\"".to_owned(), "expected platform:person"),
    ] {
        let found = problems(&text).join("\n");
        assert!(found.contains(wanted) && !found.contains("hunter2"), "{text}: {found}");
        let debug = format!("{:?}", Config::parse(&text, "x.toml"));
        assert!(!debug.contains("hunter2"), "{text}: {debug}");
    }
}

#[test]
fn a_file_that_is_not_there_is_a_problem_too() {
    let found = Config::load(std::path::Path::new("/nonexistent/lastgood.toml")).unwrap_err();
    assert_eq!(
        found[0].to_string(),
        "/nonexistent/lastgood.toml:1:1: can't be read: No such file or directory (os error 2); \
         give another file with --config"
    );
}
