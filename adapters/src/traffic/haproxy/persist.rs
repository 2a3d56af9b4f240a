//! What a reload would do. The Runtime API changes the running process only: a reload reads map files again and restores
//! the server state that was last dumped, if any. Nothing in the Runtime API tells which files are up to date, so the
//! files themselves are looked at where that is possible: on this machine, through a Unix socket.

use std::path::Path;

use super::{
    config::{Address, Route, Switch},
    socket::Session,
};

/// A shift's durability: what was found out, and what to do about it.
#[derive(Debug, PartialEq)]
pub(super) struct Caution {
    pub seen: String,
    pub advice: String,
}

/// `target` is the pool that is about to get everything, or has everything now. `None` when a reload would keep it.
pub(super) async fn caution(
    address: &Address,
    route: &Route,
    target: Option<&str>,
    session: &mut Session,
) -> Option<Caution> {
    match route {
        Route::Map(switch) => map(address, switch, target).await,
        Route::Weights(weights) => Some(weighted(&weights.backend, state_file(address, session).await)),
    }
}

async fn map(address: &Address, switch: &Switch, target: Option<&str>) -> Option<Caution> {
    let local = matches!(address, Address::Unix(_));
    let file = if local { tokio::fs::read_to_string(&switch.map).await.ok() } else { None };
    let target = target.and_then(|pool| switch.pools.get(pool));
    let said = file.as_deref().map(|text| in_file(text, &switch.key));
    let seen = match said {
        Some(Some(value)) if Some(value) == target.map(String::as_str) => return None,
        Some(Some(value)) => format!("a reload forgets it: {} says {value}", switch.map),
        Some(None) => format!("a reload forgets it: {} has no entry {}", switch.map, switch.key),
        None => format!("a reload or restart forgets it, unless {} says the same", switch.map),
    };
    let backend = target.map_or("the backend that serves", String::as_str);
    let advice = format!("after a shift, write \"{} {backend}\" into {} as well", switch.key, switch.map);
    Some(Caution { seen, advice })
}

/// A map file's first value for a key (configuration.txt, "map": one key and value a line, `#` begins a comment).
fn in_file<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().map(str::trim).filter(|line| !line.starts_with('#')).find_map(|line| {
        let (found, value) = line.split_once(char::is_whitespace)?;
        (found == key).then(|| value.trim())
    })
}

enum StateFile {
    /// The configuration could not be seen.
    Unseen,
    None,
    At(String),
}

async fn state_file(address: &Address, session: &mut Session) -> StateFile {
    if matches!(address, Address::Tcp(_)) {
        return StateFile::Unseen;
    }
    let answer = session.ask("show env HAPROXY_CFGFILES").await.unwrap_or_default();
    let Some(files) = answer.trim().strip_prefix("HAPROXY_CFGFILES=") else { return StateFile::Unseen };
    let mut text = String::new();
    for file in files.split(';') {
        if !Path::new(file).is_absolute() {
            return StateFile::Unseen;
        }
        match tokio::fs::read_to_string(file).await {
            Ok(part) => text.push_str(&format!("{part}\n")),
            Err(_) => return StateFile::Unseen,
        }
    }
    configured(&text).map_or(StateFile::None, StateFile::At)
}

/// The server state file that a configuration loads when it starts, as far as one can tell from its words.
fn configured(text: &str) -> Option<String> {
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let lines: Vec<_> = text.lines().map(words).collect();
    let value =
        |name: &str| lines.iter().find(|line| line.first().is_some_and(|word| word == name))?.get(1).cloned();
    let loaded = value("load-server-state-from-file").filter(|from| from != "none")?;
    let file = value("server-state-file");
    if loaded == "local" { Some("the backend's server-state-file".to_owned()) } else { file }
}

fn weighted(backend: &str, file: StateFile) -> Caution {
    let dump = "`show servers state` into the file named by `server-state-file`";
    match file {
        StateFile::At(file) => Caution {
            seen: format!("a reload restores the server state as last dumped to {file}, not as it is"),
            advice: format!(
                "after a shift, and before each reload, write the output of `show servers state` to {file}"
            ),
        },
        StateFile::None => Caution {
            seen: format!(
                "a reload forgets it: no server state file is loaded, {backend} gets its configured weights"
            ),
            advice: format!(
                "set `server-state-file` and `load-server-state-from-file global`, and dump {dump} before each \
                 reload; or change the weights in the configuration after a shift"
            ),
        },
        StateFile::Unseen => Caution {
            seen: "a reload may forget it: server state survives only if it is dumped and loaded".to_owned(),
            advice: format!(
                "dump {dump} after a shift and before each reload, or change the configured weights"
            ),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_file_is_read_as_haproxy_does() {
        let file = "# checkout no\n\ncheckout\tbe_blue \nother be_x\ncheckout be_green\n";
        assert_eq!(in_file(file, "checkout"), Some("be_blue"));
        assert_eq!(in_file(file, "check"), None);
    }

    #[test]
    fn a_state_file_counts_only_when_it_is_loaded() {
        let file = "global\n  server-state-file /var/lib/haproxy/state\ndefaults\n";
        assert_eq!(configured(file), None);
        let loaded = format!("{file}  load-server-state-from-file global\n");
        assert_eq!(configured(&loaded).as_deref(), Some("/var/lib/haproxy/state"));
        assert_eq!(configured(&format!("{file}  load-server-state-from-file none\n")), None);
    }
}
