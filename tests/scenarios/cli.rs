//! The command line as people and pipelines use it: the real program, in a folder of its own.

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    process::Stdio,
    time::Duration,
};

use lastgood::{
    app::App,
    config::Config,
    engine::acts::{Act, Delivery},
};
use lastgood_core::{Actor, RollbackId, rollback::Standing};
use lastgood_tests::{
    binary::{self, Said},
    process::{Process, free_port, poll_async},
};
use serde_json::{Value, json};
use tempfile::TempDir;

const SECRET: &str = "hunter2-0123456789abcdef";

/// A folder with a configuration, a secret, and nothing else.
struct Place {
    folder: TempDir,
    address: SocketAddr,
}

impl Place {
    fn new() -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
            address: SocketAddr::from(([127, 0, 0, 1], free_port())),
        };
        std::fs::write(place.path().join("secret"), format!("{SECRET}\n")).unwrap();
        std::fs::write(place.path().join("other"), format!("{SECRET}-other\n")).unwrap();
        place.configure(|text| text);
        place
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The usual configuration, changed.
    fn configure(&self, change: impl FnOnce(String) -> String) {
        let text = r#"
[http]
listen = "ADDRESS"
tokens = [{ name = "all", secret = { file = "secret" }, may = ["admin"] }]
[pagers.oncall]
kind = "pagerduty"
routing_key = { file = "other" }
url = "http://127.0.0.1:9"
[services.checkout]
environment = "production"
room = "terminal:"
approvers = ["os:ana", "os:ben"]
alerts = ['service="checkout"']
page = ["oncall"]
health.http = [{ url = "http://127.0.0.1:9/healthz" }]
traffic = { strategy = "blue-green", kind = "haproxy", instances = ["unix:/nowhere/haproxy.sock"], switch = { map = "/m", key = "k", blue = "be_blue", green = "be_green" } }
pools = { blue = {}, green = {} }
"#;
        let text = change(text.replace("ADDRESS", &self.address.to_string()));
        std::fs::write(self.path().join("lastgood.toml"), text).unwrap();
    }

    /// Runs a command; whatever it says, it says no secret.
    fn run(&self, line: &str) -> Said {
        let arguments: Vec<_> = line.split(' ').map(|word| word.replace('_', " ")).collect();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let said = binary::run(self.path(), &arguments);
        let all = format!("{}{}", said.out, said.err);
        assert!(!all.contains("hunter2"), "{line}: {all}");
        assert!(!all.contains("panicked"), "{line}: {all}");
        said
    }

    /// Runs a command that has to succeed, and gives what it answers.
    #[track_caller]
    fn good(&self, line: &str) -> String {
        let said = self.run(line);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{line}: {}", said.out);
        said.out
    }

    /// Runs a command that has to fail, and gives its errors.
    #[track_caller]
    fn bad(&self, code: i32, line: &str) -> String {
        let said = self.run(line);
        assert_eq!(said.code, Some(code), "{line}: {said:?}");
        said.err
    }

    async fn serve(&self) -> Process {
        let mut server =
            Process::start("lastgood", &mut binary::command(self.path(), &["serve"]), self.path());
        server.listening(self.address).await;
        server
    }
}

fn digest(of: char) -> String {
    format!("sha256:{}", of.to_string().repeat(64))
}

#[test]
fn a_folder_with_only_a_configuration_is_enough() {
    let place = Place::new();
    assert_eq!(
        place.good("releases checkout"),
        "nothing was recorded for checkout; `lastgood record` does\n"
    );
    assert_eq!(place.good("incident list"), "no incident is open\n");
    assert_eq!(place.good("status"), "no rollback is running\n\nno incident is open\n");
    assert_eq!(place.good("releases checkout --json"), "[]\n");
    assert!(place.path().join("lastgood.db").exists());
}

