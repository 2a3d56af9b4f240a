//! What is shipped: the image is built by the script that built the binary under test.

use std::{path::PathBuf, process::Command, time::Duration};

use lastgood_tests::process::{Process, free_port};

fn read(file: &str) -> String {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The Dockerfile's instructions, continuation lines joined, without comments.
fn instructions() -> Vec<String> {
    let lines =
        read("Dockerfile").lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
    lines
        .replace("\\\n", " ")
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

fn only(keyword: &str) -> String {
    let all: Vec<_> =
        instructions().into_iter().filter(|line| line.starts_with(&format!("{keyword} "))).collect();
    assert_eq!(all.len(), 1, "{keyword}: {all:?}");
    all[0].clone()
}

#[test]
fn the_image_holds_what_the_tests_start() {
    let run = only("RUN");
    assert!(run.contains("\"$(deploy/build)\""), "{run}");
    assert!(!run.contains("cargo build"), "a second way to build: {run}");
    assert!(read("tests/run").contains("LASTGOOD_TEST_RELEASE=$(deploy/build)"));
    assert!(read("deploy/build").contains("cargo build --release --locked "));
}

#[test]
fn the_image_runs_as_nobody_and_asks_itself_for_its_health() {
    assert_eq!(only("USER"), "USER nonroot:nonroot");
    assert_eq!(only("STOPSIGNAL"), "STOPSIGNAL SIGTERM");
    let health = only("HEALTHCHECK");
    assert!(health.ends_with("CMD [\"/usr/local/bin/lastgood\", \"health\"]"), "no shell there: {health}");
    assert_eq!(only("ENTRYPOINT"), "ENTRYPOINT [\"/usr/local/bin/lastgood\"]");
}

#[test]
fn the_builder_gets_every_member_of_the_workspace_and_nothing_that_was_built() {
    let ignore = read(".dockerignore");
    let has = |line: &str| ignore.lines().any(|other| other == line);
    assert!(has("*") && has("**/target"));
    let workspace = read("Cargo.toml");
    let members = workspace.lines().find(|line| line.starts_with("members")).unwrap();
    for member in members.split('"').skip(1).step_by(2) {
        let folder = member.split('/').next().unwrap();
        assert!(has(&format!("!{folder}")), "{member} is missing: cargo refuses the workspace");
    }
    for file in ["Cargo.toml", "Cargo.lock", "deploy"] {
        assert!(has(&format!("!{file}")), "{file}");
    }
}

/// The smallest configuration that serves.
const CONFIGURATION: &str = r#"
[http]
listen = "ADDRESS"
[services.checkout]
environment = "production"
room = "terminal:"
approvers = ["os:ana"]
alerts = ['service="checkout"']
health.http = [{ url = "http://127.0.0.1:9/healthz" }]
traffic = { strategy = "blue-green", kind = "haproxy", instances = ["unix:/nowhere/haproxy.sock"], switch = { map = "/m", key = "k", blue = "be_blue", green = "be_green" } }
pools = { blue = {}, green = {} }
"#;

/// No engine runs an image here: this is the image's program, its folder, its health check and its stop signal.
#[tokio::test]
async fn what_is_shipped_runs_in_an_empty_folder_says_that_it_is_well_and_stops_cleanly() {
    let program = std::env::var("LASTGOOD_TEST_RELEASE")
        .expect("LASTGOOD_TEST_RELEASE is not set: run the tests by tests/run, which builds what is shipped");
    let folder = tempfile::tempdir().unwrap();
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], free_port()));
    std::fs::write(
        folder.path().join("lastgood.toml"),
        CONFIGURATION.replace("ADDRESS", &address.to_string()),
    )
    .unwrap();
    let command = |argument: &str| {
        let mut command = Command::new(&program);
        command.arg(argument).current_dir(folder.path()).env_clear();
        command
    };
    let mut serving = Process::start("serve", &mut command("serve"), folder.path());
    serving.listening(address).await;
    let well = command("health").arg("--url").arg(format!("http://{address}")).status().unwrap();
    assert!(well.success(), "health: {well}\n{}", serving.output());
    serving.signal("TERM");
    let ended = serving.wait(Duration::from_secs(10)).await;
    assert!(ended.success(), "{ended}\n{}", serving.output());
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().any(|name| name == "lastgood.db"), "the store is beside its configuration: {left:?}");
}
