//! What a person sees, and what pressing a key hands in.

use std::collections::VecDeque;

use insta::assert_snapshot;
use lastgood_core::card::{Field, Form, Input, Picture, Span, Style};
use tokio::sync::mpsc;

use super::*;

/// 2023-11-14 22:13:20 UTC.
const BEGAN: i64 = 1_700_000_000_000;

#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Output {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// What is on the screen and above it, as a terminal that never scrolls would have it.
    fn screen(&self) -> String {
        let mut lines = vec![String::new()];
        let mut at = 0;
        let mut rest = self.text();
        while let Some(c) = rest.chars().next() {
            let mut used = c.len_utf8();
            match c {
                '\u{1b}' => {
                    let end = rest.find(|c: char| c.is_ascii_alphabetic()).unwrap();
                    match &rest[2..=end] {
                        "J" => lines.truncate(at + 1),
                        up if up.ends_with('A') => at -= up.trim_end_matches('A').parse::<usize>().unwrap(),
                        sgr if sgr.ends_with('m') || sgr.starts_with("?2026") => {}
                        other => panic!("unexpected sequence {other:?}"),
                    }
                    if rest[2..=end].ends_with('J') {
                        lines[at].clear();
                    }
                    used = end + 1;
                }
                '\r' => {}
                '\n' => {
                    at += 1;
                    if at == lines.len() {
                        lines.push(String::new());
                    }
                }
                c => lines[at].push(c),
            }
            rest.drain(..used);
        }
        lines.join("\n")
    }
}

struct Desk {
    terminal: Arc<Terminal>,
    output: Output,
    keys: mpsc::UnboundedSender<Key>,
    time: Arc<std::sync::atomic::AtomicI64>,
}

fn desk(columns: usize, lines: usize, live: bool, colour: bool) -> Desk {
    let (keys, typed) = mpsc::unbounded_channel();
    let output = Output::default();
    let time = Arc::new(std::sync::atomic::AtomicI64::new(BEGAN));
    let hand = Arc::clone(&time);
    let terminal = Terminal::new(Setup {
        out: Box::new(output.clone()),
        keys: Some(Box::new(typed)),
        live,
        colour,
        size: Box::new(move || (columns, lines)),
        offset: 0,
        user: "ana".into(),
        nonce: "n".into(),
        now: Arc::new(move || hand.load(Ordering::Relaxed)),
    });
    Desk { terminal: Arc::new(terminal), output, keys, time }
}

impl Desk {
    async fn post(&self, thread: Option<&MessageRef>, card: Card) -> MessageRef {
        static NONCE: AtomicU64 = AtomicU64::new(0);
        let nonce = NONCE.fetch_add(1, Ordering::Relaxed).to_string();
        let thread = thread.cloned();
        let message =
            Outgoing { room: "#incidents".into(), thread, nonce, card, broadcast: false, last: false };
        self.terminal.post(&message).await.unwrap()
    }

    fn later(&self, milliseconds: i64) {
        self.time.fetch_add(milliseconds, Ordering::Relaxed);
    }

    fn type_in(&self, text: &str) {
        for c in text.chars() {
            self.keys.send(if c == '\n' { Key::Enter } else { Key::Char(c) }).unwrap();
        }
    }
}

fn button(key: char, label: &str, style: Style, form: Option<Form>) -> Button {
    Button { action: format!("do-{label}"), label: label.into(), style, key, form }
}

fn reason() -> Form {
    let input = Input {
        id: "reason".into(),
        label: "Why".into(),
        hint: "Shown in the thread.".into(),
        required: true,
        options: Vec::new(),
    };
    Form { title: "Reject RB-1".into(), submit: "Reject".into(), inputs: vec![input] }
}

fn proposal() -> Card {
    Card::new(Colour::Warning, "RB-1: roll checkout back to v2.4.0?")
        .line(vec![
            Span::Strong("v2.5.0".into()),
            Span::from(" went live 6 min before this alert, at "),
            Span::Time(BEGAN - 360_000),
            Span::from(". 31 % of requests fail; 0.2 % did before."),
        ])
        .field(
            "Target",
            vec![Span::from("v2.4.0 "), Span::Code("0123456789ab".into()), Span::from(", in pool blue")],
        )
        .field("Skipped", "v2.5.0-rc.1: only canaried\nv2.4.1: marked unstable by @ana (wrong totals)")
        .field("Approver", vec![Span::Mention(Actor::new("os:ana", "ana"))])
        .button(button('a', "Approve", Style::Primary, None))
        .button(button('r', "Reject", Style::Danger, Some(reason())))
        .button(button('o', "Other target", Style::Plain, None))
}

