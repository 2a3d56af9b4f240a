//! The snippets for pipelines in docs/operations.md, as they are printed: read as YAML, and run by bash against a real server.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use lastgood_core::Artifact;
use lastgood_tests::{
    binary::{self, Said},
    process::free_port,
    shop::artifact,
};
use serde_json::Value;

use super::chain::{
    serve::Serve,
    stage::{CI_TOKEN, Stage, Wishes},
};

/// What a runner is told: variables, and scripts that run one after the other until one fails.
struct Job {
    declared: BTreeMap<String, String>,
    /// With the options by which the runner starts bash.
    steps: Vec<(&'static [&'static str], String)>,
}

/// The YAML block that follows a line of docs/operations.md.
fn printed(after: &str) -> Value {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, rest) = page.split_once(&format!("\n{after}\n\n```yaml\n")).expect("the snippet");
    let (yaml, _) = rest.split_once("\n```\n").expect("its end");
    serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{after} {error}\n{yaml}"))
}

fn texts(of: &Value) -> BTreeMap<String, String> {
    let all = of.as_object().expect("variables").iter();
    all.map(|(name, value)| (name.clone(), value.as_str().expect("a text").to_owned())).collect()
}

/// GitHub's `shell: bash` starts it with these options, and each step by itself.
fn github() -> Job {
    let job = &printed("GitHub Actions:")["deploy"];
    assert_eq!(job["defaults"]["run"]["shell"], "bash");
    let steps = job["steps"].as_array().expect("steps").iter();
    let run = |step: &Value| step["run"].as_str().expect("a script").to_owned();
    let options: &[&str] = &["--noprofile", "--norc", "-e", "-o", "pipefail"];
    Job { declared: texts(&job["env"]), steps: steps.map(|step| (options, run(step))).collect() }
}

/// GitLab's runner makes one script of all lines.
fn gitlab() -> Job {
    let job = &printed("GitLab:")["deploy"];
    let lines = job["script"].as_array().expect("lines").iter();
    let lines: Vec<_> = lines.map(|line| line.as_str().expect("a line is a text, and no mapping")).collect();
    Job { declared: texts(&job["variables"]), steps: vec![(&["-e"], lines.join("\n"))] }
}

struct Pipeline {
    job: Job,
    folder: PathBuf,
    server: String,
}

impl Pipeline {
    /// Everything that `deploy.sh` was started with.
    fn deployed(&self) -> String {
        std::fs::read_to_string(self.folder.join("deployed")).unwrap_or_default()
    }

    /// Runs the job for an artifact, as its `number`th.
    fn runs(&self, artifact: &Artifact, number: u32) -> Said {
        assert!(self.job.declared.contains_key("LASTGOOD"), "where lastgood is");
        let mut last = Said { code: Some(0), out: String::new(), err: String::new() };
        for (options, script) in &self.job.steps {
            let mut bash = Command::new("bash");
            bash.args(*options).args(["-c", script]).current_dir(&self.folder).env_clear();
            bash.env("PATH", std::env::var_os("PATH").unwrap_or_default());
            for (name, value) in [
                ("LASTGOOD", self.server.as_str()),
                ("LASTGOOD_CI_TOKEN", CI_TOKEN),
                ("DIGEST", artifact.digest.as_str()),
                ("GITHUB_REF_NAME", &artifact.version),
                ("GITHUB_RUN_ID", &number.to_string()),
                ("CI_COMMIT_TAG", &artifact.version),
                ("CI_JOB_ID", &number.to_string()),
            ] {
                bash.env(name, value);
            }
            last = bash.output().unwrap().into();
            if last.code != Some(0) {
                break;
            }
        }
        last
    }
}

/// The first deployment ever, the second, one that is refused, and one that nobody can tell about.
async fn works_as_printed(job: Job) {
    let stage = Stage::set().await;
    let folder = stage.folder.path().join("pipeline");
    std::fs::create_dir(&folder).unwrap();
    let deploy = folder.join("deploy.sh");
    std::fs::write(&deploy, "#!/bin/sh\necho \"$@\" >> deployed\n").unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&deploy, executable).unwrap();
    let store = format!("sqlite:{}", stage.folder.path().join("lastgood.db").display());
    let configuration = stage.configuration(&store, &Wishes::default());
    let serve = Serve::start(stage.folder.path(), "lastgood", &configuration, stage.bot).await;
    let server = format!("http://{}", stage.bot);
    let mut pipeline = Pipeline { job, folder, server };

    let [first, second, bad] = ["v1", "v2", "v3"].map(artifact);
    let mut wanted = String::new();
    for (number, release) in (1..).zip([&first, &second]) {
        let said = pipeline.runs(release, number);
        assert_eq!(said.code, Some(0), "{} {said:?}", release.version);
        wanted += &format!("green {}\n", release.digest);
        assert_eq!(pipeline.deployed(), wanted);
    }
    let lastgood = |arguments: &[&str]| {
        let said = binary::run(stage.folder.path(), &[&["--config", "lastgood.toml"], arguments].concat());
        assert_eq!(said.code, Some(0), "{arguments:?}: {said:?}");
        said.out
    };
    let releases: Value = serde_json::from_str(&lastgood(&["releases", "checkout", "--json"])).unwrap();
    let rows: Vec<_> = releases.as_array().unwrap().iter().collect();
    let row = |at: usize| {
        [&rows[at]["version"], &rows[at]["phase"], &rows[at]["pool"]].map(|v| v.as_str().unwrap_or("-"))
    };
    assert_eq!([row(0), row(1)], [["v2", "live", "green"], ["v2", "preview", "-"]], "{releases}");
    assert_eq!((rows.len(), row(2)), (4, ["v1", "live", "green"]));

    lastgood(&["mark", "checkout", bad.digest.as_str(), "unstable", "--reason", "it leaks"]);
    let refused = pipeline.runs(&bad, 3);
    assert_ne!(refused.code, Some(0), "{refused:?}");
    assert_eq!(pipeline.deployed(), wanted, "what is refused is not deployed");
    pipeline.server = format!("http://127.0.0.1:{}", free_port());
    let untold = pipeline.runs(&second, 4);
    assert_ne!(untold.code, Some(0), "{untold:?}");
    assert_eq!(pipeline.deployed(), wanted, "nor what nobody answers for");
    serve.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_snippet_for_github_works_as_printed() {
    works_as_printed(github()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_snippet_for_gitlab_works_as_printed() {
    works_as_printed(gitlab()).await;
}
