//! One conversation, told once and held on every platform: what people do and are told must not depend on where they do it. A
//! snapshot per platform shows how it looks there.

use lastgood_tests::standin::{discord, slack};

use crate::{chain::scene::Scene, discord as on_discord, slack as on_slack};

/// People of every world.
#[derive(Debug, Clone, Copy)]
enum Person {
    /// In the group that may approve.
    Ana,
    Ben,
    /// Works here.
    Eve,
}

/// What somebody sees after a click.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Change,
    Private(String),
}

impl Seen {
    fn told(self, text: &str) {
        match self {
            Self::Private(told) => assert!(told.contains(text), "{told}"),
            Self::Change => panic!("not told {text:?}"),
        }
    }
}

/// A world, whatever people talk in.
trait Talk {
    fn scene(&self) -> &Scene;
    /// A command as it is typed in Slack: `rollback mark checkout v2.4.0 stable seen it`; arguments by their names for where
    /// they are filled in.
    async fn says(&self, who: Person, command: &str, arguments: &[(&str, &str)]) -> String;
    async fn presses(&self, who: Person, button: &str) -> Seen;
    async fn fills(&self, who: Person, button: &str, filled: &[(&str, &str)]);
    async fn reads(&self, text: &str);
    /// Compares the thread whose card says this with its snapshot.
    async fn shows(&self, name: &str, card: &str);
    async fn run_ends(&self, number: i64, end: &str);
    async fn ends(self);
}

impl Talk for on_slack::World {
    fn scene(&self) -> &Scene {
        &self.scene
    }

    async fn says(&self, who: Person, command: &str, arguments: &[(&str, &str)]) -> String {
        let words = arguments.iter().map(|(_, value)| format!(" {value}"));
        let typed = format!("/{command}{}", words.collect::<String>());
        self.slack.slash(self.who(who), on_slack::ROOM, &typed).await.private()
    }

    async fn presses(&self, who: Person, button: &str) -> Seen {
        match self.presses(self.who(who), button).await {
            slack::Saw::Change => Seen::Change,
            other => Seen::Private(other.private()),
        }
    }

    async fn fills(&self, who: Person, button: &str, filled: &[(&str, &str)]) {
        self.fills(self.who(who), button, filled).await;
    }

    async fn reads(&self, text: &str) {
        self.slack.reads(text).await;
    }

    async fn shows(&self, name: &str, card: &str) {
        self.caught_up().await;
        let said = self.slack.reads(card).await;
        on_slack::snapshot_in("../both/snapshots", &format!("{name}.slack"), self, &said);
    }

    async fn run_ends(&self, number: i64, end: &str) {
        self.run_ends(number, end).await;
    }

    async fn ends(self) {
        self.ends().await;
    }
}

impl on_slack::World {
    fn who(&self, who: Person) -> &slack::Who {
        match who {
            Person::Ana => &self.ana,
            Person::Ben => &self.ben,
            Person::Eve => &self.eve,
        }
    }
}

impl Talk for on_discord::World {
    fn scene(&self) -> &Scene {
        &self.scene
    }

    async fn says(&self, who: Person, command: &str, arguments: &[(&str, &str)]) -> String {
        self.discord.slash(self.who(who), on_discord::ROOM, command, arguments).await.private()
    }

    async fn presses(&self, who: Person, button: &str) -> Seen {
        match self.presses(self.who(who), button).await {
            discord::Saw::Change => Seen::Change,
            other => Seen::Private(other.private()),
        }
    }

    async fn fills(&self, who: Person, button: &str, filled: &[(&str, &str)]) {
        self.fills(self.who(who), button, filled).await;
    }

    async fn reads(&self, text: &str) {
        self.discord.reads(text).await;
    }

    async fn shows(&self, name: &str, card: &str) {
        self.caught_up().await;
        let said = self.discord.reads(card).await;
        on_discord::snapshot_in("../both/snapshots", &format!("{name}.discord"), self, &said);
    }

    async fn run_ends(&self, number: i64, end: &str) {
        self.run_ends(number, end).await;
    }

    async fn ends(self) {
        self.ends().await;
    }
}

impl on_discord::World {
    fn who(&self, who: Person) -> &discord::Who {
        match who {
            Person::Ana => &self.ana,
            Person::Ben => &self.ben,
            Person::Eve => &self.eve,
        }
    }
}