#[test]
fn without_a_configuration_every_command_says_where_one_was_looked_for() {
    let empty = tempfile::tempdir().unwrap();
    for (line, code) in [("serve", 1), ("check", 1), ("status", 1), ("gate x y", 2)] {
        let said = binary::run(empty.path(), &line.split(' ').collect::<Vec<_>>());
        assert_eq!((said.code, said.out.as_str()), (Some(code), ""), "{line}");
        let wanted = "error: lastgood.toml:1:1: can't be read: No such file or directory (os error 2); \
                      give another file with --config\n";
        assert_eq!(said.err, wanted);
    }
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0, "nothing was made");
}

#[test]
fn the_environment_and_the_option_name_the_configuration() {
    let place = Place::new();
    std::fs::rename(place.path().join("lastgood.toml"), place.path().join("other.toml")).unwrap();
    place.good("status --config other.toml");
    let mut command = binary::command(place.path(), &["status"]);
    let said = Said::from(command.env("LASTGOOD_CONFIG", "other.toml").output().unwrap());
    assert_eq!(said.code, Some(0), "{said:?}");
}

#[test]
fn all_mistakes_are_told_at_once_and_in_place() {
    let place = Place::new();
    place.configure(|text| text.replace("environment", "enviroment").replace("\"oncall\"]", "\"oncal\"]"));
    for line in ["serve", "check", "status"] {
        let err = place.bad(1, line);
        let lines: Vec<_> = err.lines().collect();
        assert!(lines.iter().all(|line| line.starts_with("error: lastgood.toml:")), "{err}");
        assert!(
            err.contains("services.checkout.enviroment: unknown key; did you mean \"environment\"?"),
            "{err}"
        );
        assert!(err.contains("there is no pager \"oncal\"; did you mean \"oncall\"?"), "{err}");
    }
    assert_eq!(place.bad(2, "gate checkout v1").lines().count(), 3, "a gate that can't tell says 2");
}

#[test]
fn a_port_in_use_is_an_error_at_the_start() {
    let place = Place::new();
    let _held = TcpListener::bind(place.address).unwrap();
    let err = place.bad(1, "serve");
    let wanted = format!("error: http.listen = \"{}\": Address already in use", place.address);
    assert!(err.contains(&wanted) && err.contains("choose another port"), "{err}");
    place.configure(|text| text.replace(&place.address.to_string(), "192.0.2.1:8080"));
    assert!(place.bad(1, "serve").contains("0.0.0.0 means all of them"));
}

#[test]
fn an_unreachable_database_is_an_error_that_names_it() {
    let place = Place::new();
    let store =
        "[store]\nurl = \"postgres://lastgood@127.0.0.1:9/lastgood\"\npassword = { file = \"other\" }\n";
    place.configure(|text| format!("{store}{text}"));
    for (line, code) in [("serve", 1), ("status", 1), ("gate checkout v1", 2)] {
        let err = place.bad(code, line);
        assert!(err.contains("the store postgres://lastgood@127.0.0.1:9/lastgood can't be opened"), "{err}");
        assert!(err.contains("is the database running and reachable?"), "{err}");
    }
    let said = place.run("check");
    assert_eq!(said.code, Some(1));
    assert!(
        said.out.contains("✗ store postgres://lastgood@127.0.0.1:9/lastgood: database: "),
        "{}",
        said.out
    );
    place.configure(|text| format!("store.url = \"sqlite:no/such/folder/db\"\n{text}"));
    let err = place.bad(1, "status");
    assert!(err.contains("sqlite:no/such/folder/db can't be opened") && err.contains("writable"), "{err}");
}

