//! The full schemas of custom resources, as npm packages carry them (`tests/run` installs them): the definitions that scenarios put
//! into their API server are reduced, and would let mistakes pass.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::Value;

pub struct Judge {
    child: Child,
    lines: ChildStdin,
    verdicts: BufReader<ChildStdout>,
}

/// Groups that it knows.
const GROUPS: [&str; 4] = ["gateway.networking.k8s.io", "networking.istio.io", "argoproj.io", "traefik.io"];

impl Judge {
    pub fn start() -> Self {
        let folder = std::env::var_os("LASTGOOD_TEST_KUBERNETES_CLIENTS");
        let folder: PathBuf = folder.expect("the schemas are missing: run the tests by tests/run").into();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/kubernetes/judge.mjs");
        let mut command = Command::new("node");
        command.arg(script).env("CLIENTS", folder.join("node"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = child.stdin.take().unwrap();
        let verdicts = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines, verdicts }
    }

    /// Whether there is a schema for it. What Kubernetes itself defines, the API server judges.
    pub fn knows(object: &Value) -> bool {
        let group = object["apiVersion"].as_str().and_then(|version| version.split_once('/'));
        group.is_some_and(|(group, _)| GROUPS.contains(&group))
    }

    /// # Errors
    /// What is wrong with it.
    pub fn judge(&mut self, object: &Value) -> Result<(), String> {
        writeln!(self.lines, "{object}").unwrap();
        let mut verdict = String::new();
        self.verdicts.read_line(&mut verdict).unwrap();
        match verdict.trim() {
            "ok" => Ok(()),
            wrong => Err(wrong.to_owned()),
        }
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn the_schemas_refuse_what_is_wrong() {
    let route = |weight: i64| {
        serde_json::json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "a"},
            "spec": {"rules": [{"backendRefs": [{"name": "x", "port": 80, "weight": weight}]}]}})
    };
    let mut judge = Judge::start();
    assert_eq!(judge.judge(&route(1)), Ok(()));
    assert!(judge.judge(&route(-1)).unwrap_err().contains("weight"));
}
