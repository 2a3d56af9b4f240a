//! The chat stand-in is as strict and as nasty as it says.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use lastgood_adapters::{
    Fault,
    chat::{Abilities, Answer, Chat, Inbox, Incoming, Kept, MessageRef, NotTaken, Outgoing, What},
};
use lastgood_core::card::{Button, Card, Colour, Form, Input, Span, Style};
use lastgood_tests::standin::chat::{Calls, Message, Platform, Thread};

const ROOM: &str = "#incidents";

fn platform() -> Arc<Platform> {
    Platform::start("slack", &[ROOM, "#other"])
}

fn message(nonce: &str, card: Card) -> Outgoing {
    Outgoing { room: ROOM.into(), thread: None, nonce: nonce.into(), card, broadcast: false, last: false }
}

fn hello(nonce: &str) -> Outgoing {
    message(nonce, Card::new(Colour::Neutral, "hello"))
}

fn under(root: &MessageRef, nonce: &str) -> Outgoing {
    Outgoing { thread: Some(root.clone()), ..hello(nonce) }
}

fn button(action: &str, label: &str) -> Button {
    Button { action: action.into(), label: label.into(), style: Style::Primary, key: 'x', form: None }
}

fn why() -> Form {
    let input = |id: &str, required, options: &[&str]| Input {
        id: id.into(),
        label: format!("The {id}"),
        hint: String::new(),
        required,
        options: options.iter().map(|one| ((*one).to_owned(), one.to_uppercase())).collect(),
    };
    Form {
        title: "Why?".into(),
        submit: "Go".into(),
        inputs: vec![input("reason", true, &[]), input("kind", false, &["code", "data"])],
    }
}

/// A product that writes down what it gets and answers a press of `why:1` with a form.
#[derive(Default)]
struct Product(Mutex<Vec<Incoming>>);

#[async_trait]
impl Inbox for Product {
    async fn keep(&self, _kept: &Kept) -> Result<bool, NotTaken> {
        Ok(true)
    }

    async fn take(&self, incoming: Incoming) -> Result<Answer, NotTaken> {
        self.0.lock().unwrap().push(incoming.clone());
        match &incoming.what {
            What::Command { text } if text == "fail" => Err(NotTaken("the disk is full".into())),
            What::Command { text } => Ok(Answer::Private(Card::new(Colour::Neutral, text.clone()))),
            What::Press { action, inputs } if action == "why:1" && inputs.is_empty() => {
                Ok(Answer::Ask { action: "because:1".into(), form: why() })
            }
            _ => Ok(Answer::Done),
        }
    }

    async fn done(&self, _delivery: &str) {}
}

impl Product {
    fn listening(chat: &Arc<Platform>) -> (Arc<Self>, tokio::task::JoinHandle<()>) {
        let product = Arc::new(Self::default());
        let (chat, inbox) = (chat.clone(), product.clone());
        (product, tokio::spawn(async move { chat.listen(inbox).await }))
    }

    fn got(&self) -> Vec<What> {
        self.0.lock().unwrap().iter().map(|incoming| incoming.what.clone()).collect()
    }
}

#[tokio::test]
async fn a_lost_answer_took_effect_a_lost_request_did_not_and_find_tells_them_apart() {
    let chat = platform();
    chat.lose_answer(1);
    chat.lose_request(2);
    for nonce in ["one", "two"] {
        assert!(matches!(chat.post(&hello(nonce)).await, Err(Fault::Unknown(_))));
    }
    assert!(chat.find(&hello("one")).await.unwrap().is_some());
    assert_eq!(chat.find(&hello("two")).await.unwrap(), None);
    assert_eq!(chat.repeats(), [""; 0]);
    chat.post(&hello("two")).await.unwrap();
    assert_eq!(chat.repeats(), [""; 0]);
    chat.post(&hello("one")).await.unwrap();
    assert_eq!(chat.repeats(), ["one"]);
    chat.post(&Outgoing { room: "#other".into(), ..hello("one") }).await.unwrap();
    assert_eq!(chat.repeats(), ["one"], "another room is another message");
    assert_eq!(chat.calls(), Calls { posts: 5, finds: 2, ..Calls::default() });
}

#[tokio::test]
async fn who_can_not_look_or_edit_says_so() {
    let chat = platform();
    let at = chat.post(&hello("one")).await.unwrap();
    chat.set_abilities(Abilities { finds: false, edits: false, pace: Duration::ZERO });
    assert!(matches!(chat.find(&hello("one")).await, Err(Fault::Invalid(_))));
    assert!(matches!(chat.update(&at, &Card::new(Colour::Good, "new")).await, Err(Fault::Invalid(_))));
    assert_eq!(chat.refused().len(), 2);
}