#[test]
fn what_is_recorded_is_listed_marked_and_gated() {
    let place = Place::new();
    let (one, two) = (digest('a'), digest('b'));
    let v1 =
        format!("record checkout --version v1 --digest {one} --pool blue --at 2026-01-31T08:00:00Z --id 1");
    assert_eq!(place.good(&v1), "v1 (aaaaaaaaaaaa) of checkout recorded: R-1\n");
    assert_eq!(place.good(&v1), "v1 (aaaaaaaaaaaa) of checkout was recorded before: R-1\n");
    let v2 = format!(
        "record checkout --version v2 --digest {two} --pool green --at 2026-01-31T09:00:00Z --by ana --irreversible drops_a_column --json"
    );
    let recorded: Value = serde_json::from_str(&place.good(&v2)).unwrap();
    assert_eq!(recorded, json!({ "id": "R-2", "new": true, "warnings": [] }));

    assert_eq!(place.good("gate checkout v2"), "allowed: nothing is known against it\n");
    let mark = "mark checkout v2 unstable --reason it_leaks";
    assert_eq!(place.good(mark), "bbbbbbbbbbbb of checkout is marked unstable\n");
    let denied = place.run(&format!("gate checkout {two}"));
    assert_eq!((denied.code, denied.out.as_str()), (Some(1), "denied: marked unstable: it leaks\n"));
    let table = place.good("releases checkout");
    let v1 = table.lines().nth(2).unwrap();
    assert!(v1.starts_with("v1       aaaaaaaaaaaa  live   blue   2026-01-31T08:00:00Z  os:"), "{table}");
    let v2 = "v2       bbbbbbbbbbbb  live   green  2026-01-31T09:00:00Z  ana";
    assert!(table.lines().nth(1).unwrap().starts_with(v2), "{table}");
    assert!(
        table.contains("unstable: it leaks") && table.contains("irreversible: drops a column"),
        "{table}"
    );
    assert!(place.good("releases checkout --limit 1").contains("older ones are left out"));

    place.good("mark checkout bbbbbbbbbbbb stable --reason it_was_the_network");
    assert_eq!(place.good("gate checkout v2"), "allowed: marked stable by a person\n");
    let all: Value = serde_json::from_str(&place.good("releases checkout --json")).unwrap();
    assert_eq!((&all[0]["digest"], &all[0]["by"]), (&two.into(), &"ana".into()));
}

#[test]
fn a_record_without_its_pool_is_told_what_is_missing_and_so_is_check() {
    let place = Place::new();
    let (one, two) = (digest('a'), digest('b'));
    let not_known = |line: &str| place.run("check").out.lines().any(|said| said.contains(line));
    place.good(&format!("record checkout --version v1 --digest {one} --pool blue --at 2026-01-31T08:00:00Z"));
    // A preview takes no traffic, wherever it is.
    place.good(&format!("record checkout --version v2 --digest {two} --phase preview"));
    assert!(!not_known("what pool blue runs"));
    let said = place.run(&format!("record checkout --version v2 --digest {two} --at 2026-01-31T09:00:00Z"));
    assert_eq!((said.code, said.out.as_str()), (Some(0), "v2 (bbbbbbbbbbbb) of checkout recorded: R-3\n"));
    assert!(
        said.err.starts_with("pool is missing: only records tell what blue, green of checkout run"),
        "{}",
        said.err
    );
    assert!(not_known(
        "! checkout: what pool blue runs: not known: v2 was recorded without `pool`, later than v1, the last record of this pool; record v2 again with the pool where it is"
    ));
    assert!(not_known("no record names this pool"));
    place
        .good(&format!("record checkout --version v2 --digest {two} --pool green --at 2026-01-31T09:00:00Z"));
    assert!(!not_known("what pool blue runs") && !not_known("what pool green runs"));
}

