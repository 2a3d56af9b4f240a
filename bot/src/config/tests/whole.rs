//! Files with several things to say about them, and warnings.

use proptest::prelude::*;

use super::{SMALL, Secrets, problems, warnings};
use crate::config::Config;

const EXAMPLE: &str = include_str!("../../../../deploy/example.toml");

#[test]
fn every_mistake_of_a_file_is_reported_in_its_order() {
    let service =
        SMALL.replace("environment = \"production\"", "enviroment = 1\ndepends_on = [\"x\"]\nmin_bake = 7");
    let text = service + "[services.other]\nroom = 1\n[http]\nlisten = 1\ntokens = [{}]\n";
    let wanted = [
        "x.toml:2:11: services.checkout.environment: missing key",
        "x.toml:3:1: services.checkout.enviroment: unknown key; did you mean \"environment\"?",
        "x.toml:4:15: services.checkout.depends_on[0]: there is no service \"x\"; declared: checkout, other",
        "x.toml:5:12: services.checkout.min_bake: expected a string, found an integer",
        "x.toml:16:11: services.other.environment: missing key",
        "x.toml:16:11: services.other.traffic: missing key",
        "x.toml:17:8: services.other.room: expected a string, found an integer",
        "x.toml:19:10: http.listen: expected a string, found an integer",
        "x.toml:20:11: http.tokens[0].name: missing key",
        "x.toml:20:11: http.tokens[0].secret: missing key",
    ];
    assert_eq!(problems(&text), wanted);
}

/// A pager and a service that uses it; `lines` start at the service's fifth line, the file's tenth.
fn paged(secrets: &Secrets, lines: &str) -> String {
    let pager = "[pagers.oncall]\nkind = \"pagerduty\"\nrouting_key = { env = \"KEY\" }\n\n";
    let service = SMALL.replace("room =", "page = [\"oncall\"]\nroom =");
    let service = service.replace("health.http", &format!("{lines}health.http"));
    secrets.put_in(&format!("{pager}{}", service.trim_start()))
}

#[test]
fn what_works_but_looks_wrong_is_a_warning() {
    let secrets = Secrets::new();
    for (lines, wanted) in [
        ("", vec![]),
        (
            "approval = \"none\"\n",
            vec![
                "10:12: services.checkout.approval: traffic is shifted without anybody's click; it is said in the thread every time",
            ],
        ),
        (
            "commander = \"slack:U1\"\n",
            vec![
                "10:13: services.checkout.commander: there is no [chats.slack]; \
                 they can act only from a command line, through [operators]",
            ],
        ),
        (
            "answer_within = \"1h\"\n",
            vec![
                "10:17: services.checkout.answer_within: longer than expires_after: an unanswered proposal would end \
                 before it pages; expires_after is 30m",
            ],
        ),
        (
            "alert_expires = \"1h\"\n",
            vec![
                "10:17: services.checkout.alert_expires: Alertmanager repeats an alert after 4h by default: it would be \
                 taken for a new one each time; keep it above Alertmanager's `repeat_interval` and `group_interval` \
                 together",
            ],
        ),
        (
            "alerts = ['a=~\"x|\"']\n",
            vec![
                "1:1: http.tokens: services have alerts, but no token may send any; add one with may = [\"alert\"]",
                "10:10: services.checkout.alerts: every alert without these labels is this service's; \
                 demand a label: service=\"…\"",
            ],
        ),
    ] {
        let wanted: Vec<_> = wanted.into_iter().map(|warning| format!("x.toml:{warning}")).collect();
        assert_eq!(warnings(&paged(&secrets, lines)), wanted, "{lines}");
    }
}

#[test]
fn what_is_there_twice_is_a_warning() {
    let secrets = Secrets::new();
    let text = paged(&secrets, "alerts = ['service=\"a\"', 'b=\"c\"']\n")
        .replace("room = \"terminal:\"", "rooms = [\"terminal:\", \"terminal:\"]");
    let text = text.replace("\"os:ana\", \"os:ben\"", "\"os:ana\", \"os:ana\"");
    let twin =
        text[text.find("[services.checkout]").unwrap()..].replace("services.checkout", "services.twin");
    let twin = twin.replace("['service=\"a\"', 'b=\"c\"']", "['{b=c, service=a}']");
    let tokens = "[http]\ntokens = [{ name = \"am\", secret = { env = \"A\" }, may = [\"admin\"] }]\n";
    let found = warnings(&secrets.put_in(&format!("{text}{twin}{tokens}")));
    let wanted = [
        "x.toml:8:23: services.checkout.rooms[1]: the same room twice; leave one out",
        "x.toml:9:24: services.checkout.approvers[1]: the same approver twice; leave one out",
        "x.toml:22:23: services.twin.rooms[1]: the same room twice; leave one out",
        "x.toml:23:24: services.twin.approvers[1]: the same approver twice; leave one out",
        "x.toml:24:10: services.twin.alerts: the same alerts as service \"checkout\"; each of them would propose a rollback",
        "x.toml:34:26: http.tokens[0].secret: the secret is shorter than 16 characters; make one with: openssl rand -hex 32",
    ];
    assert_eq!(found, wanted);
}

#[test]
fn a_file_without_a_service_does_nothing() {
    assert_eq!(warnings(""), ["x.toml:1:1: services: no service is declared; add one as [services.NAME]"]);
}

#[test]
fn a_pool_without_a_section_is_a_warning() {
    let found = warnings(&paged(&Secrets::new(), "").replace("[services.checkout.pools.green]\n", ""));
    let wanted = "x.toml:11:20: services.checkout.traffic: pool \"green\" has no [services.checkout.pools.green]; \
                  without it, what it runs and whether it is healthy can't be asked";
    assert_eq!(found, [wanted]);
}

proptest! {
    #[test]
    fn no_damage_makes_reading_panic_or_never_end(at in 0..EXAMPLE.len(), cut in 0_usize..40, put in "[a-z\"\\[\\]{}=.,0-9\n ]{0,6}") {
        if let (Some(before), Some(after)) = (EXAMPLE.get(..at), EXAMPLE.get(at + cut..)) {
            let _ = Config::parse(&format!("{before}{put}{after}"), "x.toml");
        }
    }

    #[test]
    fn a_lost_line_is_a_problem_or_a_default_and_never_a_panic(lost in 0..EXAMPLE.lines().count()) {
        let lines: Vec<_> = EXAMPLE.lines().enumerate().filter(|(nth, _)| *nth != lost).map(|(_, line)| line).collect();
        for problem in Config::parse(&lines.join("\n"), "x.toml").err().into_iter().flatten() {
            prop_assert!(problem.at.line <= lines.len(), "{}", problem);
        }
    }
}