/// An alert; the wrong person, two right ones, recovery, the root cause.
async fn two_agree_and_it_recovers(world: impl Talk) {
    world.scene().breaks().await;
    world.presses(Person::Eve, "Roll back to v2.4.0").await.told("only an approver of checkout may do that");
    assert_eq!(world.presses(Person::Ana, "Roll back to v2.4.0").await, Seen::Change);
    world.reads("approved, 1 of 2").await;
    world.presses(Person::Ana, "Roll back to v2.4.0").await.told("already");
    assert_eq!(world.presses(Person::Ben, "Roll back to v2.4.0").await, Seen::Change);
    world.run_ends(1, "recovered").await;
    assert_eq!(world.scene().stage.routed(), "blue");
    let told = world.says(Person::Eve, "incident list", &[]).await;
    assert!(told.contains("INC-1") && told.contains("checkout"), "{told}");
    let filled = [("root_cause", "a *cold* cache & <no> index"), ("was_release", "yes")];
    world.fills(Person::Ana, "Close INC-1", &filled).await;
    world.reads("INC-1 is closed").await;
    world.shows("recovered", "RB-1: first good check after the shift").await;
    world.ends().await;
}

/// Somebody asks, somebody else refuses; the inventory is corrected.
async fn asked_for_and_rejected(world: impl Talk) {
    world.scene().broken().await;
    let asked = [("service", "checkout"), ("version", "v2.4.0"), ("reason", "carts are empty")];
    let told = world.says(Person::Eve, "rollback propose", &asked).await;
    assert!(told.contains("RB-1") && told.contains("the proposal follows here"), "{told}");
    world.reads("carts are empty").await;
    world.fills(Person::Ana, "Reject", &[("reason", "the shop is closed *today* @everyone")]).await;
    world.run_ends(1, "rejected").await;
    let told = world.says(Person::Eve, "rollback history", &[("service", "checkout")]).await;
    assert!(told.contains("v2.4.1") && told.contains("v2.4.0"), "{told}");
    let mark =
        [("service", "checkout"), ("version", "v2.4.0"), ("as", "stable"), ("reason", "seen it all week")];
    let told = world.says(Person::Eve, "rollback mark", &mark).await;
    assert!(told.contains("only an approver of checkout may mark its artifacts stable"), "{told}");
    let told = world.says(Person::Ben, "rollback mark", &mark).await;
    assert!(told.contains("is marked stable"), "{told}");
    world.shows("rejected", "eve asks for a rollback").await;
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_agree_and_it_recovers_in_slack() {
    two_agree_and_it_recovers(on_slack::World::small("approvals = 2").await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_agree_and_it_recovers_in_discord() {
    two_agree_and_it_recovers(on_discord::World::small("approvals = 2").await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asked_for_and_rejected_in_slack() {
    asked_for_and_rejected(on_slack::World::small("").await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asked_for_and_rejected_in_discord() {
    asked_for_and_rejected(on_discord::World::small("").await).await;
}

/// Shifting without a click is paused, and goes on with one.
async fn paused_by_an_approver(world: impl Talk) {
    let pause = [("service", "checkout"), ("reason", "the network *flaps*")];
    let told = world.says(Person::Eve, "rollback pause", &pause).await;
    assert!(told.contains("only an approver of checkout may pause"), "{told}");
    let told = world.says(Person::Ana, "rollback pause", &pause).await;
    assert!(told.contains("checkout is not shifted without a click until"), "{told}");
    world.scene().breaks().await;
    world
        .reads("A click is needed although approval = none: shifting without a click is paused by ana")
        .await;
    assert_eq!(world.scene().stage.routed(), "green");
    let told = world.says(Person::Eve, "rollback status", &[]).await;
    assert!(told.contains("Paused") && told.contains("flaps"), "{told}");
    let told = world.says(Person::Eve, "rollback alerts", &[("service", "checkout")]).await;
    assert!(told.contains("firing") && told.contains("told once"), "{told}");
    assert_eq!(world.presses(Person::Ana, "Roll back to v2.4.0").await, Seen::Change);
    world.run_ends(1, "recovered").await;
    assert_eq!(world.scene().stage.routed(), "blue");
    let told = world.says(Person::Ben, "rollback resume", &[("service", "checkout")]).await;
    assert!(told.contains("The pause of checkout by ana has ended"), "{told}");
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paused_by_an_approver_in_slack() {
    paused_by_an_approver(on_slack::World::small("approval = 'none'").await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paused_by_an_approver_in_discord() {
    paused_by_an_approver(on_discord::World::small("approval = 'none'").await).await;
}
