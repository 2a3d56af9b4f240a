//! Blue/green and canary through nginx: the weights of an upstream are rewritten in its file, `nginx -t` judges the whole
//! configuration, a reload takes it over, and a request through nginx itself tells which weights the workers serve by:
//! the file also sets a variable that names them.

mod conf;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::future::{join_all, try_join_all};
use lastgood_core::{Shares, Strategy, inventory::live::near};
use serde::Deserialize;
use tokio::time::Instant;

use self::conf::{Conf, mark, marked, variable};
use super::{
    CALL_LIMIT, Section, Shifter,
    dial::dial,
    fleet::{Fleet, Pool, Reading, Vendor, Wrote},
    no_pods,
    shares::spell,
    text, two_pools,
};
use crate::{
    BuildError, Fault,
    client::{Address, ask, limit, quote},
    duration::Span,
    program::Program,
};

const MOST: usize = 64 * 1024;
/// Requests on connections of their own that must all be answered by the new workers: while old ones still accept, one
/// request proves little.
const ASKED: usize = 8;
/// How long nginx gets to take over a configuration before that is left to reading back.
const LOOK: Duration = Duration::from_secs(2);
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);
/// For 100 ms after it has started new workers, nginx lets the old ones accept connections as well (ngx_process_cycle.c,
/// "allow new processes to start"): until then no answer proves that the next one will be the same.
const OVERLAP: Duration = Duration::from_millis(150);

/// ```toml
/// file = "/etc/nginx/conf.d/checkout-upstream.conf"
/// upstream = "checkout"
/// pools = { blue = ["10.0.0.5:8080"], green = ["10.0.0.6:8080"] }
/// ask = "http://127.0.0.1/lastgood/checkout"
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Holds the upstream, and the map that says which shares it stands for.
    pub file: PathBuf,
    pub upstream: String,
    /// Pool → its servers, as the upstream names them.
    pub pools: BTreeMap<String, Vec<String>>,
    /// Through nginx: answers with the map's variable.
    pub ask: Address,
    /// Judges the configuration.
    #[serde(default = "test")]
    pub test: Vec<String>,
    /// Makes nginx take it over.
    #[serde(default = "reload")]
    pub reload: Vec<String>,
    /// What one call may take in all; `traffic::CALL_LIMIT` unless given.
    pub timeout: Option<Span>,
}

fn test() -> Vec<String> {
    ["nginx", "-t"].map(str::to_owned).into()
}

fn reload() -> Vec<String> {
    ["nginx", "-s", "reload"].map(str::to_owned).into()
}

pub struct Nginx {
    config: Config,
    names: Vec<String>,
    test: Program,
    reload: Program,
    /// Never keeps a connection: an old worker goes on answering on those that it has.
    fresh: reqwest::Client,
    limit: Duration,
}

impl Section for Config {
    fn pools(&self) -> Vec<&str> {
        self.pools.keys().map(String::as_str).collect()
    }

    fn misfit(&self, strategy: Strategy) -> Option<String> {
        no_pods("nginx", strategy)
    }

    fn build(&self, _: &str, _: &reqwest::Client) -> Result<Arc<dyn Shifter>, BuildError> {
        let joined = self.pools.iter().map(|(pool, members)| (pool.clone(), members.join(" "))).collect();
        two_pools(&joined)?;
        let mut members: Vec<_> = self.pools.values().flatten().collect();
        let all = members.len();
        members.sort();
        members.dedup();
        if members.len() < all {
            return Err(BuildError::invalid("pools", "a server is named twice"));
        }
        if !self.file.is_absolute() {
            return Err(BuildError::invalid("file", "give its whole path, from /"));
        }
        let limit = limit(self.timeout, CALL_LIMIT)?;
        let nginx = Nginx {
            names: vec![self.file.display().to_string()],
            test: Program::new("test", &self.test)?,
            reload: Program::new("reload", &self.reload)?,
            fresh: crate::client::without_keeping()?,
            limit,
            config: self.clone(),
        };
        Ok(Arc::new(Fleet::new(nginx, limit)))
    }
}

impl Nginx {
    /// What the workers serve by.
    async fn asked(&self) -> Result<Shares, Fault> {
        let what = &self.config.ask.to_string();
        let once = || async {
            let request = self.fresh.get(self.config.ask.url().clone());
            let answer = ask(request, self.limit, MOST).await.map_err(|lost| lost.of_question(what))?;
            let said = quote(&answer.text(), &[]);
            if !answer.status.is_success() {
                return Err(answer.fault(format!("{what}: {said}")));
            }
            marked(&said, &self.config.pools).ok_or_else(|| {
                let variable = variable(&self.config.upstream);
                Fault::Invalid(format!(
                    "{what} answers {said:?}, which names no shares of {}: let it `return 200 {variable};`",
                    self.config.pools.keys().cloned().collect::<Vec<_>>().join(", ")
                ))
            })
        };
        let answers = try_join_all((0..ASKED).map(|_| once())).await?;
        let mut most = Shares::new();
        for shares in &answers {
            for (pool, share) in shares {
                let known = most.entry(pool.clone()).or_default();
                *known = (*share).max(*known);
            }
        }
        // Old and new workers answer side by side: said as routers that disagree are, by shares of more than 100 in all.
        Ok(most)
    }

