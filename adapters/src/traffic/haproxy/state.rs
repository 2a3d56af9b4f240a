//! What HAProxy's answers say. The formats are those of the management guide ("show servers state", "show map", "show
//! stat", "show info"); columns are found by their name, as the guide asks for.

use std::collections::BTreeMap;

/// `srv_admin_state` bits (management.txt, "show servers state").
const FORCED_MAINTENANCE: u32 = 0x01;
/// Forced, inherited, or for want of an address. 0x04 says only that the configuration file began with it, and stays set
/// when the server is readied.
const MAINTENANCE: u32 = 0x01 | 0x02 | 0x20;
const FORCED_DRAIN: u32 = 0x08;
const INHERITED_DRAIN: u32 = 0x10;
/// `srv_check_state` or `srv_agent_state`: a check is configured.
const CHECK_CONFIGURED: u32 = 0x02;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    pub name: String,
    /// 0 stopped, 1 starting, 2 running, 3 stopping.
    pub operation: u32,
    pub administration: u32,
    /// 0 to 256.
    pub weight: u32,
    /// The weight that the configuration file gives.
    pub initial: u32,
    /// Whether HAProxy could notice at all that it is down.
    pub checked: bool,
}

impl Server {
    pub fn in_maintenance(&self) -> bool {
        self.administration & MAINTENANCE != 0
    }

    /// In maintenance by somebody's hand: it does not come back by itself.
    pub fn put_in_maintenance(&self) -> bool {
        self.administration & FORCED_MAINTENANCE != 0
    }

    pub fn put_in_drain(&self) -> bool {
        self.administration & FORCED_DRAIN != 0
    }

    /// "Stopping" is up only for those who stick to it.
    fn up(&self) -> bool {
        matches!(self.operation, 1 | 2)
    }

    /// Up, not draining, not in maintenance.
    pub fn alive(&self) -> bool {
        self.up() && !self.in_maintenance() && self.administration & (FORCED_DRAIN | INHERITED_DRAIN) == 0
    }

    /// Alive, or would be after `state ready` ends a drain that somebody forced.
    pub fn can_be_raised(&self) -> bool {
        self.up() && !self.in_maintenance() && self.administration & INHERITED_DRAIN == 0
    }

    /// Meant to carry traffic, up or not. Weight and administration are independent: either alone keeps traffic away.
    pub fn assigned(&self) -> bool {
        let away = MAINTENANCE | FORCED_DRAIN | INHERITED_DRAIN;
        self.weight > 0 && self.administration & away == 0
    }

    pub fn serves(&self) -> bool {
        self.assigned() && self.up()
    }
}

/// `show servers state <backend>`; `None` when it is not such a table ("Can't find backend.").
pub(super) fn servers(answer: &str) -> Option<Vec<Server>> {
    let mut lines = answer.lines();
    let header = lines.find_map(|line| line.strip_prefix("# "))?;
    let column: BTreeMap<&str, usize> =
        header.split_whitespace().enumerate().map(|(at, name)| (name, at)).collect();
    let at = |name| column.get(name).copied();
    let (name, operation, administration) = (at("srv_name")?, at("srv_op_state")?, at("srv_admin_state")?);
    let (weight, initial) = (at("srv_uweight")?, at("srv_iweight")?);
    let (check, agent) = (at("srv_check_state")?, at("srv_agent_state")?);
    lines
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let number = |at: usize| fields.get(at)?.parse::<u32>().ok();
            Some(Server {
                name: (*fields.get(name)?).to_owned(),
                operation: number(operation)?,
                administration: number(administration)?,
                weight: number(weight)?,
                initial: number(initial)?,
                checked: (number(check)? | number(agent)?) & CHECK_CONFIGURED != 0,
            })
        })
        .collect()
}

/// The values that `show map <file>` has for `key`, in HAProxy's order; `None` when the answer is no such list.
pub(super) fn entries(answer: &str, key: &str) -> Option<Vec<String>> {
    let mut values = Vec::new();
    for line in answer.lines().filter(|line| !line.trim().is_empty()) {
        let mut fields = line.splitn(3, ' ');
        let (reference, found, value) = (fields.next()?, fields.next()?, fields.next().unwrap_or_default());
        if !reference.starts_with("0x") {
            return None;
        }
        if found == key {
            values.push(value.trim().to_owned());
        }
    }
    Some(values)
}

/// A value of `show info`.
pub(super) fn info<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ").map(str::trim))
}

