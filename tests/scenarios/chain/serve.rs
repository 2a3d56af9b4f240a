//! The real program, `lastgood serve`, to be stopped, frozen and killed.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use lastgood_tests::{
    binary,
    process::{Process, poll},
};
use serde_json::Value;
use tokio::task::JoinHandle;

use super::{
    bot::Http,
    stage::{CI_TOKEN, Stage},
};

pub struct Serve {
    pub process: Process,
    pub http: Http,
}

impl Serve {
    /// Starts on a configuration file's text; returns when it says that it is ready. That its port accepts connections says
    /// less: what a killed process was about to start holds its socket for a moment longer.
    pub async fn start(folder: &Path, name: &str, configuration: &str, at: SocketAddr) -> Self {
        let file = folder.join(format!("{name}.toml"));
        std::fs::write(&file, configuration).unwrap();
        let mut command = binary::command(folder, &["--config", file.to_str().unwrap(), "serve"]);
        let mut process = Process::start(name, &mut command, folder);
        process.listening(at).await;
        let ready = || process.output().contains("lastgood is ready").then_some(());
        poll("lastgood to be ready", Duration::from_secs(20), ready).await;
        Self { process, http: Http::new(at) }
    }

    /// SIGTERM; it has to end well, and soon.
    pub async fn ends(mut self) {
        self.process.signal("TERM");
        let status = self.process.wait(Duration::from_secs(5)).await;
        assert!(status.success(), "{status}:\n{}", self.process.output());
    }

    /// Waits until run 1 is in this phase, and gives it.
    pub async fn until(&self, phase: &str) -> Value {
        let mut last = Value::Null;
        for _ in 0..1_000 {
            let asked = self.http.try_get("/v1/rollbacks/RB-1", CI_TOKEN).await;
            last = asked.unwrap_or_else(|error| panic!("{error:?}:\n{}", self.process.output())).1;
            if last["phase"] == phase {
                return last;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("RB-1 should be {phase}:\n{:#}\n{}", last["state"], self.process.output())
    }
}

/// Writes down every change of HAProxy's map.
pub struct Witness {
    seen: Arc<Mutex<Vec<String>>>,
    watching: JoinHandle<()>,
}

impl Witness {
    pub fn watch(stage: &Arc<Stage>) -> Self {
        let seen = Arc::new(Mutex::new(vec![stage.routed()]));
        let (stage, writes) = (stage.clone(), seen.clone());
        let watching = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(5)).await;
                let now = stage.routed();
                let mut seen = writes.lock().unwrap();
                if seen.last() != Some(&now) {
                    seen.push(now);
                }
            }
        });
        Self { seen, watching }
    }

    /// Which pools had the traffic, one after the other.
    pub fn routes(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

/// Waits until nothing rings, or everything that rang is one page.
pub async fn one_page(stage: &Stage) {
    poll("the page", Duration::from_secs(10), || (!stage.pagerduty.pages().is_empty()).then_some(())).await;
    assert_eq!(stage.pagerduty.pages().len(), 1, "{:?}", stage.pagerduty.pages());
}
