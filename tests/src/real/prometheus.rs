//! A real Prometheus that scrapes and evaluates every second.

use std::{fmt::Write, net::SocketAddr, path::Path, process::Command, time::Duration};

use serde_json::Value;

use crate::process::{Process, free_port, poll_async};

/// What to start it with.
#[derive(Default)]
pub struct Options<'a> {
    /// Job name and address of what is scraped, under `/metrics`.
    pub targets: &'a [(&'a str, SocketAddr)],
    /// A rules file's text (`groups: …`).
    pub rules: Option<&'a str>,
    pub alertmanager: Option<SocketAddr>,
}

pub struct Prometheus {
    pub process: Process,
    pub at: SocketAddr,
    http: reqwest::Client,
}

impl Prometheus {
    /// Starts it, and waits until it answers queries. Its targets come some seconds later: await `query`.
    pub async fn start(folder: &Path, options: &Options<'_>) -> Self {
        let at: SocketAddr = ([127, 0, 0, 1], free_port()).into();
        let mut text =
            "global: { scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }\nscrape_configs:\n"
                .to_owned();
        for (job, target) in options.targets {
            writeln!(text, "  - {{ job_name: '{job}', static_configs: [{{ targets: ['{target}'] }}] }}")
                .unwrap();
        }
        if let Some(rules) = options.rules {
            let file = folder.join("rules.yml");
            std::fs::write(&file, rules).unwrap();
            writeln!(text, "rule_files: ['{}']", file.display()).unwrap();
        }
        if let Some(alertmanager) = options.alertmanager {
            writeln!(
                text,
                "alerting: {{ alertmanagers: [{{ static_configs: [{{ targets: ['{alertmanager}'] }}] }}] }}"
            )
            .unwrap();
        }
        let config = folder.join("prometheus.yml");
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("prometheus-data").display()))
            .arg(format!("--web.listen-address={at}"))
            .arg("--log.level=warn");
        let mut process = Process::start("prometheus", &mut command, folder);
        process.listening(at).await;
        let prometheus = Self { process, at, http: lastgood_adapters::client::client().unwrap() };
        let ready = format!("{}/-/ready", prometheus.url());
        poll_async("Prometheus to be ready", Duration::from_secs(20), || async {
            prometheus.http.get(&ready).send().await.ok().filter(|answer| answer.status().is_success())
        })
        .await;
        prometheus
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.at)
    }

    /// The first number that a query gives now; `None` without a series.
    pub async fn query(&self, query: &str) -> Option<f64> {
        let request = self.http.get(format!("{}/api/v1/query", self.url())).query(&[("query", query)]);
        let answer: Value = request.send().await.ok()?.json().await.ok()?;
        answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()
    }

    /// Waits until a query gives a number for which `fits` holds.
    pub async fn until(&self, query: &str, fits: impl Fn(f64) -> bool) -> f64 {
        poll_async(&format!("Prometheus to see {query}"), Duration::from_secs(30), || async {
            self.query(query).await.filter(|number| fits(*number))
        })
        .await
    }
}
