//! One mistake, or a few, and the exact message for each. Lines count from `SMALL`'s first, which is empty.

use super::{SMALL, problems};

/// `SMALL` with a part replaced.
fn with(from: &str, to: &str) -> String {
    assert!(SMALL.contains(from), "{from}");
    SMALL.replacen(from, to, 1)
}

/// `SMALL` with a line more in its service, the fifth.
fn plus(line: &str) -> String {
    with("room = \"terminal:\"", &format!("room = \"terminal:\"\n{line}"))
}

/// `SMALL` with lines more at its end, from the fourteenth.
fn end(lines: &str) -> String {
    format!("{SMALL}{lines}\n")
}

fn expect(text: &str, messages: &[&str]) {
    let messages: Vec<_> = messages.iter().map(|message| format!("x.toml:{message}")).collect();
    assert_eq!(problems(text), messages, "{text}");
}

#[test]
fn a_rolling_update_by_the_users_own_shifter_has_no_pools() {
    let (before, rest) = SMALL.split_once("[services.checkout.traffic]").unwrap();
    let (_, pools) = rest.split_once("[services.checkout.pools.blue]").unwrap();
    let rolling = |more: &str| {
        let before = before.replace("room =", "must_pull = false\nroom =");
        format!(
            "{before}[services.checkout.traffic]\nstrategy = \"rolling\"\nkind = \"exec\"\ncommand = [\"/bin/shift\"]\n\
             {more}[services.checkout.pools.blue]{pools}"
        )
    };
    expect(&rolling(""), &[]);
    expect(
        &rolling("pools = [\"blue\", \"green\"]\n"),
        &[
            "9:12: services.checkout.traffic.strategy: a rolling update replaces what runs, and moves no traffic between pools: leave \
             `pools` out (the shifter names what runs by its digest, see docs/adapters.md), or use \"blue-green\" or \"canary\"",
        ],
    );
}

