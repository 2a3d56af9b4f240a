//! `lastgood check`: is the configuration good, and does everything in it answer? The rollback path is found broken here,
//! and not when it is needed. Changes nothing and calls nobody.

use std::{collections::BTreeSet, fmt::Write as _, path::Path, process::ExitCode};

use futures_util::future::join_all;
use lastgood_adapters::{
    Check,
    chat::{Chat as _, discord, slack},
    check::Verdict,
    client,
    probe::{Health, Version},
};

use super::{
    Context, Ended, Fault,
    output::{plain, say},
};
use crate::{
    app, chat,
    clock::{Clock as _, System},
    config::{self, Config, LogFormat, adapters::Section as _},
    http::Tls,
    service::{Service, Services},
    store::{self, Store, modes},
    telemetry,
};

pub async fn run(context: &Context) -> Ended {
    telemetry::init(LogFormat::Text, "error");
    let (config, warnings) = context.config()?;
    let client = client::client().map_err(|error| Fault::new(error.to_string()))?;
    let services = app::services(&config, &client)?;
    let mut lines: Vec<_> =
        warnings.iter().map(|warning| Line { sign: '!', text: warning.to_string() }).collect();
    lines.push(Line { sign: '✓', text: format!("{}: valid", context.file().display()) });
    lines.extend(certificate(&config).map(Line::from));
    lines.extend(store_lines(&config, &services).await);
    let pagers = join_all(config.pagers.iter().map(|(name, pager)| {
        let client = &client;
        async move {
            match pager.caller.build(client) {
                Ok(caller) => named(&format!("pager {name}"), caller.check().await),
                Err(unfit) => vec![Check::bad(format!("pager {name}"), unfit.to_string(), "correct it")],
            }
        }
    }));
    let services = join_all(services.iter().map(|service| of_service(service)));
    let (chats, pagers, services) = tokio::join!(chats(&config, &client), pagers, services);
    lines.extend(chats.into_iter().map(Line::from));
    lines.extend(pagers.into_iter().chain(services).flatten().map(Line::from));
    let mut text = String::new();
    for line in &lines {
        // Writing to a string can't fail.
        writeln!(text, "{} {}", line.sign, plain(&line.text)).ok();
    }
    let count = |sign| lines.iter().filter(|line| line.sign == sign).count();
    let (bad, warned) = (count('✗'), count('!'));
    write!(text, "{} good, {warned} to look at, {bad} failed", count('✓')).ok();
    say(text)?;
    Ok(if bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Line {
    sign: char,
    text: String,
}

impl From<Check> for Line {
    fn from(check: Check) -> Self {
        let Check { what, verdict } = check;
        match verdict {
            Verdict::Good(seen) => Self { sign: '✓', text: format!("{what}: {seen}") },
            Verdict::Warning { seen, advice } => {
                Self { sign: '!', text: format!("{what}: {seen}; {advice}") }
            }
            Verdict::Bad { seen, advice } => Self { sign: '✗', text: format!("{what}: {seen}; {advice}") },
        }
    }
}

async fn store_lines(config: &Config, services: &Services) -> Vec<Line> {
    let what = format!("store {}", store::without_password(&config.store.url));
    let opened = match app::open_store(config).await {
        Ok(store) => store,
        Err(app::NotBuilt::Store { error, .. }) => {
            return vec![Line { sign: '✗', text: format!("{what}: {error}") }];
        }
        Err(error) => return vec![Line { sign: '✗', text: error.to_string() }],
    };
    let mut lines = vec![Check::good(what.clone(), "answers, and its schema is up to date")];
    lines.extend(opened.path().map(folder));
    match store::messages::refused(opened.reader()).await {
        Ok(0) => {}
        Ok(count) => lines.push(Check::warning(
            "chat",
            format!("{count} messages were refused for good"),
            "see the server's log for the platform's reasons",
        )),
        Err(error) => lines.push(Check::bad(what.clone(), error.to_string(), "is the schema complete?")),
    }
    match unplaced(&opened, services).await {
        Ok(unplaced) => lines.extend(unplaced),
        Err(error) => lines.push(Check::bad(what, error.to_string(), "is the schema complete?")),
    }
    opened.close().await;
    lines.into_iter().map(Line::from).collect()
}

/// Pools of which it is not known what they run, since a release was recorded without its pool.
async fn unplaced(store: &Store, services: &Services) -> store::Result<Vec<Check>> {
    let mut found = Vec::new();
    for service in services.iter() {
        let unknown = unknown_pools(store, service).await?;
        if unknown.is_empty() {
            continue;
        }
        // A shifter of the user's own may tell by itself. That it can't be asked is another line's.
        let runs = service.shifter.observe().await.map(|seen| seen.runs).unwrap_or_default();
        let untold = unknown.into_iter().filter(|(pool, _)| !runs.contains_key(pool));
        found.extend(untold.map(|(_, check)| check));
    }
    Ok(found)
}

async fn unknown_pools(store: &Store, service: &Service) -> store::Result<Vec<(String, Check)>> {
    let db = store.reader();
    let mut found = Vec::new();
    for pool in &service.only_recorded {
        let last = store::releases::last_in_pool(db, &service.id, pool).await?;
        let unplaced = store::releases::unplaced_since(db, &service.id, last.as_ref()).await?;
        let Some(unplaced) = unplaced.first() else { continue };
        let last = last.map_or_else(
            || "and no record names this pool".to_owned(),
            |last| format!("later than {}, the last record of this pool", last.artifact),
        );
        let seen = format!("not known: {} was recorded without `pool`, {last}", unplaced.artifact);
        let advice = format!(
            "record {} again with the pool where it is, and have the pipeline send `pool` with every record (or give the pool a \
             `version` endpoint)",
            unplaced.artifact.version
        );
        let what = format!("{}: what pool {pool} runs", service.id);
        found.push((pool.clone(), Check::warning(what, seen, advice)));
    }
    Ok(found)
}

fn certificate(config: &Config) -> Option<Check> {
    let files = config.http.tls.as_ref()?;
    Some(match Tls::load(files) {
        Ok(_) => Check::good("http.tls", "certificate and key fit together"),
        Err(error) => Check::bad("http.tls", error.to_string(), "`lastgood serve` does not start with it"),
    })
}

/// Whoever can change files there can do what lastgood can.
fn folder(database: &Path) -> Check {
    let (folder, access) = match modes::folder_of(database) {
        Ok(seen) => seen,
        Err(error) => {
            let what = format!("store folder of {}", database.display());
            return Check::bad(what, error.to_string(), "does it exist, and may this user look at it?");
        }
    };
    let (what, shown) = ("store folder".to_owned(), folder.display());
    match access {
        modes::Folder::Private => Check::good(what, format!("{shown} is closed to others")),
        modes::Folder::Readable => Check::warning(
            what,
            format!("others can look into {shown}, and read backups that are made there"),
            format!("chmod o-rwx {shown}"),
        ),
        modes::Folder::Writable => Check::warning(
            what,
            format!("others can write into {shown}, and put a database of theirs in the place of this one"),
            format!("chmod o-rwx {shown}, or move the database to a folder of its own"),
        ),
    }
}

async fn chats(config: &Config, client: &reqwest::Client) -> Vec<Check> {
    let (mut lines, more) = tokio::join!(on_slack(config, client), on_discord(config));
    lines.extend(more);
    lines
}

fn rooms(config: &Config, platform: &str) -> Vec<String> {
    let rooms = config.services.values().flat_map(config::Service::rooms);
    let rooms = rooms.filter(|room| room.platform == platform).map(|room| room.name.clone());
    rooms.collect::<BTreeSet<_>>().into_iter().collect()
}

async fn on_discord(config: &Config) -> Vec<Check> {
    let rooms = rooms(config, discord::NAME);
    match chat::discord(config, rooms.clone()) {
        Ok(Some(discord)) => {
            let groups = groups(config, discord::NAME);
            let (mut lines, groups) = tokio::join!(discord.check(&rooms), discord.check_groups(&groups));
            lines.extend(groups);
            named(discord::NAME, lines)
        }
        Ok(None) => Vec::new(),
        Err(error) => vec![Check::bad(discord::NAME, error.to_string(), "correct it")],
    }
}

async fn on_slack(config: &Config, client: &reqwest::Client) -> Vec<Check> {
    let rooms = rooms(config, slack::NAME);
    match chat::slack(config, client, rooms.clone()) {
        Ok(Some(slack)) => {
            let groups = groups(config, slack::NAME);
            let (mut lines, groups) = tokio::join!(slack.check(&rooms), slack.check_groups(&groups));
            lines.extend(groups);
            named(slack::NAME, lines)
        }
        Ok(None) => Vec::new(),
        Err(error) => vec![Check::bad(slack::NAME, error.to_string(), "correct it")],
    }
}

/// Groups whose members may approve.
fn groups(config: &Config, platform: &str) -> Vec<String> {
    let approvers = config.services.values().flat_map(|service| &service.approvers);
    let groups = approvers.filter(|who| who.platform == platform && who.is_group());
    groups.map(|who| who.name.clone()).collect::<BTreeSet<_>>().into_iter().collect()
}

fn named(name: &str, checks: Vec<Check>) -> Vec<Check> {
    checks.into_iter().map(|check| Check { what: format!("{name}: {}", check.what), ..check }).collect()
}

async fn of_service(service: &Service) -> Vec<Check> {
    let now = System.now();
    let registry = async {
        match &service.registry {
            Some(registry) => registry.check().await,
            None => Vec::new(),
        }
    };
    let metrics = join_all(service.metrics.iter().map(|metric| metric.source.check(now)));
    let health = join_all(service.health.iter().map(|probe| {
        healthy("health", probe.as_ref(), "until it is healthy, no rollback can prove recovery")
    }));
    let pools = join_all(service.pools.iter().map(|(name, pool)| async move {
        let mut lines = Vec::new();
        if let Some(version) = &pool.version {
            lines.push(running(name, version.as_ref()).await);
        }
        for probe in &pool.health {
            let of = format!("pool {name}: health");
            lines.push(healthy(&of, probe.as_ref(), "until it is healthy, no traffic is moved there").await);
        }
        lines
    }));
    let (traffic, registry, metrics, health, pools) =
        tokio::join!(service.shifter.check(), registry, metrics, health, pools);
    let all = traffic.into_iter().chain(registry).chain(metrics.into_iter().flatten());
    let all = all.chain(health).chain(pools.into_iter().flatten());
    named(&service.id.0, all.collect())
}

async fn healthy(of: &str, probe: &dyn Health, advice: &str) -> Check {
    match probe.probe().await {
        Ok(detail) => Check::good(format!("{of} {}", probe.name()), detail),
        // Which names what was asked.
        Err(fault) => Check::bad(of, fault.to_string(), advice),
    }
}

async fn running(pool: &str, version: &dyn Version) -> Check {
    let what = format!("pool {pool}: version");
    match version.running().await {
        Ok(digest) => Check::good(what, format!("runs {}", digest.short())),
        Err(fault) => Check::bad(what, fault.to_string(), "until it answers, what runs there is not known"),
    }
}