#[test]
fn mistakes_in_commands_change_nothing_and_say_what_would_do() {
    let place = Place::new();
    let one = digest('a');
    for (code, line, wanted) in [
        (1, "releases chekout", "did you mean checkout?"),
        (2, "gate chekout v1", "did you mean checkout?"),
        (1, "record checkout --version v1 --digest v1", "digest: not a digest"),
        (1, &format!("record chekout --version v1 --digest {one}"), "did you mean checkout?"),
        (1, &format!("record checkout --version v1 --digest {one} --pool red"), "its pools are blue, green"),
        (1, &format!("record checkout --version v1 --digest {one} --phase most"), "phase: not a phase"),
        (1, &format!("record checkout --version v1 --digest {one} --at yesterday"), "at: expected a time"),
        (1, "mark checkout v9 stable --reason x", "has no release \"v9\""),
        (1, &format!("mark checkout {one} stable --reason _"), "a mark needs a reason"),
        (1, "incident show INC-1", "there is no INC-1"),
        (1, "incident close INC-1 --root-cause the_pool_was_halved", "there is no INC-1"),
        (2, "incident close INC-1", "--root-cause <SENTENCE>"),
        (2, "mark checkout v1 stable", "--reason <REASON>"),
        (2, "relaeses checkout", "did you mean \"releases\"?"),
        (1, "stop chekout", "did you mean checkout?"),
        (1, "stop checkout", "no rollback of checkout is running"),
        (1, "stop checkout now", "\"now\" is no part of it"),
        (1, "alert list chekout", "did you mean checkout?"),
        (1, "alert end checkout errors", "no alert of checkout is called \"errors\""),
        (2, "alert end checkout", "FINGERPRINT|TITLE"),
        (1, "pause", "only an approver of one of the services may pause all of them"),
        (1, "resume checkout", "only an approver of checkout may resume"),
        (1, "health", "is `lastgood serve` running there?"),
    ] {
        let err = place.bad(code, line);
        assert!(err.starts_with("error: ") && err.contains(wanted), "{line}: {err}");
    }
    let unknown = place.run("gate checkout v9");
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.out.starts_with("could not tell: "), "{unknown:?}");
    assert_eq!(place.good("releases checkout --json"), "[]\n");
}

#[test]
fn shifting_without_a_click_is_paused_from_the_machine() {
    let place = Place::new();
    let me = std::process::Command::new("id").arg("-un").output().unwrap();
    let me = String::from_utf8(me.stdout).unwrap();
    place.configure(|text| format!("[operators]\n{} = \"os:ana\"\n{text}", me.trim()));
    assert!(place.bad(1, "pause chekout").contains("did you mean checkout?"));
    assert!(place.good("pause checkout the_network_flaps").contains("is not shifted without a click until"));
    let status = place.good("status");
    assert!(
        status.contains("paused: checkout: nothing is shifted without a click, said ana at "),
        "{status}"
    );
    let status: Value = serde_json::from_str(&place.good("status --json")).unwrap();
    assert_eq!(
        (&status["pauses"][0]["by"], &status["pauses"][0]["reason"]),
        (&"os:ana".into(), &"the network flaps".into())
    );
    assert!(place.good("resume checkout").contains("The pause of checkout by ana has ended"));
}

#[test]
fn check_tells_of_everything_that_does_not_answer() {
    let place = Place::new();
    let said = place.run("check");
    assert_eq!((said.code, said.err.as_str()), (Some(1), ""));
    for wanted in [
        "✓ lastgood.toml: valid\n",
        "✓ store sqlite:lastgood.db: ",
        "✗ pager oncall: ",
        "✗ checkout: haproxy unix:/nowhere/haproxy.sock: ",
        "✗ checkout: health: ",
    ] {
        assert!(said.out.contains(wanted), "{wanted}: {}", said.out);
    }
    assert!(said.out.ends_with("failed\n"), "{}", said.out);
}

#[test]
fn a_reader_that_leaves_is_no_mistake() {
    let place = Place::new();
    for line in [&["releases", "checkout"][..], &["--help"], &["status"]] {
        let mut command = binary::command(place.path(), line);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let said = Said::from(child.wait_with_output().unwrap());
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{line:?}");
    }
}

/// The id of the rollback that the alert opened, once it has an incident.
async fn until_an_incident_is_open(place: &Place) -> Value {
    poll_async("an incident", Duration::from_secs(30), async || {
        let all: Value = serde_json::from_str(&place.good("incident list --json")).unwrap();
        all.get(0).cloned()
    })
    .await
}

