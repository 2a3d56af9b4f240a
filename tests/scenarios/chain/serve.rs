//! The real program, `lastgood serve`, to be stopped, frozen and killed.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use lastgood_tests::process::{Process, poll, poll_async};
use serde_json::Value;
use tokio::task::JoinHandle;

use super::{
    bot::Http,
    stage::{CI_TOKEN, Stage},
};

/// The program that this workspace builds.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let built = test.parent().and_then(Path::parent).expect("target/PROFILE/deps").join("lastgood");
    assert!(built.exists(), "{} is not there: build it first, `cargo build --bin lastgood`", built.display());
    built
}

pub struct Serve {
    pub process: Process,
    pub http: Http,
}

impl Serve {
    /// Starts on a configuration file's text; returns when it listens.
    pub async fn start(folder: &Path, name: &str, configuration: &str, at: SocketAddr) -> Self {
        let file = folder.join(format!("{name}.toml"));
        std::fs::write(&file, configuration).unwrap();
        let mut command = Command::new(program());
        command.arg("--config").arg(file).arg("serve").current_dir(folder);
        let mut process = Process::start(name, &mut command, folder);
        process.listening(at).await;
        Self { process, http: Http::new(at) }
    }

    /// SIGTERM; it has to end well, and soon.
    pub async fn ends(mut self) {
        self.process.signal("TERM");
        let status = self.process.wait(Duration::from_secs(5)).await;
        assert!(status.success(), "{status}:\n{}", self.process.output());
    }

    pub async fn run(&self, number: i64) -> Value {
        self.http.get(&format!("/v1/rollbacks/RB-{number}"), CI_TOKEN).await.1
    }

    /// Waits until run 1 is in this phase, and gives it.
    pub async fn until(&self, phase: &str) -> Value {
        let what = format!("RB-1 to be {phase}");
        poll_async(&what, Duration::from_secs(20), || async {
            let run = self.run(1).await;
            (run["phase"] == phase).then_some(run)
        })
        .await
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