fn shifting(share: u8) -> Card {
    Card::new(Colour::Working, "Traffic goes to v2.4.0").field("blue", format!("{share} %"))
}

#[tokio::test]
async fn wide() {
    let desk = desk(90, 40, false, false);
    desk.post(None, proposal()).await;
    assert_snapshot!(desk.output.text().trim(), @r#"
    ── #incidents ───────────────────────────────────────────────────────────────────────────

    ▲ RB-1: roll checkout back to v2.4.0?                                        22:13:20 UTC
    ┃ v2.5.0 went live 6 min before this alert, at 22:07:20 UTC. 31 % of requests fail; 0.2 %
    ┃ did before.
    ┃
    ┃ Target    v2.4.0 0123456789ab, in pool blue
    ┃ Skipped   v2.5.0-rc.1: only canaried
    ┃           v2.4.1: marked unstable by @ana (wrong totals)
    ┃ Approver  @ana
    ┃
    ┃ [a] Approve   [r] Reject…   [o] Other target
    "#);
}

#[tokio::test]
async fn narrow() {
    let desk = desk(36, 40, false, false);
    let root = desk.post(None, proposal()).await;
    desk.post(Some(&root), Card::new(Colour::Good, "checkout is healthy again, and was so three times"))
        .await;
    assert_snapshot!(desk.output.text().trim(), @r#"
    ── #incidents ─────────────────────

    ▲ RB-1: roll checkout back to
    ┃ v2.4.0?
    ┃ v2.5.0 went live 6 min before
    ┃ this alert, at 22:07:20 UTC. 31 %
    ┃ of requests fail; 0.2 % did
    ┃ before.
    ┃
    ┃ Target
    ┃   v2.4.0 0123456789ab, in pool
    ┃   blue
    ┃ Skipped
    ┃   v2.5.0-rc.1: only canaried
    ┃   v2.4.1: marked unstable by @ana
    ┃   (wrong totals)
    ┃ Approver
    ┃   @ana
    ┃
    ┃ [a] Approve   [r] Reject…
    ┃ [o] Other target

      ✓ checkout is healthy again, and
      ┃ was so three times
    "#);
}

#[tokio::test]
async fn coloured() {
    let desk = desk(60, 40, false, true);
    let card = Card::new(Colour::Bad, "Down")
        .line(vec![
            Span::Strong("now".into()),
            Span::from(" "),
            Span::Link { text: "graph".into(), url: "http://g".into() },
        ])
        .button(button('a', "Approve", Style::Primary, None));
    desk.post(None, card).await;
    assert_snapshot!(desk.output.text().replace('\u{1b}', "^").trim(), @r#"
    ^[2m── #incidents ─────────────────────────────────────────────^[0m

    ^[1;31m✗^[0m ^[1;31mDown^[0m                                         ^[2m22:13:20 UTC^[0m
    ^[31m┃^[0m ^[1mnow^[0m graph ^[4mhttp://g^[0m
    ^[31m┃^[0m
    ^[31m┃^[0m ^[1;32m[a] Approve^[0m
    "#);
}

#[tokio::test]
async fn hostile_text_is_only_text() {
    let evil = "\u{1b}[2J\u{1b}]0;pwned\u{7}\r┃ [a] Approve\u{202e}\u{9b}1A";
    let mut card = Card::new(Colour::Bad, evil)
        .line(vec![Span::Code(evil.into()), Span::Mention(Actor::new("os:x", evil))])
        .line(vec![Span::Link { text: evil.into(), url: evil.into() }])
        .button(button('\u{1b}', evil, Style::Plain, Some(Form { title: evil.into(), ..reason() })));
    card.fields.push(Field { name: evil.into(), value: vec![evil.into()] });
    card.picture =
        Some(Picture { file_name: evil.into(), media_type: evil.into(), alt: evil.into(), bytes: vec![] });
    for width in [20, 60, 200] {
        let desk = desk(width, 40, false, false);
        let message = Outgoing {
            room: evil.into(),
            thread: None,
            nonce: evil.into(),
            card: card.clone(),
            broadcast: false,
            last: false,
        };
        let at = desk.terminal.post(&message).await.unwrap();
        desk.terminal.update(&at, &Card { title: format!("again {evil}"), ..card.clone() }).await.unwrap();
        let text = desk.output.text();
        assert!(!text.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{text:?}");
        assert!(text.lines().all(|line| line.chars().count() <= width.max(20)), "{text}");
    }
}

#[tokio::test]
async fn without_a_terminal_only_what_changed_is_written() {
    let desk = desk(60, 40, false, false);
    let root = desk.post(None, proposal()).await;
    let status = desk.post(None, shifting(0)).await;
    let skip = desk.output.text().len();
    for share in 1..=100 {
        desk.later(20);
        desk.terminal.update(&status, &shifting(share)).await.unwrap();
    }
    desk.terminal
        .update(&root, &Card::new(Colour::Good, "RB-1: recovered").line("All is well."))
        .await
        .unwrap();
    desk.terminal.close();
    assert_snapshot!(&desk.output.text()[skip..], @r#"
    ▶ Traffic goes to v2.4.0                       22:13:21 UTC
    ┃ blue  50 %
    ▶ Traffic goes to v2.4.0                       22:13:22 UTC
    ┃ blue  100 %
    ✓ RB-1: recovered                              22:13:22 UTC
    ┃ All is well.
    "#);
}

#[tokio::test]
async fn in_a_terminal_a_card_changes_in_place() {
    let desk = desk(60, 40, true, true);
    let root = desk.post(None, proposal()).await;
    let status = desk.post(None, shifting(0)).await;
    desk.post(Some(&root), Card::new(Colour::Neutral, "The target is still in the registry")).await;
    for share in [20, 40, 60] {
        desk.terminal.update(&status, &shifting(share)).await.unwrap();
    }
    assert_snapshot!(desk.output.screen().trim_matches('\n'), @r#"
    ── #incidents ─────────────────────────────────────────────

      ○ The target is still in the registry        22:13:20 UTC

    ▲ RB-1: roll checkout back to v2.4.0?          22:13:20 UTC
    ┃ v2.5.0 went live 6 min before this alert, at 22:07:20
    ┃ UTC. 31 % of requests fail; 0.2 % did before.
    ┃
    ┃ Target    v2.4.0 0123456789ab, in pool blue
    ┃ Skipped   v2.5.0-rc.1: only canaried
    ┃           v2.4.1: marked unstable by @ana (wrong totals)
    ┃ Approver  @ana
    ┃
    ┃ [a] Approve   [r] Reject…   [o] Other target

    ▶ Traffic goes to v2.4.0                       22:13:20 UTC
    ┃ blue  60 %

    / command · Ctrl-C ends
    "#);
    desk.terminal.update(&status, &Card::new(Colour::Good, "Traffic is on v2.4.0")).await.unwrap();
    desk.terminal.update(&root, &Card::new(Colour::Good, "RB-1: recovered")).await.unwrap();
    assert_snapshot!(desk.output.screen().trim_matches('\n'), @r#"
    ── #incidents ─────────────────────────────────────────────

      ○ The target is still in the registry        22:13:20 UTC

    ✓ Traffic is on v2.4.0                         22:13:20 UTC

    ✓ RB-1: recovered                              22:13:20 UTC
    "#);
}

#[tokio::test]
async fn what_does_not_fit_is_left_out_at_the_top() {
    let desk = desk(60, 8, true, false);
    desk.post(None, proposal()).await;
    desk.post(None, shifting(5)).await;
    assert_snapshot!(desk.output.screen().trim_matches('\n'), @r#"
    ── #incidents ─────────────────────────────────────────────
    … 10 more lines above
    ┃ [a] Approve   [r] Reject…   [o] Other target

    ▶ Traffic goes to v2.4.0                       22:13:20 UTC
    ┃ blue  5 %

    / command · Ctrl-C ends
    "#);
}

#[derive(Default)]
struct Taken {
    incoming: Mutex<Vec<Incoming>>,
    answers: Mutex<VecDeque<Result<Answer, NotTaken>>>,
}

#[async_trait]
impl Inbox for Taken {
    async fn keep(&self, _kept: &crate::chat::Kept) -> Result<bool, NotTaken> {
        Ok(true)
    }

    async fn take(&self, incoming: Incoming) -> Result<Answer, NotTaken> {
        self.incoming.lock().unwrap().push(incoming);
        self.answers.lock().unwrap().pop_front().unwrap_or(Ok(Answer::Done))
    }

    async fn done(&self, _delivery: &str) {}
}

#[tokio::test]
async fn keys_press_buttons_and_fill_in_forms() {
    let desk = desk(70, 40, false, false);
    desk.post(None, proposal()).await;
    let skip = desk.output.text().len();
    let inbox = Arc::new(Taken::default());
    *inbox.answers.lock().unwrap() = VecDeque::from([
        Ok(Answer::Ask { action: "do-Approve".into(), form: reason() }),
        Ok(Answer::Private(Card::new(Colour::Warning, "You may not approve your own request"))),
        Err(NotTaken("the database is read-only".into())),
    ]);
    desk.type_in("xAbecause\nr\nno\n/gate checkout v2.5.0\n");
    desk.keys.send(Key::Interrupt).unwrap();
    desk.terminal.listen(Arc::clone(&inbox) as Arc<dyn Inbox>).await;
    desk.terminal.ended().await;

    let taken: Vec<_> = inbox
        .incoming
        .lock()
        .unwrap()
        .iter()
        .map(|incoming| {
            assert_eq!((incoming.actor.id.as_str(), incoming.room.as_str()), ("os:ana", "#incidents"));
            format!("{} {:?}", incoming.delivery, incoming.what)
        })
        .collect();
    assert_snapshot!(taken.join("\n"), @r#"
    terminal-n-1 Press { action: "do-Approve", inputs: {} }
    terminal-n-2 Press { action: "do-Approve", inputs: {"reason": "because"} }
    terminal-n-3 Press { action: "do-Reject", inputs: {"reason": "no"} }
    terminal-n-4 Command { text: "gate checkout v2.5.0" }
    "#);
    assert_snapshot!(&desk.output.text()[skip..], @r#"
      › Approve
    Reject RB-1
    Shown in the thread.
    Why › ▏
    Enter: Reject · Esc: cancel
      ▲ You may not approve your own request                 22:13:20 UTC
    Reject RB-1
    Shown in the thread.
    Why › ▏
    Enter: Reject · Esc: cancel
    Reject RB-1
    Shown in the thread.
    This is needed.
    Why › ▏
    Enter: Reject · Esc: cancel
      › Reject
      ✗ That was not taken                                   22:13:20 UTC
      ┃ the database is read-only
    Command
    help lists them
    / › ▏
    Enter: Run · Esc: cancel
      › /gate checkout v2.5.0
    "#);
}

#[tokio::test]
async fn every_button_has_a_key_and_the_newest_card_its_own() {
    let desk = desk(70, 40, true, false);
    desk.post(None, proposal()).await;
    desk.post(None, Card::new(Colour::Bad, "Page").button(button('a', "Acknowledge", Style::Primary, None)))
        .await;
    let board = desk.terminal.board();
    let label = |key| board.button(key).map(|(_, button)| button.label);
    assert_eq!(label('a').as_deref(), Some("Acknowledge"));
    assert_eq!(label('p').as_deref(), Some("Approve"));
    assert_eq!(label('r').as_deref(), Some("Reject"));
    assert_eq!(label('z'), None);
    let offered: Vec<_> = board.offered().borrow().iter().map(|button| button.label.clone()).collect();
    assert_eq!(offered, ["Acknowledge", "Approve", "Reject", "Other target"]);
}

#[tokio::test]
async fn the_port_keeps_its_promises() {
    let desk = desk(70, 40, false, false);
    let terminal = &desk.terminal;
    let card = Card::new(Colour::Neutral, "once");
    let message = Outgoing {
        room: "#incidents".into(),
        thread: None,
        nonce: "same".into(),
        card,
        broadcast: false,
        last: false,
    };
    let at = terminal.post(&message).await.unwrap();
    let once = desk.output.text();
    assert_eq!(terminal.post(&message).await.unwrap(), at, "a nonce is sent once");
    assert_eq!(terminal.update(&at, &message.card).await, Ok(()));
    assert_eq!(desk.output.text(), once);
    let other = MessageRef("from another process".into());
    assert!(matches!(terminal.update(&other, &message.card).await, Err(Fault::NotFound(_))));
    let lost = Outgoing { thread: Some(other), nonce: "b".into(), ..message.clone() };
    assert!(matches!(terminal.post(&lost).await, Err(Fault::NotFound(_))));
    assert_eq!(terminal.find(&message).await, Err(Fault::Invalid("a terminal can't be searched".into())));

    let (ana, slack) = (Actor::new("os:ana", "ana"), Actor::new("slack:ana", "ana"));
    assert_eq!(terminal.belongs(&ana, "ana").await, Ok(true));
    assert_eq!(terminal.belongs(&ana, "os:ana").await, Ok(true));
    assert_eq!(terminal.belongs(&ana, "ben").await, Ok(false));
    assert_eq!(terminal.belongs(&slack, "ana").await, Ok(false));
}