#[tokio::test]
async fn a_server_ends_in_order_and_goes_on_where_it_was() {
    let place = Place::new();
    let mut server = place.serve().await;
    assert_eq!(place.good("health"), "up\n");
    let alert = json!({ "version": "4", "groupKey": "g", "alerts": [{
        "status": "firing", "labels": { "service": "checkout" }, "startsAt": "2026-01-31T08:00:00Z",
    }]});
    let client = lastgood_adapters::client::client().unwrap();
    let url = format!("http://{}/v1/alerts/alertmanager", place.address);
    let sent = client.post(url).bearer_auth(SECRET).body(alert.to_string()).send().await.unwrap();
    assert_eq!(sent.status(), 202);
    let incident = until_an_incident_is_open(&place).await;
    assert_eq!((&incident["id"], &incident["rollback"]), (&"INC-1".into(), &"RB-1".into()));
    let close = "incident close INC-1 --root-cause the_connection_pool_was_halved";
    assert!(place.bad(1, close).contains("its rollback is still running"));

    server.signal("TERM");
    assert!(server.wait(Duration::from_secs(20)).await.success(), "{}", server.output());
    let log = server.output();
    assert!(log.contains("lastgood is ready at http://") && log.contains("SIGTERM: ending"), "{log}");
    assert!(!log.contains("hunter2") && !log.contains("panicked"), "{log}");
    let running = place.good("status");
    assert!(running.contains("RB-1") && running.contains("INC-1"), "{running}");
    assert!(place.good("alert list").lines().nth(1).unwrap().starts_with("checkout  firing  "));
    assert!(place.good("alert end checkout --all").ends_with(" of checkout counts as over\n"));
    assert_eq!(place.good("alert list checkout"), "no alert fires, and none fell silent within a week\n");

    let mut server = place.serve().await;
    hand_over(&place).await;
    let shown = place.good("incident show INC-1");
    assert!(shown.contains("handed over") && shown.contains("lastgood incident close INC-1"), "{shown}");
    assert!(place.bad(1, "incident close INC-1 --root-cause fixed").contains("is not a root cause"));
    assert_eq!(place.good(close), "INC-1 of checkout is closed\n");
    assert!(place.bad(1, close).contains("it was closed before"));
    assert!(place.good("incident list --all").contains("the connection pool was halved"));
    assert_eq!(place.good("status"), "no rollback is running\n\nno incident is open\n");
    server.signal("INT");
    assert!(server.wait(Duration::from_secs(20)).await.success(), "{}", server.output());
}

/// As its button does.
async fn hand_over(place: &Place) {
    let text = std::fs::read_to_string(place.path().join("lastgood.toml")).unwrap();
    let at = |name: &str| format!("file = {:?}", place.path().join(name).display().to_string());
    let text = text.replace("file = \"secret\"", &at("secret")).replace("file = \"other\"", &at("other"));
    let store = format!("store.url = \"sqlite:{}\"\n", place.path().join("lastgood.db").display());
    let (config, _) = Config::parse(&format!("{store}{text}"), "x.toml").unwrap();
    let (app, _) = App::open(config).await.unwrap();
    let standing = Standing { approver: true, ..Standing::default() };
    let delivery = Delivery { source: "test".into(), id: "1".into() };
    let by = Actor::new("os:ana", "ana");
    let revision = 0;
    let took = app.engine.act(RollbackId(1), revision, &Act::HandOver, &by, &standing, &delivery).await;
    assert_eq!(took.unwrap(), Ok(()));
    app.engine.store.close().await;
}

#[tokio::test]
async fn logs_are_json_when_configured() {
    let place = Place::new();
    place.configure(|text| format!("log.format = \"json\"\n{text}"));
    let mut server = place.serve().await;
    server.signal("TERM");
    assert!(server.wait(Duration::from_secs(20)).await.success());
    for line in server.output().lines() {
        let parsed: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(parsed["message"].is_string(), "{line}");
    }
}
