//! The lines of `lastgood check` about HAProxy.

use futures_util::future::join_all;
use tokio::time::Instant;

use super::{
    config::{Address, Route},
    instance,
    keep::Keep,
    persist,
    reading::Reading,
    socket::Session,
};
use crate::{Check, Fault};

pub(super) async fn lines(
    instances: &[Address],
    route: &Route,
    keep: Option<&Keep>,
    deadline: Instant,
) -> Vec<Check> {
    let each = join_all(instances.iter().map(|address| of(address, route, keep, deadline))).await;
    each.into_iter().flatten().collect()
}

async fn of(address: &Address, route: &Route, keep: Option<&Keep>, deadline: Instant) -> Vec<Check> {
    let what = format!("haproxy {address}");
    let readings = match instance::survey(address, route, true, deadline).await {
        Ok(readings) => readings,
        Err(fault) => return vec![Check::bad(what, fault.to_string(), remedy(&fault))],
    };
    let mut lines = Vec::new();
    if let [reading, _, ..] = readings.as_slice() {
        lines.push(Check::warning(
            format!("{what}: processes"),
            format!("{} processes answer, one of them {}", readings.len(), reading.process),
            "end the older one: a command reaches either",
        ));
    }
    for reading in &readings {
        lines
            .push(Check::good(what.clone(), format!("HAProxy {}, level {}", reading.version, reading.level)));
        lines.extend(details(&what, route, reading));
    }
    let shares = readings.first().map(|reading| reading.shares(route)).unwrap_or_default();
    let serving = shares.iter().find(|(_, share)| **share == 100).map(|(pool, _)| pool.as_str());
    if let Some(keep) = keep {
        let what = format!("{what}: reload");
        lines.push(match keep.doubt(address, route, deadline).await {
            None => Check::good(what, "keeps the routing as it is"),
            Some(doubt) => {
                let advice = "let lastgood write what `persist` names; the next shift writes it anew";
                Check::warning(what, doubt, advice)
            }
        });
    } else if let Ok(mut session) = Session::open(address, deadline).await
        && let Some(caution) = persist::caution(address, route, serving, &mut session).await
    {
        lines.push(Check::warning(format!("{what}: reload"), caution.seen, caution.advice));
    }
    lines
}

fn details(what: &str, route: &Route, reading: &Reading) -> Vec<Check> {
    let mut lines = Vec::new();
    if matches!(route, Route::Weights(_)) && reading.level != "admin" {
        lines.push(Check::bad(
            format!("{what}: permission"),
            format!("level {}: weights can be read but not set", reading.level),
            "use a socket with `level admin`",
        ));
    }
    for (pool, found) in &reading.pools {
        let usable = reading.usable(route, pool);
        let what = format!("{what}: pool {pool}");
        if !found.missing.is_empty() {
            let names = found.missing.join(", ");
            lines.push(Check::bad(what, format!("HAProxy has no {names}"), "correct the name here or there"));
        } else if usable == 0 {
            let seen = format!("none of {} servers can serve", found.servers.len());
            lines.push(Check::warning(what, seen, "a rollback to this pool would be refused"));
        } else if found.servers.iter().any(|server| !server.checked) {
            let seen = format!("{usable} of {} servers can serve, as far as is known", found.servers.len());
            lines.push(Check::warning(
                what,
                seen,
                "add `check` to its servers, so that a dead one is noticed",
            ));
        } else {
            lines.push(Check::good(what, format!("{usable} of {} servers can serve", found.servers.len())));
        }
    }
    if let (Route::Map(switch), None) = (route, reading.entry.first()) {
        let seen = format!("{} has no entry {}", switch.map, switch.key);
        lines.push(Check::warning(
            format!("{what}: map"),
            seen,
            "add it: until then nobody knows which pool serves",
        ));
    }
    lines
}

fn remedy(fault: &Fault) -> &'static str {
    match fault {
        Fault::Denied(_) => {
            "let lastgood's user write to the socket (stats socket … user or group, mode 660)"
        }
        Fault::NotFound(_) => "name the map and the backend exactly as HAProxy's configuration does",
        Fault::Unavailable(_) => "see that HAProxy runs and has `stats socket` there",
        _ => "see that a Runtime API answers there",
    }
}
