//! Alerts come by webhook and are heard in chat, and often both: in either order, one is the other's repetition. The webhook
//! knows an alert by its labels and always says when it is over; a message has a name, and may be the last word there is.
//! So what both tell is kept as the webhook's, and ends with it.

use lastgood_core::{
    At, Millis, ThreadId,
    rollback::{End, Phase},
};

use super::alerts::{Alert, as_fired, write_down};
use crate::{
    service::Service,
    store::{
        Result, Tx,
        alerts::{Fired, JOINS_WITHIN},
        heard::{LASTS, Near},
    },
};

/// How far the clocks of senders, platforms and this machine may be apart.
const SKEW: Millis = 120_000;

/// What a firing alert is, beside those that are there.
pub(super) enum Known {
    New,
    /// The same message again: nothing changes.
    Seen,
    /// It counts as once more of what is in this thread, or of what was ignored.
    Repeated(Option<ThreadId>),
}

pub(super) async fn known(tx: &mut Tx, service: &Service, alert: &Alert, at: At) -> Result<Known> {
    tx.silence_ends(&service.id, at).await?;
    if alert.heard.is_some() {
        return by_message(tx, service, alert, at).await;
    }
    let known = tx.alert(&service.id, &alert.fingerprint, alert.starts_at).await?;
    if let Some(known) = known.filter(|known| known.firing) {
        write_down(tx, service, alert, known.thread, at).await?;
        return Ok(Known::Repeated(known.thread));
    }
    by_webhook(tx, service, alert, at).await
}

async fn by_message(tx: &mut Tx, service: &Service, alert: &Alert, at: At) -> Result<Known> {
    let known = tx.alert(&service.id, &alert.fingerprint, alert.starts_at).await?;
    // Platforms also tell when an old message is edited or gets a preview: what it says is no news.
    if known.is_some() || alert.starts_at < at - LASTS {
        return Ok(Known::Seen);
    }
    let near = tx.alerts_near(&service.id, at).await?;
    let same = |near: &&Near| match near.heard == alert.heard {
        true => near.ended_at.is_none() && near.fingerprint == alert.fingerprint,
        // Also one that is over: the message was on its way longer than the webhook.
        false => {
            let while_it_fired = near.starts_at - SKEW <= alert.starts_at
                && near.ended_at.is_none_or(|ended| alert.starts_at <= ended);
            while_it_fired && alike(near, alert)
        }
    };
    // Its own first, then the webhook's, whose end is certain.
    let mut found: Vec<_> = near.iter().filter(same).collect();
    found.sort_by_key(|near| (near.heard != alert.heard, near.heard.is_some()));
    for known in found {
        if known.heard.is_some() && known.ended_at.is_none() && begins_anew(tx, known, alert).await? {
            tx.alert_ended(&service.id, &known.fingerprint, known.starts_at, alert.starts_at.min(at)).await?;
            continue;
        }
        tx.alert_same(&as_fired(service, alert, known.thread), at).await?;
        if known.ended_at.is_some() {
            return Ok(Known::Seen);
        }
        tx.alert_fired(&once_more(service, known), at).await?;
        return Ok(Known::Repeated(known.thread));
    }
    Ok(Known::New)
}

async fn by_webhook(tx: &mut Tx, service: &Service, alert: &Alert, at: At) -> Result<Known> {
    let near = tx.alerts_near(&service.id, at).await?;
    let heard =
        near.iter().filter(|near| near.heard.is_some() && near.ended_at.is_none() && alike(near, alert));
    let mut thread = None;
    for heard in heard {
        if heard.thread.is_none() {
            continue;
        }
        if alert.starts_at > heard.last_at + SKEW || begins_anew(tx, heard, alert).await? {
            // What was heard is an older one, of whose end nobody told.
            tx.alert_ended(&service.id, &heard.fingerprint, heard.starts_at, alert.starts_at.min(at)).await?;
            continue;
        }
        tx.alert_same(&once_more(service, heard), at).await?;
        thread = heard.thread;
    }
    if thread.is_none() {
        return Ok(Known::New);
    }
    write_down(tx, service, alert, thread, at).await?;
    Ok(Known::Repeated(thread))
}

/// A firing alert that is told again after its run ended: at once when that run found the service well again, else when
/// nothing joins its thread any more. Whoever never says "resolved" would otherwise be heard once and never again.
async fn begins_anew(tx: &mut Tx, known: &Near, alert: &Alert) -> Result<bool> {
    let Some(thread) = known.thread else { return Ok(false) };
    let Some(end) = tx.thread_end(thread).await? else { return Ok(false) };
    let newest = tx.newest_rollback_in(thread).await?;
    let recovered =
        newest.is_some_and(|newest| matches!(newest.state.phase, Phase::Ended { end: End::Recovered }));
    Ok(alert.starts_at > if recovered { end } else { end + JOINS_WITHIN })
}

/// Ends what else is over when this alert is: the same one, heard from somebody who may never say so. A message never ends
/// what came by webhook: of several alerts with one name it can't tell which it means. Returns how many ended.
pub(super) async fn over(tx: &mut Tx, service: &Service, alert: &Alert, ended_at: At, at: At) -> Result<u64> {
    tx.silence_ends(&service.id, at).await?;
    let mut ended = 0;
    for near in tx.alerts_near(&service.id, at).await? {
        let other = near.heard.is_some() && near.heard != alert.heard && near.ended_at.is_none();
        if other && near.starts_at <= ended_at + SKEW && alike(&near, alert) {
            ended += tx.alert_ended(&service.id, &near.fingerprint, near.starts_at, ended_at).await?;
        }
    }
    let known = tx.alert(&service.id, &alert.fingerprint, alert.starts_at).await?;
    if alert.heard.is_some() && known.is_none() {
        // An older revision of this message may still be on its way.
        tx.alert_same(&as_fired(service, alert, None), at).await?;
    }
    Ok(ended)
}

fn once_more<'a>(service: &'a Service, near: &'a Near) -> Fired<'a> {
    Fired {
        service: &service.id,
        fingerprint: &near.fingerprint,
        starts_at: near.starts_at,
        title: &near.title,
        thread: near.thread,
        heard: near.heard.as_deref(),
        names: &near.names,
    }
}

/// Whether two ways of telling an alert call it the same. A message has the alert's name in front of other labels' values,
/// without telling where it ends.
fn alike(near: &Near, alert: &Alert) -> bool {
    let plain = |name: &String| name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let one: Vec<_> = near.names.iter().map(plain).filter(|name| !name.is_empty()).collect();
    let other: Vec<_> = alert.names.iter().map(plain).filter(|name| !name.is_empty()).collect();
    let begins = |long: &[String], short: &[String]| {
        let begins = |long: &String, short: &String| {
            long.strip_prefix(short.as_str()).is_some_and(|rest| rest.starts_with(' '))
        };
        long.iter().any(|long| short.iter().any(|short| begins(long, short)))
    };
    one.iter().any(|name| other.contains(name))
        || match (&near.heard, &alert.heard) {
            (Some(_), None) => begins(&one, &other),
            (None, Some(_)) => begins(&other, &one),
            _ => false,
        }
}