#[tokio::test]
async fn trouble_comes_and_goes_as_told() {
    let chat = platform();
    let ana = chat.person("ana");
    chat.down(true);
    assert!(matches!(chat.post(&hello("one")).await, Err(Fault::Unavailable(_))));
    assert!(matches!(chat.belongs(&ana, "@sre").await, Err(Fault::Unavailable(_))));
    chat.down(false);

    let after = Some(Duration::from_secs(7));
    chat.rate_limit(2, Duration::from_secs(7));
    for _ in 0..2 {
        assert!(
            matches!(chat.post(&hello("one")).await, Err(Fault::RateLimited { after: got, .. }) if got == after)
        );
    }
    chat.deny(ROOM, true);
    assert!(matches!(chat.post(&hello("one")).await, Err(Fault::Denied(_))));
    chat.deny(ROOM, false);
    assert!(chat.threads().is_empty(), "none of these took effect");

    chat.slow(Duration::from_millis(100));
    let since = Instant::now();
    let impatient = tokio::time::timeout(Duration::from_millis(20), chat.post(&hello("one"))).await;
    assert!(impatient.is_err());
    assert_eq!(chat.threads().len(), 1, "who stops waiting has posted nevertheless");
    chat.post(&hello("two")).await.unwrap();
    assert!(since.elapsed() >= Duration::from_millis(100));
}

#[tokio::test]
async fn a_pace_is_enforced_by_room() {
    let chat = platform();
    chat.set_abilities(Abilities { finds: true, edits: true, pace: Duration::from_secs(60) });
    chat.post(&hello("one")).await.unwrap();
    assert!(matches!(chat.post(&hello("two")).await, Err(Fault::RateLimited { after: Some(_), .. })));
    chat.post(&Outgoing { room: "#other".into(), ..hello("two") }).await.unwrap();
}

#[tokio::test]
async fn groups_are_asked_and_can_fail() {
    let chat = platform();
    let (ana, bo) = (chat.person("ana"), chat.person("bo"));
    chat.group("@sre", &[&ana]);
    assert!(chat.belongs(&ana, "@sre").await.unwrap());
    assert!(!chat.belongs(&bo, "@sre").await.unwrap());
    assert!(chat.belongs(&bo, "UBO").await.unwrap(), "a user by its id");
    assert!(!chat.belongs(&bo, "bo").await.unwrap(), "never by a name, which people choose");
    chat.membership_fails(true);
    assert!(matches!(chat.belongs(&ana, "@sre").await, Err(Fault::Unavailable(_))));
    chat.membership_fails(false);
    chat.group("@sre", &[]);
    assert!(!chat.belongs(&ana, "@sre").await.unwrap());
}

#[tokio::test]
async fn what_no_platform_takes_is_refused() {
    let chat = platform();
    let card = || Card::new(Colour::Neutral, "title");
    let asking = |form: Form| card().button(Button { form: Some(form), ..button("a", "b") });
    let too_much = [
        Card::new(Colour::Neutral, " "),
        Card::new(Colour::Neutral, "x".repeat(151)),
        card().line("x".repeat(1500)).line("x".repeat(1500)), // and the line feed between them
        card().field("", "value"),
        card().field("name", "x".repeat(1025)),
        card().line(Span::Link { text: "here".into(), url: "javascript:alert(1)".into() }),
        card().button(button(&"x".repeat(101), "label")),
        card().button(button("action", "")),
        card().button(button("same", "one")).button(button("same", "other")),
        (0..26).fold(card(), |card, number| card.button(button(&number.to_string(), "label"))),
        (0..26).fold(card(), |card, number| card.field(number.to_string(), "value")),
        asking(Form { title: "x".repeat(25), ..why() }),
        asking(Form { inputs: Vec::new(), ..why() }),
        asking(Form { inputs: vec![why().inputs[0].clone(); 2], ..why() }),
    ];
    for (number, card) in too_much.iter().enumerate() {
        let refused = chat.post(&message("nonce", card.clone())).await;
        assert!(matches!(refused, Err(Fault::Invalid(_))), "number {number}: {refused:?}");
    }
    assert_eq!(chat.refused().len(), too_much.len());
    let most = (0..25).fold(card().line("ü".repeat(3000)), |card, number| {
        card.button(button(&format!("{number:100}"), &"x".repeat(75)))
    });
    let at = chat.post(&message("nonce", most)).await.unwrap();
    assert!(matches!(chat.update(&at, &too_much[0]).await, Err(Fault::Invalid(_))));
}

#[tokio::test]
async fn a_thread_has_to_be_there() {
    let chat = platform();
    let root = chat.post(&hello("root")).await.unwrap();
    let reply = chat.post(&under(&root, "reply")).await.unwrap();
    assert!(matches!(chat.post(&under(&reply, "deeper")).await, Err(Fault::Invalid(_))));
    let elsewhere = Outgoing { room: "#other".into(), ..under(&root, "else") };
    assert!(matches!(chat.post(&elsewhere).await, Err(Fault::NotFound(_))));
    chat.delete(&root);
    assert!(matches!(chat.post(&under(&root, "late")).await, Err(Fault::NotFound(_))));
    assert!(matches!(chat.update(&root, &hello("root").card).await, Err(Fault::NotFound(_))));
    assert_eq!(chat.find(&hello("root")).await.unwrap(), None);
}