    fn understood(&self, file: &str) -> Result<Conf, Fault> {
        Conf::read(file, &self.config.upstream)
            .map_err(|why| Fault::Invalid(format!("{}: {why}", self.config.file.display())))
    }

    async fn pool(&self, members: &[String], conf: &Conf) -> Pool {
        let absent: Vec<_> = members
            .iter()
            .filter(|member| !conf.servers.iter().any(|server| server.address == **member))
            .map(String::as_str)
            .collect();
        let (alive, unchecked) = dial(members).await;
        Pool {
            alive,
            all: u32::try_from(members.len()).unwrap_or(u32::MAX),
            missing: (!absent.is_empty())
                .then(|| format!("upstream {} has no server {}", self.config.upstream, absent.join(", "))),
            unchecked,
        }
    }
}

#[async_trait]
impl Vendor for Nginx {
    const NAME: &'static str = "nginx";

    fn instances(&self) -> &[String] {
        &self.names
    }

    fn pools(&self) -> Vec<&str> {
        Section::pools(&self.config)
    }

    async fn read(&self, _: &str) -> Result<Reading, Fault> {
        let revision = text::read(&self.config.file).await?;
        let conf = self.understood(&revision)?;
        let shares = self.asked().await?;
        let (file, mut strange) = conf.shares(&self.config.pools);
        if marked(&conf.mark, &self.config.pools).is_none_or(|told| !near(&told, &file)) {
            strange.push(format!(
                "{} was changed by hand: its servers' weights are {}, and {} says {:?}",
                self.config.file.display(),
                spell(&file),
                variable(&self.config.upstream),
                conf.mark
            ));
        }
        let each = self
            .config
            .pools
            .iter()
            .map(|(pool, members)| async { (pool.clone(), self.pool(members, &conf).await) });
        let coming = (!near(&file, &shares)).then(|| {
            let why = format!(
                "{} says {}, and nginx serves by {}",
                self.names.concat(),
                spell(&file),
                mark(&shares)
            );
            (file, why)
        });
        Ok(Reading {
            router: "nginx".to_owned(),
            pools: join_all(each).await.into_iter().collect(),
            shares,
            strange,
            coming,
            revision,
            ..Reading::default()
        })
    }

    async fn dry_run(&self, _: &str, _: &Reading, _: &Shares) -> Result<Vec<String>, Fault> {
        text::writable(&self.config.file).await?;
        self.test.judge(self.limit).await.map(|()| Vec::new())
    }

    async fn write(&self, to: &[(&str, &Reading)], wanted: &Shares, wrote: &Wrote) -> Result<(), Fault> {
        // As it was read: whoever wrote it since is not written over.
        let was = to.first().map(|(_, reading)| reading.revision.clone()).unwrap_or_default();
        let conf = self.understood(&was)?;
        let now = conf.write(&was, &self.config.pools, wanted);
        wrote.begins();
        if now != was {
            text::replace(&self.config.file, &was, &now).await?;
        }
        // Each has a part of the time only, so that there is some left to put the file back.
        let each = self.limit / 4;
        let judged = match self.test.judge(each).await {
            Ok(()) => self.reload.judge(each).await,
            refused => refused,
        };
        if let Err(fault) = judged {
            // Left there, it would be taken over by the next reload, whoever causes it, and with nobody watching.
            if now != was {
                text::replace(&self.config.file, &now, &was).await?;
            }
            return Err(fault);
        }
        let end = Instant::now() + LOOK;
        while Instant::now() < end && !self.asked().await.is_ok_and(|now| near(&now, wanted)) {
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        // What still is otherwise then is left to reading back.
        tokio::time::sleep(OVERLAP).await;
        Ok(())
    }

    fn remedy(&self, fault: &Fault) -> &'static str {
        match fault {
            Fault::NotFound(_) => "name file and ask as nginx's configuration does",
            Fault::Denied(_) => "let lastgood read and replace the file, and run test and reload (sudo -n …)",
            Fault::Unavailable(_) => "is nginx running, and does ask lead through it?",
            _ => "docs/adapters.md shows the file and the location that are needed",
        }
    }
}
