use super::{
    super::{Hears, Malformed, Pattern, concerned},
    *,
};

const ALL: [&str; 4] = ["checkout", "checkout-worker", "payments", "search"];

fn hears(alerts: &[&str], messages: &[&str]) -> Hears {
    Hears {
        alerts: alerts.iter().map(|text| text.parse().unwrap()).collect(),
        messages: messages.iter().map(|text| Pattern::try_from((*text).to_owned()).unwrap()).collect(),
    }
}

/// Services, all in the room and without matchers, that a message is about.
fn about(posted: &Posted) -> Vec<&'static str> {
    let hears = Hears::default();
    let here: Vec<_> = ALL.iter().map(|name| (*name, &hears)).collect();
    concerned(posted, &here, &ALL).into_iter().map(|(name, _)| name).collect()
}

fn said(sender: &str, text: &str) -> Posted {
    let (at, sender) = (MessageRef("C1/1".into()), sender.to_owned());
    Posted { at, sender, sent_at: 1, text: text.to_owned(), parts: vec![] }
}

fn firing(title: &str) -> Posted {
    said("Alertmanager", &format!("[FIRING:1] {title}"))
}

#[test]
fn a_service_is_named_by_a_whole_word() {
    assert_eq!(about(&firing("HighErrorRate (checkout critical)")), ["checkout"]);
    assert_eq!(about(&firing("HighErrorRate Checkout.")), ["checkout"]);
    assert_eq!(about(&firing("HighErrorRate checkout-worker")), ["checkout-worker"]);
    assert_eq!(about(&firing("Errors (checkout payments)")), ["checkout", "payments"]);
    for nobodys in ["Errors (checkouts)", "Errors (checkout.example.com)", "Errors at http://x/checkout"] {
        assert_eq!(about(&firing(nobodys)), Vec::<&str>::new(), "{nobodys}");
    }
    assert_eq!(about(&said("deploy-bot", "checkout was deployed")), Vec::<&str>::new());
    assert_eq!(about(&said("lastgood", "[FIRING:1] Errors (checkout)")), Vec::<&str>::new());
}

#[test]
fn a_field_made_for_it_decides() {
    let mut posted = firing("payments can't reach checkout");
    posted.parts.push(Part { fields: vec![("Service".into(), "payments".into())], ..Part::default() });
    assert_eq!(about(&posted), ["payments"]);
    posted.parts[0].fields[0].1 = "Cash desk".into();
    assert_eq!(about(&posted), ["checkout", "payments"], "nobody of this name is declared");
    let grafana = message("grafana", "mixed");
    assert_eq!(about(&grafana), ["checkout"], "what is over names payments");
    // A service of another room is named: nothing happens in this one.
    let hears = Hears::default();
    assert!(concerned(&grafana, &[("payments", &hears)], &ALL).is_empty());
}

#[test]
fn labels_match_as_for_the_webhook_and_can_contradict() {
    let by =
        |alerts: &[&str], posted: &Posted| concerned(posted, &[("search", &hears(alerts, &[]))], &ALL).len();
    let grafana = message("grafana", "firing");
    assert_eq!(by(&[r#"service="checkout""#, r#"severity="page""#], &grafana), 1);
    assert_eq!(by(&[r#"service="checkout""#, r#"severity="warn""#], &grafana), 0);
    assert_eq!(by(&[r#"team="shop""#], &grafana), 0, "a label that is not told");
    assert_eq!(by(&[r#"team!="shop""#], &grafana), 0, "nothing that is told was asked for");
    assert_eq!(by(&[], &grafana), 0);

    let by = |alerts: &[&str], posted: &Posted| {
        concerned(posted, &[("checkout", &hears(alerts, &[]))], &ALL).len()
    };
    let plain = message("alertmanager", "firing");
    assert_eq!(by(&[r#"service="checkout""#, r#"severity=~"page|critical""#], &plain), 1);
    assert_eq!(by(&[r#"service="checkout""#, r#"severity="page""#], &plain), 0, "its severity is told");
    let pagerduty = message("pagerduty", "triggered");
    assert_eq!(by(&[r#"service="checkout""#], &pagerduty), 1, "a service as people call it");
}

#[test]
fn expressions_find_what_is_not_known() {
    let watch = hears(&[], &[r"(?s)watch: (?P<name>\w+)\s.*(?:failed|(?P<resolved>recovered))"]);
    let by = |posted: &Posted| concerned(posted, &[("search", &watch)], &ALL).pop().map(|(_, heard)| heard);
    let failed = by(&said("bot", "watch: index\nit failed")).unwrap();
    let recovered = by(&said("bot", "watch: index\nit recovered")).unwrap();
    assert_eq!(
        (failed.sender, failed.status, recovered.status),
        (Sender::Pattern, Status::Firing, Status::Resolved)
    );
    assert_eq!(failed.title, "index");
    assert_eq!(failed.fingerprint("r"), recovered.fingerprint("r"));
    assert_ne!(failed.fingerprint("r"), by(&said("bot", "watch: cache failed")).unwrap().fingerprint("r"));
    assert_eq!(by(&said("bot", "all is well")), None);
    assert_eq!(by(&said("lastgood", "watch: index failed")), None, "another installation of this program");
    // Fields and titles are part of the text.
    let mut posted = said("bot", "");
    posted.parts.push(Part { title: "watch: index".into(), footer: "failed".into(), ..Part::default() });
    assert_eq!(by(&posted).unwrap().status, Status::Firing);

    assert!(matches!(Pattern::try_from("(".to_owned()), Err(Malformed::Regex(_))));
    assert_eq!(Pattern::try_from("down|".to_owned()).unwrap_err(), Malformed::Everything);
}