/// What `show stat <backend> 4 -1` adds about a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Habit {
    pub name: String,
    /// Serves only while no other server does, whatever its weight.
    pub backup: bool,
    /// Clients that have its cookie stay with it, whatever its weight.
    pub sticky: bool,
}

/// Nothing when the answer is no such table: it only helps to warn.
pub(super) fn habits(answer: &str) -> Vec<Habit> {
    let mut lines = answer.lines();
    let Some(header) = lines.find_map(|line| line.strip_prefix("# ")) else { return Vec::new() };
    let column: BTreeMap<&str, usize> = header.split(',').enumerate().map(|(at, name)| (name, at)).collect();
    lines
        .filter_map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            let field = |name| column.get(name).and_then(|at| fields.get(*at)).copied();
            Some(Habit {
                name: field("svname")?.to_owned(),
                backup: field("bck") == Some("1"),
                sticky: field("cookie").is_some_and(|cookie| !cookie.is_empty()),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Captured from HAProxy 2.6.12: up, down, "disabled" in the file, drained, in maintenance, readied after "disabled".
    const STATE: &str = "1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port
5 be 1 up 127.0.0.1 2 0 100 1 237 1 0 2 0 0 0 0 - 18103 - 0 0 - - 0
5 be 2 down 127.0.0.1 0 0 1 1 237 8 2 0 6 0 0 0 - 18101 - 0 0 - - 0
5 be 3 disabled 127.0.0.1 0 5 1 1 0 1 0 0 14 0 0 0 - 18102 - 0 0 - - 0
5 be 4 drained 127.0.0.1 2 8 100 100 0 1 0 2 0 0 0 0 - 18101 - 0 0 - - 0
5 be 5 maintained 127.0.0.1 0 1 5 0 0 1 0 0 0 0 0 0 - 18102 - 0 0 - - 0
5 be 6 readied 127.0.0.1 2 4 1 1 0 1 0 2 6 0 0 0 - 18102 - 0 0 - - 0
";

    #[test]
    fn a_server_serves_only_when_nothing_keeps_traffic_away() {
        let all = servers(STATE).unwrap();
        let names = |which: fn(&Server) -> bool| -> Vec<&str> {
            all.iter().filter(|server| which(server)).map(|server| server.name.as_str()).collect()
        };
        assert_eq!(names(Server::serves), ["up", "readied"]);
        assert_eq!(names(Server::assigned), ["up", "down", "readied"]);
        assert_eq!(names(Server::alive), ["up", "readied"]);
        assert_eq!(names(Server::can_be_raised), ["up", "drained", "readied"]);
        assert_eq!(names(|server| server.checked), ["down", "disabled", "readied"]);
        assert_eq!((all[0].weight, all[0].initial), (100, 1));
    }

    #[test]
    fn anything_but_a_state_table_is_none() {
        for answer in ["", "Can't find backend.", "Permission denied", "# be_name only"] {
            assert_eq!(servers(answer), None, "{answer}");
        }
        assert_eq!(servers(&STATE.replace("up 127.0.0.1 2 0", "up 127.0.0.1 x 0")), None);
    }

    #[test]
    fn a_map_is_read_with_its_doubles() {
        let dump =
            "0x55c589251350 checkout be_blue\n0x55c5894374b0 nokey x\n0x7fee10047e30 nokey y\n0x1 empty \n";
        assert_eq!(entries(dump, "checkout").unwrap(), ["be_blue"]);
        assert_eq!(entries(dump, "nokey").unwrap(), ["x", "y"]);
        assert_eq!(entries(dump, "empty").unwrap(), [""]);
        assert_eq!(entries("", "checkout").unwrap(), [""; 0]);
        assert_eq!(entries("Unknown map identifier. Please use #<id> or <file>.", "checkout"), None);
    }

    #[test]
    fn the_process_is_found_among_the_rest() {
        assert_eq!(info("Name: HAProxy\nProcess_num: 1\nPid: 11489\nUptime: 0d", "Pid"), Some("11489"));
        assert_eq!(info("Permission denied", "Pid"), None);
    }

    #[test]
    fn backup_and_sticky_servers_are_noticed() {
        let stat = "# pxname,svname,act,bck,cookie,mode,\nbe,a,1,0,,http,\nbe,b,0,1,ck,http,\n";
        let seen: Vec<_> = habits(stat).into_iter().map(|habit| (habit.backup, habit.sticky)).collect();
        assert_eq!(seen, [(false, false), (true, true)]);
        assert_eq!(habits("Permission denied"), []);
    }
}
