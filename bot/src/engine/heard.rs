//! Alerts come by webhook and are heard in chat, and often both: in either order, one is the other's repetition. The webhook
//! knows an alert by its labels and always says when it is over; a message has a name, and may be the last word there is.
//! So what both tell is kept as the webhook's, and ends with it.

use lastgood_core::{At, Millis, ThreadId};

use super::{
    alerts::{Alert, as_fired},
    batch::{Batch, LastRun},
};
use crate::{
    service::Service,
    store::{Result, alerts::Fired, heard::Near},
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
    /// It goes on although the last run of its thread ended a while ago: somebody has to look again. `near` is what is known
    /// already, when this is another way of telling it.
    Again {
        thread: ThreadId,
        near: Option<Box<Near>>,
    },
}

pub(super) async fn known(batch: &mut Batch<'_>, alert: &Alert) -> Result<Known> {
    if alert.heard.is_some() {
        return by_message(batch, alert).await;
    }
    let known = batch.tx.alert(&batch.service.id, &alert.fingerprint, alert.starts_at).await?;
    if let Some(known) = known.filter(|known| known.firing) {
        return repetition(batch, alert, known.thread).await;
    }
    by_webhook(batch, alert).await
}

/// A webhook of what is known to fire.
async fn repetition(batch: &mut Batch<'_>, alert: &Alert, thread: Option<ThreadId>) -> Result<Known> {
    if let Some(thread) = thread
        && let Some(last) = batch.last_run(thread).await?
        && has_waited(batch, &last, batch.at)
    {
        if !last.rejected {
            return Ok(Known::Again { thread, near: None });
        }
        batch.remind(&last, &alert.title).await?;
    }
    batch.write_down(alert, thread).await?;
    Ok(Known::Repeated(thread))
}

async fn by_message(batch: &mut Batch<'_>, alert: &Alert) -> Result<Known> {
    let service = batch.service;
    let known = batch.tx.alert(&service.id, &alert.fingerprint, alert.starts_at).await?;
    // Platforms also tell when an old message is edited or gets a preview: what it says is no news.
    if known.is_some() || alert.starts_at < batch.at - service.alert_expires {
        return Ok(Known::Seen);
    }
    let near = batch.tx.alerts_near(&service.id, batch.at).await?;
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
        if let Some(thread) = known.thread.filter(|_| known.ended_at.is_none())
            && !alert.ignore
            && let Some(last) = batch.last_run(thread).await?
            && begins_anew(batch, known, alert, &last)
        {
            if known.heard.is_some() && !last.rejected {
                let ended_at = alert.starts_at.min(batch.at);
                batch.tx.alert_ended(&service.id, &known.fingerprint, known.starts_at, ended_at).await?;
                continue;
            }
            if !last.rejected {
                batch.tx.alert_same(&as_fired(service, alert, Some(thread)), batch.at).await?;
                return Ok(Known::Again { thread, near: Some(Box::new(known.clone())) });
            }
            batch.remind(&last, &alert.title).await?;
        }
        batch.tx.alert_same(&as_fired(service, alert, known.thread), batch.at).await?;
        if known.ended_at.is_some() {
            return Ok(Known::Seen);
        }
        batch.fired(&once_more(service, known)).await?;
        return Ok(Known::Repeated(known.thread));
    }
    Ok(Known::New)
}

async fn by_webhook(batch: &mut Batch<'_>, alert: &Alert) -> Result<Known> {
    let service = batch.service;
    let heard = heard(batch).await?;
    let mut thread = None;
    for heard in heard.iter().filter(|heard| alike(heard, alert)) {
        let Some(told_in) = heard.thread else { continue };
        let last = batch.last_run(told_in).await?;
        let newer = last.is_some_and(|last| begins_anew(batch, heard, alert, &last));
        if alert.starts_at > heard.last_at + SKEW || newer {
            // What was heard is an older one, of whose end nobody told.
            let ended_at = alert.starts_at.min(batch.at);
            batch.tx.alert_ended(&service.id, &heard.fingerprint, heard.starts_at, ended_at).await?;
            continue;
        }
        batch.tx.alert_same(&once_more(service, heard), batch.at).await?;
        thread = heard.thread;
    }
    match thread {
        None => Ok(Known::New),
        thread => repetition(batch, alert, thread).await,
    }
}

/// What was heard in chat and is not over. Looked up once for all alerts of a batch, as long as there is none.
async fn heard(batch: &mut Batch<'_>) -> Result<Vec<Near>> {
    if batch.nothing_heard {
        return Ok(Vec::new());
    }
    let heard = batch.tx.alerts_heard(&batch.service.id).await?;
    batch.nothing_heard = heard.is_empty();
    Ok(heard)
}

/// Whether a firing alert that is told at this time was left alone long enough after its run's end.
fn has_waited(batch: &Batch<'_>, last: &LastRun, told_at: At) -> bool {
    told_at > last.ended_at.saturating_add(batch.service.again_after)
}

/// As [`has_waited`]; but a message tells neither which alert of its name it means nor, often, when that is over: after a run
/// that found the service well again, the next one is another alert.
fn begins_anew(batch: &Batch<'_>, known: &Near, alert: &Alert, last: &LastRun) -> bool {
    let another = known.heard.is_some() && last.recovered && alert.starts_at > last.ended_at;
    another || has_waited(batch, last, alert.starts_at)
}

/// Ends what else is over when this alert is: the same one, heard from somebody who may never say so. A message never ends
/// what came by webhook: of several alerts with one name it can't tell which it means. Returns how many ended.
pub(super) async fn over(batch: &mut Batch<'_>, alert: &Alert, ended_at: At) -> Result<u64> {
    let service = batch.service;
    let mut ended = 0;
    for near in heard(batch).await? {
        let other = near.heard != alert.heard;
        if other && near.starts_at <= ended_at + SKEW && alike(&near, alert) {
            let done = batch.tx.alert_ended(&service.id, &near.fingerprint, near.starts_at, ended_at).await?;
            ended += if near.thread.is_some() { done } else { 0 };
        }
    }
    if alert.heard.is_some() {
        let known = batch.tx.alert(&service.id, &alert.fingerprint, alert.starts_at).await?;
        if known.is_none() {
            // An older revision of this message may still be on its way.
            batch.tx.alert_same(&as_fired(service, alert, None), batch.at).await?;
        }
    }
    Ok(ended)
}

pub(super) fn once_more<'a>(service: &'a Service, near: &'a Near) -> Fired<'a> {
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
