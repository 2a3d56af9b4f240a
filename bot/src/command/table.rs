//! Every command, once. Chats, the command line and the help are made from this, so that a command added here is
//! everywhere.

/// The word that a command begins with; a slash command on platforms that have those.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    Rollback,
    Incident,
}

impl Group {
    pub const ALL: [Self; 2] = [Self::Rollback, Self::Incident];

    pub fn word(self) -> &'static str {
        match self {
            Self::Rollback => "rollback",
            Self::Incident => "incident",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// As the configuration names it.
    Service,
    /// A version or digest. Left out when the word looks like neither.
    Version,
    /// `@somebody`.
    Person,
    /// `INC-1`.
    Incident,
    OneOf(&'static [&'static str]),
    /// This very word, or nothing.
    Flag,
    /// Everything to the end.
    Rest,
}

#[derive(Debug, Clone, Copy)]
pub struct Arg {
    /// For platforms that name arguments; in capitals in a usage line.
    pub name: &'static str,
    pub kind: Kind,
    pub needed: bool,
    pub help: &'static str,
}

#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub group: Group,
    pub name: &'static str,
    pub args: &'static [Arg],
    pub help: &'static str,
}

const fn needed(name: &'static str, kind: Kind, help: &'static str) -> Arg {
    Arg { name, kind, needed: true, help }
}

const fn optional(name: &'static str, kind: Kind, help: &'static str) -> Arg {
    Arg { name, kind, needed: false, help }
}

const SERVICE: Arg = needed("service", Kind::Service, "as the configuration names it");
const HERE: Arg = optional("service", Kind::Service, "when several rollbacks run in this room");
const INCIDENT: Arg = needed("incident", Kind::Incident, "INC-1");

/// What a group's name means when no command follows it but a service.
pub const PROPOSE: Row = Row {
    group: Group::Rollback,
    name: "propose",
    args: &[
        SERVICE,
        optional("version", Kind::Version, "a version or digest; otherwise the last stable one"),
        optional("reason", Kind::Rest, "for the thread"),
    ],
    help: "Propose the last stable version, or the one you name",
};

pub const STATUS: Row =
    Row { group: Group::Rollback, name: "status", args: &[], help: "Running rollbacks and open incidents" };

pub const HISTORY: Row = Row {
    group: Group::Rollback,
    name: "history",
    args: &[SERVICE],
    help: "What was deployed, newest first, with its marks",
};

pub const MARK: Row = Row {
    group: Group::Rollback,
    name: "mark",
    args: &[
        SERVICE,
        needed("version", Kind::Version, "a version, or the beginning of a digest"),
        needed("as", Kind::OneOf(&["stable", "unstable"]), "stable or unstable"),
        needed("reason", Kind::Rest, "for whoever reads it at night"),
    ],
    help: "Correct the inventory: mark an artifact stable or unstable",
};

pub const STOP: Row = Row {
    group: Group::Rollback,
    name: "stop",
    args: &[HERE],
    help: "Stop the running rollback; traffic stays as it is",
};

pub const COMMANDER: Row = Row {
    group: Group::Rollback,
    name: "commander",
    args: &[HERE, needed("person", Kind::Person, "who takes over")],
    help: "Hand the command of the incident to somebody",
};

pub const ALERTS: Row = Row {
    group: Group::Rollback,
    name: "alerts",
    args: &[optional("service", Kind::Service, "otherwise of all services")],
    help: "Alerts that fire, fell silent or are ignored",
};

pub const END_ALERT: Row = Row {
    group: Group::Rollback,
    name: "end-alert",
    args: &[SERVICE, needed("alert", Kind::Rest, "its fingerprint or its title, or all")],
    help: "Take an alert for over that nobody resolves",
};

pub const PAUSE: Row = Row {
    group: Group::Rollback,
    name: "pause",
    args: &[
        optional("service", Kind::Service, "otherwise all services"),
        optional("reason", Kind::Rest, "for whoever sees it"),
    ],
    help: "Shift nothing without a click; proposals go on",
};

pub const RESUME: Row = Row {
    group: Group::Rollback,
    name: "resume",
    args: &[optional("service", Kind::Service, "otherwise the pause of all services")],
    help: "End a pause",
};

pub const HELP: Row = Row { group: Group::Rollback, name: "help", args: &[], help: "This list" };

pub const LIST: Row = Row {
    group: Group::Incident,
    name: "list",
    args: &[],
    help: "Incidents whose root cause is not known yet",
};

pub const SHOW: Row =
    Row { group: Group::Incident, name: "show", args: &[INCIDENT], help: "An incident and its rollbacks" };

pub const CLOSE: Row = Row {
    group: Group::Incident,
    name: "close",
    args: &[
        INCIDENT,
        optional("not-the-release", Kind::Flag, "the release was innocent: its mark is lifted"),
        needed("root cause", Kind::Rest, "what caused it, in a sentence"),
    ],
    help: "Close an incident with its root cause",
};

pub const TABLE: [Row; 14] = [
    PROPOSE, STATUS, HISTORY, MARK, STOP, COMMANDER, PAUSE, RESUME, ALERTS, END_ALERT, HELP, LIST, SHOW,
    CLOSE,
];

impl Row {
    /// `rollback mark SERVICE VERSION stable|unstable REASON…`
    pub fn usage(&self) -> String {
        let mut usage = self.group.word().to_owned();
        if self.name != PROPOSE.name {
            usage = format!("{usage} {}", self.name);
        }
        for arg in self.args {
            let shown = match arg.kind {
                Kind::OneOf(words) => words.join("|"),
                Kind::Flag => arg.name.to_owned(),
                Kind::Person => "@person".to_owned(),
                Kind::Rest => format!("{}…", arg.name.to_uppercase()),
                _ => arg.name.to_uppercase(),
            };
            usage = if arg.needed { format!("{usage} {shown}") } else { format!("{usage} [{shown}]") };
        }
        usage
    }
}
