//! A real Alertmanager that sends every alert at once, with a bearer token, to one webhook.

use std::{net::SocketAddr, path::Path, process::Command};

use crate::process::{Process, free_port};

pub struct Alertmanager {
    pub process: Process,
    pub at: SocketAddr,
}

impl Alertmanager {
    /// Sends groups, by `alertname` and `service`, to the webhook `url` with `token`.
    pub async fn start(folder: &Path, url: &str, token: &str, slack: Option<&str>) -> Self {
        let at: SocketAddr = ([127, 0, 0, 1], free_port()).into();
        let config = folder.join("alertmanager.yml");
        let text = format!(
            "route:\n  receiver: lastgood\n  group_by: [alertname, service]\n  group_wait: 0s\n  group_interval: 1s\n  \
             repeat_interval: 1h\nreceivers:\n  - name: lastgood\n    webhook_configs:\n      - url: '{url}'\n        \
             send_resolved: true\n        http_config: {{ authorization: {{ type: Bearer, credentials: '{token}' }} }}\n"
        );
        // The same, told in Slack by an incoming webhook, with the templates that Alertmanager brings.
        let slack = slack.map_or_else(String::new, |address| {
            format!(
                "    slack_configs:\n      - api_url: '{address}'\n        channel: '#incidents'\n        \
                 send_resolved: true\n        actions:\n          - {{ type: button, text: Runbook, url: 'https://rb/x' }}\n"
            )
        });
        std::fs::write(&config, text + &slack).unwrap();
        let mut command = Command::new("prometheus-alertmanager");
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", folder.join("alertmanager-data").display()))
            .arg(format!("--web.listen-address={at}"))
            // Empty: it would otherwise gossip on a fixed port of all interfaces.
            .arg("--cluster.listen-address=")
            .arg("--log.level=debug");
        let mut process = Process::start("prometheus-alertmanager", &mut command, folder);
        process.listening(at).await;
        Self { process, at }
    }
}