#[tokio::test]
async fn people_press_what_is_or_was_drawn_and_fill_in_forms() {
    let chat = platform();
    let (product, _listens) = Product::listening(&chat);
    let ana = chat.person("ana");
    let offer = |revision: u8| {
        Card::new(Colour::Bad, "broken")
            .button(button(&format!("go:{revision}"), "Go"))
            .button(button("why:1", "Why"))
    };
    let at = chat.post(&message("one", offer(1))).await.unwrap();
    chat.update(&at, &offer(2)).await.unwrap();
    assert_eq!(chat.press(&ana, "Go", &at).await, Answer::Done);
    assert_eq!(chat.press_old(&ana, "Go", &at).await, Answer::Done);
    assert_eq!(chat.press(&ana, "go:1", &at).await, Answer::Done, "by its action, from an old screen");
    let asked = chat.press(&ana, "Why", &at).await;
    assert_eq!(asked, Answer::Ask { action: "because:1".into(), form: why() });
    chat.press_and_fill(&ana, "Why", &at, &[("The reason", "it burns"), ("kind", "DATA")]).await;

    let press = |action: &str, inputs: &[(&str, &str)]| What::Press {
        action: action.into(),
        inputs: inputs.iter().map(|(id, value)| ((*id).to_owned(), (*value).to_owned())).collect(),
    };
    let filled = press("because:1", &[("kind", "data"), ("reason", "it burns")]);
    let why = || press("why:1", &[]);
    assert_eq!(
        product.got(),
        [press("go:2", &[]), press("go:1", &[]), press("go:1", &[]), why(), why(), filled]
    );
}

#[tokio::test]
async fn a_delivery_can_come_twice_or_not_be_taken_and_waits_for_who_listens() {
    let chat = platform();
    let ana = chat.person("ana");
    let typing = tokio::spawn({
        let (chat, ana) = (chat.clone(), ana.clone());
        async move { chat.command(&ana, ROOM, "/status checkout").await }
    });
    let (product, listens) = Product::listening(&chat);
    assert_eq!(typing.await.unwrap(), Answer::Private(Card::new(Colour::Neutral, "status checkout")));
    chat.deliver_again().await.unwrap();
    let got = product.0.lock().unwrap().clone();
    assert_eq!(got[0], got[1]);
    let fails = chat.new_delivery(&ana, ROOM, What::Command { text: "fail".into() });
    assert!(chat.deliver(fails).await.is_err());

    listens.abort();
    listens.await.unwrap_err();
    let (next, _listens) = Product::listening(&chat);
    chat.command(&ana, ROOM, "again").await;
    assert_eq!((product.got().len(), next.got().len()), (3, 1));
}

#[tokio::test]
#[should_panic(expected = "requires \"The reason\"")]
async fn nobody_submits_a_form_without_what_it_requires() {
    let chat = platform();
    let (_product, _listens) = Product::listening(&chat);
    let at =
        chat.post(&message("one", Card::new(Colour::Bad, "x").button(button("why:1", "Why")))).await.unwrap();
    chat.press_and_fill(&chat.person("ana"), "Why", &at, &[("kind", "code")]).await;
}

#[tokio::test]
async fn waiting_ends_with_what_is_waited_for_and_the_transcript_shows_it() {
    let chat = platform();
    let waiting = tokio::spawn({
        let chat = chat.clone();
        async move { chat.wait_for("the end", |thread| thread.saying("over").is_some()).await }
    });
    let broken = Card::new(Colour::Bad, "checkout is broken")
        .line(vec![Span::from("since "), Span::Strong("v2".into())])
        .field("Now", "v2")
        .button(button("go:1", "Roll back"))
        .button(Button { style: Style::Danger, form: Some(why()), ..button("no:1", "Reject") });
    let root = chat.post(&message("root", broken)).await.unwrap();
    let gone = chat.post(&under(&root, "gone")).await.unwrap();
    chat.post(&Outgoing { broadcast: true, ..under(&root, "reply") }).await.unwrap();
    chat.delete(&gone);
    let fixed = Card::new(Colour::Good, "checkout works").line("it is over");
    chat.update(&root, &fixed).await.unwrap();
    chat.update(&root, &fixed).await.unwrap();

    let thread = waiting.await.unwrap();
    assert_eq!((thread.root.revisions.len(), thread.messages().count()), (2, 2));
    assert!(thread.offering("Roll back").is_none());
    let first = Thread {
        root: Message { revisions: vec![thread.root.revisions[0].clone()], ..thread.root },
        replies: Vec::new(),
    };
    insta::assert_snapshot!(first.transcript() + "---\n" + &chat.transcript(ROOM), @r"
    [bad] checkout is broken
    since v2
    Now: v2
    [Roll back!] [Reject…!!]
    ---
    [good] checkout works (edited 1 ×)
    it is over

        (deleted) hello

        hello (also in the room)
    ");
}