#[test]
fn keys_and_types() {
    expect(
        &with("[services.checkout.traffic]", "[services.checkout.trafic]"),
        &[
            "2:11: services.checkout.traffic: missing key",
            r#"7:20: services.checkout.trafic: unknown key; did you mean "traffic"?"#,
        ],
    );
    expect(
        &plus("aprovals = 2"),
        &[r#"5:1: services.checkout.aprovals: unknown key; did you mean "approvals"?"#],
    );
    expect(&plus(r#"colour = "red""#), &["5:1: services.checkout.colour: unknown key"]);
    expect(
        &with("switch = {", "swich = {"),
        &[
            "8:12: services.checkout.traffic.strategy: give either `switch` (a map entry names the backend) or `weights`",
            r#"11:1: services.checkout.traffic.swich: unknown key; did you mean "switch"?"#,
        ],
    );
    expect(
        &with("[services.checkout.pools.green]", "[services.checkout.pools.green]\nhealthy = []"),
        &[r#"14:1: services.checkout.pools.green.healthy: unknown key; did you mean "health"?"#],
    );
    expect(
        &with("environment = \"production\"\n", ""),
        &["2:11: services.checkout.environment: missing key"],
    );
    expect(
        &with(r#"environment = "production""#, r#"environment = " ""#),
        &[r#"3:15: services.checkout.environment: empty; for example "production""#],
    );
    expect(
        &with("kind = \"haproxy\"\n", ""),
        &[
            r#"7:20: services.checkout.traffic.kind: missing key; one of "haproxy", "envoy", "traefik", "nginx", "caddy", "kubernetes-rollout", "kubernetes-service", "gateway-api", "istio", "ingress-nginx", "traefik-crd", "argo-rollouts", "exec", "http""#,
        ],
    );
    expect(
        &with(r#"kind = "haproxy""#, r#"kind = "haprox""#),
        &[
            r#"9:8: services.checkout.traffic.kind: not one of "haproxy", "envoy", "traefik", "nginx", "caddy", "kubernetes-rollout", "kubernetes-service", "gateway-api", "istio", "ingress-nginx", "traefik-crd", "argo-rollouts", "exec", "http"; did you mean "haproxy"?"#,
        ],
    );
    expect(
        &with(r#"kind = "haproxy""#, "kind = 3"),
        &[
            r#"9:8: services.checkout.traffic.kind: expected a string, found an integer; one of "haproxy", "envoy", "traefik", "nginx", "caddy", "kubernetes-rollout", "kubernetes-service", "gateway-api", "istio", "ingress-nginx", "traefik-crd", "argo-rollouts", "exec", "http""#,
        ],
    );
    expect(
        &with(r#"strategy = "blue-green""#, r#"strategy = "bluegreen""#),
        &[
            r#"8:12: services.checkout.traffic.strategy: not one of "blue-green", "canary", "rolling"; did you mean "blue-green"?"#,
        ],
    );
    expect(
        &with(r#"strategy = "blue-green""#, r#"strategy = "canary""#),
        &[
            "8:12: services.checkout.traffic.strategy: a switch moves all traffic at once: a canary needs `weights`",
        ],
    );
    expect(
        &with(r#"strategy = "blue-green""#, r#"strategy = "rolling""#),
        &[
            r#"2:11: services.checkout.registry: the target has to be pulled, but there is no registry; for example registry = { kind = "oci", repository = "…" }"#,
            "8:12: services.checkout.traffic.strategy: haproxy moves traffic between pools: it replaces no pods",
        ],
    );
    expect(
        &with(r#"instances = ["unix:/run/haproxy.sock"]"#, r#"instances = "unix:/run/haproxy.sock""#),
        &["10:13: services.checkout.traffic.instances: expected a list, found a string"],
    );
    expect(
        &with(r#"instances = ["unix:/run/haproxy.sock"]"#, r#"instances = ["unix:/run/haproxy.sock", 7]"#),
        &["10:40: services.checkout.traffic.instances[1]: expected a string, found an integer"],
    );
    expect(
        &plus("shift = { steps = [\"10%\", \"100%\"] }"),
        &[
            "5:1: services.checkout.shift: a switch moves all traffic at once, and not in steps; leave `shift` out, or use `weights`",
        ],
    );
    expect(&with(r#"key = "k", "#, ""), &["11:1: services.checkout.traffic.switch.key: missing key"]);
    expect(
        &plus("min_bake = 10"),
        &["5:12: services.checkout.min_bake: expected a string, found an integer"],
    );
    expect(
        &plus(r#"min_bake = "10 minutes""#),
        &[
            r#"5:12: services.checkout.min_bake: not a length of time: write a whole number and a unit, like "350ms", "5s", "10m" or "24h""#,
        ],
    );
    expect(&plus("approvals = -1"), &["5:13: services.checkout.approvals: expected a positive whole number"]);
    expect(
        &plus(r#"approvals = "2""#),
        &["5:13: services.checkout.approvals: expected a positive whole number, found a string"],
    );
    expect(
        &plus(r#"requester_may_approve = "no""#),
        &["5:25: services.checkout.requester_may_approve: expected true or false, found a string"],
    );
}

#[test]
fn people_rooms_and_approvals() {
    expect(
        &plus("approvals = 0"),
        &[
            r#"5:13: services.checkout.approvals: at least one approval is needed; to shift without a click, say approval = "none""#,
        ],
    );
    expect(
        &plus("approvals = 3"),
        &[
            "5:13: services.checkout.approvals: 3 approvals can't come from 2 approver(s); name more approvers or a group",
        ],
    );
    expect(
        &plus(r#"approval = "none""#),
        &[
            "5:12: services.checkout.approval: shifts without a click, and would page nobody when that fails; name a pager in `page`",
        ],
    );
    expect(
        &plus(r#"approval = "never""#),
        &[r#"5:12: services.checkout.approval: not one of "required", "none""#],
    );
    expect(
        &with("approvers = [\"os:ana\", \"os:ben\"]\n", ""),
        &[
            r#"2:11: services.checkout.approvers: nobody may approve, stop or undo a rollback; for example approvers = ["os:ana"]"#,
        ],
    );
    expect(
        &with(r#"["os:ana", "os:ben"]"#, r#"["ana", "icq:7", "os:@sre"]"#),
        &[
            r#"5:14: services.checkout.approvers[0]: expected platform:person, like "slack:U024BE7LH", "slack:@sre-oncall" or "os:ana""#,
            r#"5:21: services.checkout.approvers[1]: unknown platform "icq"; people are on: terminal, slack, discord, os"#,
            "5:30: services.checkout.approvers[2]: there are no groups of operating-system users here",
        ],
    );
    expect(
        &plus(r#"commander = "os:@sre""#),
        &["5:13: services.checkout.commander: the commander is one person, not a group"],
    );
    expect(
        &with(r#"room = "terminal:""#, r#"room = "slack:#incidents""#),
        &[
            "4:8: services.checkout.room: there is no [chats.slack]; give its tokens there; docs/slack.md shows how",
        ],
    );
    expect(
        &with(r#"room = "terminal:""#, r#"room = "discord:#incidents""#),
        &[
            "4:8: services.checkout.room: there is no [chats.discord]; give its tokens there; docs/discord.md shows how",
        ],
    );
    expect(
        &with(r#"room = "terminal:""#, r#"room = "termnal:""#),
        &[r#"4:8: services.checkout.room: unknown platform "termnal"; did you mean "terminal"?"#],
    );
    expect(
        &with(r#"room = "terminal:""#, r##"room = "#incidents""##),
        &[r#"4:8: services.checkout.room: expected platform:room, like "slack:#incidents" or "terminal:""#],
    );
    expect(
        &with("room = \"terminal:\"\n", ""),
        &[
            r#"2:11: services.checkout.room: there is no room for its incidents; for example room = "terminal:""#,
        ],
    );
    expect(
        &with(r#"room = "terminal:""#, "rooms = []"),
        &[
            r#"4:9: services.checkout.rooms: there is no room for its incidents; for example room = "terminal:""#,
        ],
    );
    expect(
        &plus(r#"rooms = ["terminal:two"]"#),
        &["5:9: services.checkout.rooms: give either `room` or `rooms`"],
    );
    expect(
        &with(r#"["os:ana", "os:ben"]"#, r#"["ana", "icq:7", "ben", "os:@sre"]"#),
        &[
            r#"5:14: services.checkout.approvers[0]: expected platform:person, like "slack:U024BE7LH", "slack:@sre-oncall" or "os:ana""#,
            r#"5:21: services.checkout.approvers[1]: unknown platform "icq"; people are on: terminal, slack, discord, os"#,
            r#"5:30: services.checkout.approvers[2]: expected platform:person, like "slack:U024BE7LH", "slack:@sre-oncall" or "os:ana""#,
            "5:37: services.checkout.approvers[3]: there are no groups of operating-system users here",
        ],
    );
}

#[test]
fn references_and_secrets() {
    expect(
        &plus(r#"alerts = ['service="checkout"', 'severity=~"page|(']"#),
        &["5:33: services.checkout.alerts[1]: the closing quote is missing"],
    );
    expect(
        &plus(r#"alerts = ['severity=~"("']"#),
        &[r#"5:11: services.checkout.alerts[0]: bad regular expression "(": unclosed group"#],
    );
    expect(
        &plus(r#"alert_messages = ['ALARM: .*checkout', '(?P<resolved>OK', 'down|']"#),
        &[
            "5:40: services.checkout.alert_messages[1]: not a regular expression: unclosed group",
            "5:59: services.checkout.alert_messages[2]: it matches every message",
        ],
    );
    expect(
        &plus(r#"page = ["oncall"]"#),
        &[r#"5:9: services.checkout.page[0]: there is no pager "oncall"; no pager is declared"#],
    );
    expect(
        &plus(r#"depends_on = ["chekout", "checkout"]"#),
        &[
            r#"5:15: services.checkout.depends_on[0]: there is no service "chekout"; did you mean "checkout"?"#,
            "5:26: services.checkout.depends_on[1]: a service does not depend on itself",
        ],
    );
    expect(
        &plus("must_pull = true"),
        &[
            r#"2:11: services.checkout.registry: the target has to be pulled, but there is no registry; for example registry = { kind = "oci", repository = "…" }"#,
        ],
    );
    expect(
        &plus(
            r#"registry = { kind = "oci", repository = "r.example/x", username = "u", password = { env = "LASTGOOD_TEST_UNSET" } }"#,
        ),
        &["5:72: services.checkout.registry.password: environment variable LASTGOOD_TEST_UNSET is not set"],
    );
    expect(
        &plus(r#"registry = { repository = "r/x" }"#),
        &[r#"5:1: services.checkout.registry.kind: missing key; one of "oci""#],
    );
    expect(
        &with("[services.checkout.pools.green]", "[services.checkout.pools.gren]"),
        &[
            r#"13:26: services.checkout.pools.gren: there is no pool in traffic "gren"; did you mean "green"?"#,
        ],
    );
}

#[test]
fn health_and_times() {
    expect(
        &with("health.http = [{ url = \"http://127.0.0.1/healthz\" }]\n", ""),
        &[
            "2:11: services.checkout.health: nothing is observed: recovery could never be shown; add `http` checks or `metrics`",
        ],
    );
    expect(
        &with(r#"url = "http://127.0.0.1/healthz""#, r#"url = "127.0.0.1/healthz""#),
        &[
            r#"6:24: services.checkout.health.http[0].url: not an address (relative URL without a base): write it like "https://prometheus.example.com:9090""#,
        ],
    );
    expect(
        &with(r#"url = "http://127.0.0.1/healthz""#, r#"url = "http://me:hunter2@127.0.0.1/healthz""#),
        &[
            "6:24: services.checkout.health.http[0].url: credentials don't belong in an address: give them as secrets of their own",
        ],
    );
    expect(
        &with(r#"url = "http://127.0.0.1/healthz""#, "status = [200]"),
        &["6:16: services.checkout.health.http[0].url: missing key"],
    );
    expect(
        &plus(r#"health.every = "0s""#),
        &["5:16: services.checkout.health.every: must be longer than nothing"],
    );
    expect(
        &plus("health.good_in_a_row = 0"),
        &["5:24: services.checkout.health.good_in_a_row: at least one good observation is needed"],
    );
    expect(
        &plus(r#"health.every = "2m""#),
        &[
            "5:1: services.checkout.health.recover_within: 3 observations every 2m take 6m; make it at least 6m",
        ],
    );
    expect(
        &plus("health.tolerance = { factor = 0.5, points = -1 }"),
        &[
            "5:31: services.checkout.health.tolerance.factor: must be 1 or more",
            "5:45: services.checkout.health.tolerance.points: must be from 0 to 100 percentage points",
        ],
    );
    expect(
        &plus(r#"again_after = "0s""#),
        &["5:15: services.checkout.again_after: must be longer than nothing"],
    );
    expect(
        &plus(r#"alert_expires = "0s""#),
        &["5:17: services.checkout.alert_expires: must be longer than nothing"],
    );
    expect(
        &plus(r#"expires_after = "0s""#),
        &["5:17: services.checkout.expires_after: must be longer than nothing"],
    );
    expect(
        &end(
            "[[services.checkout.health.metrics]]\nname = \"error rate\"\nkind = \"prometheus\"\nurl = \"http://prometheus:9090\"\nerrors = 'rate(x[5m])'\n",
        ),
        &[
            r#"14:1: services.checkout.health.metrics[0]: "error rate" looks back 5m: 3 good readings after the shift take 315s, and recover_within is 5m; shorten the query's range or allow more time"#,
        ],
    );
    expect(
        &end(
            "[[services.checkout.health.metrics]]\nname = \"error rate\"\nkind = \"prometheus\"\nurl = \"http://prometheus:9090\"\n\n",
        ),
        &["14:1: services.checkout.health.metrics[0].errors: missing key"],
    );
    expect(
        &with(r#"instances = ["unix:/run/haproxy.sock"]"#, "instances = []"),
        &[
            r#"10:13: services.checkout.traffic.instances: `instances` is empty: name at least one Runtime API socket, such as "unix:/run/haproxy/admin.sock""#,
        ],
    );
    expect(
        &with(r#"url = "http://127.0.0.1/healthz""#, r#"url = "http://127.0.0.1/healthz", status = [20]"#),
        &["6:61: services.checkout.health.http[0].status: 20 is no HTTP status"],
    );
    expect(
        &with(
            "[services.checkout.pools.green]",
            "[services.checkout.pools.green]\nversion = { url = \"http://x\", json_pointer = \"digest\" }",
        ),
        &[r#"14:46: services.checkout.pools.green.version.json_pointer: starts with a slash: "/digest""#],
    );
}

#[test]
fn server() {
    expect(
        &end("[http]\nlisten = \"8080\""),
        &[r#"15:10: http.listen: expected an IP address and a port, like "127.0.0.1:8080""#],
    );
    expect(
        &end("[http]\npublic_url = \"ftp://x\""),
        &["15:14: http.public_url: not an address; it starts with http:// or https://"],
    );
    expect(
        &end("[http]\nconnections = 3\ntls = { cert = \"\", key = \"k.pem\" }"),
        &[
            "15:15: http.connections: too few: a load balancer, a browser and a chat hold that many by themselves; at least 8; the default is 512",
            "16:16: http.tls.cert: empty; give the path of a file in PEM",
        ],
    );
    expect(
        &end("[http]\nconnections = 70000"),
        &["15:15: http.connections: more than this server can hold; at most 65536"],
    );
    expect(&end("[http]\ntls = { cert = \"c.pem\" }"), &["15:1: http.tls.key: missing key"]);
    expect(
        &end(
            "[http]\ntokens = [{ name = \"ci\", secret = { env = \"LASTGOOD_TEST_UNSET\" }, may = [\"gat\"] }]",
        ),
        &[
            "15:26: http.tokens[0].secret: environment variable LASTGOOD_TEST_UNSET is not set",
            r#"15:75: http.tokens[0].may[0]: not one of "record", "gate", "alert", "read", "admin"; did you mean "gate"?"#,
        ],
    );
    expect(
        &end(
            "[http]\ntokens = [{ name = \"a:b\", secret = { env = \"PATH\" }, may = [] }, { name = \"c\", secret = { env = \"PATH\" }, may = [\"read\"] }, { name = \"c\", secret = { env = \"HOME\" }, may = [\"read\"] }]",
        ),
        &[
            "15:20: http.tokens[0].name: a token's name is a word without a colon",
            "15:60: http.tokens[0].may: a token that may do nothing",
            r#"15:80: http.tokens[1].secret: the same secret as token "a:b": who calls could not be told"#,
            r#"15:134: http.tokens[2].name: there are two tokens named "c""#,
        ],
    );
    expect(
        &end("[http]\ntokens = [{ name = \"ci\", secret = { file = \"/nonexistent\" }, may = [\"gate\"] }]"),
        &[
            "15:26: http.tokens[0].secret: file /nonexistent can't be read: No such file or directory (os error 2)",
        ],
    );
    expect(
        &end("[store]\nurl = \"mysql://x\""),
        &[r#"15:7: store.url: not a store; write "sqlite:PATH" or "postgres://user@host/database""#],
    );
    expect(
        &end("[store]\nurl = \"sqlite:\""),
        &[r#"15:7: store.url: not a store; write "sqlite:PATH" or "postgres://user@host/database""#],
    );
    expect(
        &end("[store]\nurl = \"postgres://me:hunter2@db/x\""),
        &[
            r#"15:7: store.url: there is a password in the address; leave it out and set store.password = { env = "NAME" }"#,
        ],
    );
    expect(
        &end("[store]\npassword = { env = \"PATH\" }"),
        &["15:1: store.password: only PostgreSQL has a password"],
    );
    expect(&end("[pagers.oncall]\nkind = \"pagerduty\""), &["14:9: pagers.oncall.routing_key: missing key"]);
    expect(
        &end("[pagers.oncall]\nkind = \"pagerduty\"\nrouting_key = { env = \"LASTGOOD_TEST_UNSET\" }"),
        &["16:1: pagers.oncall.routing_key: environment variable LASTGOOD_TEST_UNSET is not set"],
    );
    let lonely =
        "kind = \"pagerduty\"\nrouting_key = { env = \"PATH\" }\napi_url = \"https://api.eu.pagerduty.com\"";
    expect(
        &end(&format!("[pagers.oncall]\n{lonely}")),
        &["17:11: pagers.oncall.api_url: it is used with api_token only: set that, too, or leave this out"],
    );
    expect(
        &end("[operators]\nana = \"slack:@sre\""),
        &["15:7: operators.ana: an operating-system user is one person, not a group"],
    );
    expect(
        &end(r#"[services."check out"]"#),
        &[
            r#"14:11: services."check out".environment: missing key"#,
            r#"14:11: services."check out".traffic: missing key"#,
        ],
    );
    expect(&end("[services.checkout]"), &["14:11: not TOML: duplicate key"]);
    let named = problems(&SMALL.replace("services.checkout", "services.status"));
    assert_eq!(
        named,
        [
            "x.toml:2:11: services.status: `/rollback status` is a command: a service of that name could not be rolled back; \
          call it otherwise"
        ]
    );
    expect(
        &end("a = = 1\nb = \""),
        &[
            "14:5: not TOML: extra `=`, expected nothing",
            "14:7: not TOML: unexpected key or value, expected newline, `#`",
            r#"15:6: not TOML: invalid basic string, expected `"`"#,
        ],
    );
    expect(&end("[log]\nformat = 99999999999999999999"), &["15:10: the number is too large"]);
    expect(
        &end("[automatic]\nat_once = 0"),
        &[
            "15:11: automatic.at_once: nothing would ever be shifted without a click; at least 1; for a click \
           everywhere leave `approval = \"none\"` out of the services",
        ],
    );
    expect(
        &end("[xyzzy]\nx = 1"),
        &[
            r#"14:2: xyzzy: unknown key; known here: "store", "http", "log", "operators", "chats", "pagers", "automatic", "services""#,
        ],
    );
}
