use super::*;

fn propose(service: &str, version: Option<&str>, reason: Option<&str>) -> Command {
    Command::Propose {
        service: service.into(),
        version: version.map(str::to_owned),
        reason: reason.map(str::to_owned),
    }
}

#[test]
fn commands_read_as_people_type_them() {
    let close = |not_the_release| Command::Close {
        id: IncidentId(3),
        root_cause: "the certificate had expired".into(),
        not_the_release,
    };
    let mark = Command::Mark {
        service: "checkout".into(),
        artifact: "v2.4.1".into(),
        stable: false,
        reason: "it leaks".into(),
    };
    let commander = |service: Option<&str>| Command::Commander {
        service: service.map(str::to_owned),
        person: "@slack:U024BE7LH".into(),
    };
    for (text, command) in [
        ("/rollback checkout", propose("checkout", None, None)),
        (
            "rollback checkout v2.4.0 \"checkout is down\"",
            propose("checkout", Some("v2.4.0"), Some("checkout is down")),
        ),
        ("rollback checkout carts are empty", propose("checkout", None, Some("carts are empty"))),
        ("rollback checkout \"500s everywhere\"", propose("checkout", None, Some("500s everywhere"))),
        ("rollback checkout sha256:ab12", propose("checkout", Some("sha256:ab12"), None)),
        ("rollback propose checkout build-77", propose("checkout", Some("build-77"), None)),
        ("propose checkout", propose("checkout", None, None)),
        ("rollback Status", Command::Status),
        ("status", Command::Status),
        ("rollback history checkout", Command::History { service: "checkout".into() }),
        ("rollback mark checkout v2.4.1 unstable it leaks", mark.clone()),
        ("mark checkout v2.4.1 UNSTABLE \"it leaks\"", mark),
        ("rollback stop", Command::Stop { service: None }),
        ("rollback stop checkout", Command::Stop { service: Some("checkout".into()) }),
        ("rollback commander @slack:U024BE7LH", commander(None)),
        ("rollback commander checkout @slack:U024BE7LH", commander(Some("checkout"))),
        ("rollback alerts", Command::Alerts { service: None }),
        ("alerts checkout", Command::Alerts { service: Some("checkout".into()) }),
        (
            "rollback end-alert checkout \"5 % of requests fail\"",
            Command::EndAlert { service: "checkout".into(), alert: "5 % of requests fail".into() },
        ),
        ("rollback pause", Command::Pause { service: None, reason: None }),
        ("pause checkout", Command::Pause { service: Some("checkout".into()), reason: None }),
        (
            "rollback pause all the network is flapping",
            Command::Pause { service: Some("all".into()), reason: Some("the network is flapping".into()) },
        ),
        ("rollback resume", Command::Resume { service: None }),
        ("/rollback resume checkout", Command::Resume { service: Some("checkout".into()) }),
        ("incident", Command::Incidents),
        ("/incident list", Command::Incidents),
        ("incident show inc-3", Command::Incident { id: IncidentId(3) }),
        ("incident close INC-3 the certificate had expired", close(false)),
        ("incident close INC-3 not-the-release the certificate had expired", close(true)),
        ("incident close INC-3 --not-the-release the certificate had expired", close(true)),
        ("", Command::Help),
        ("rollback", Command::Help),
        ("incident help", Command::Help),
    ] {
        assert_eq!(parse(text), Ok(command), "{text}");
    }
}

#[test]
fn what_is_no_command_says_what_would_be() {
    for (text, said) in [
        (
            "rollbak checkout",
            "no command is called \"rollbak\", did you mean \"rollback\"?; `help` lists them",
        ),
        ("xyzzy", "no command is called \"xyzzy\"; `help` lists them"),
        ("rollback history", "service is missing: rollback history SERVICE"),
        ("rollback commander", "person is missing: rollback commander [SERVICE] @person"),
        (
            "rollback mark checkout v2 stable",
            "reason is missing: rollback mark SERVICE VERSION stable|unstable REASON…",
        ),
        (
            "rollback mark checkout v2 good enough",
            "\"good\" is no stable or unstable: rollback mark SERVICE VERSION stable|unstable REASON…",
        ),
        (
            "incident show 3x",
            "\"3x\" is no incident (they are called INC-1, INC-2, …): incident show INCIDENT",
        ),
        (
            "incident close INC-3",
            "root cause is missing: incident close INCIDENT [not-the-release] ROOT CAUSE…",
        ),
        (
            "incident close INC-3 not-the-release",
            "root cause is missing: incident close INCIDENT [not-the-release] ROOT CAUSE…",
        ),
        ("rollback end-alert checkout", "alert is missing: rollback end-alert SERVICE ALERT…"),
        ("rollback resume checkout now", "\"now\" is no part of it: rollback resume [SERVICE]"),
        ("rollback status now", "\"now\" is no part of it: rollback status"),
        ("rollback stop checkout please", "\"please\" is no part of it: rollback stop [SERVICE]"),
        ("incident lst", "no command is called \"lst\", did you mean \"list\"?; `help` lists them"),
    ] {
        assert_eq!(parse(text).unwrap_err().to_string(), said, "{text}");
    }
}

#[test]
fn every_command_of_the_table_is_parsed_and_in_the_help() {
    for row in &TABLE {
        let typed: Vec<_> = row
            .args
            .iter()
            .filter(|arg| arg.needed)
            .map(|arg| match arg.kind {
                table::Kind::Incident => "INC-1",
                table::Kind::OneOf(words) => words[0],
                _ => "word1",
            })
            .collect();
        let text = format!("{} {} {}", row.group.word(), row.name, typed.join(" "));
        let parsed = parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert!(parsed != Command::Help || row.name == "help", "{text}");
        assert!(help().contains(&row.usage()), "{text}");
    }
}

/// What Slack shows while somebody types is made by hand: it has to name every command.
#[test]
fn slacks_manifest_names_every_command() {
    let manifest = include_str!("../../../deploy/slack-manifest.yaml");
    for group in table::Group::ALL {
        let command = format!("- command: /{}\n", group.word());
        let (_, rest) = manifest.split_once(&command).unwrap_or_else(|| panic!("{command}"));
        let hint = rest.lines().find_map(|line| line.trim().strip_prefix("usage_hint: ")).unwrap();
        for row in TABLE.iter().filter(|row| row.group == group && row.name != table::PROPOSE.name) {
            let named = hint.split(['|', ' ']).any(|word| word == row.name);
            assert!(named, "/{} {} is not in {hint:?}", group.word(), row.name);
        }
    }
}
