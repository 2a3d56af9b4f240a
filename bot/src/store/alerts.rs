//! Threads and the alerts that belong to them.

use lastgood_core::{At, Millis, ServiceId, ThreadId};

use super::{Pool, Result, Tx, clean};

/// Alerts of a service join its last thread for this long after the thread's end.
pub const JOINS_WITHIN: Millis = 30 * 60_000;

/// What a stored alert is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub thread: Option<ThreadId>,
    pub firing: bool,
}

/// A firing alert, to be written down.
#[derive(Debug, Clone, Copy)]
pub struct Fired<'a> {
    pub service: &'a ServiceId,
    pub fingerprint: &'a str,
    pub starts_at: At,
    pub title: &'a str,
    pub thread: Option<ThreadId>,
    /// Who told it in a chat room; none by webhook.
    pub heard: Option<&'a str>,
    pub names: &'a [String],
}

/// A conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Thread {
    pub id: ThreadId,
    pub service: ServiceId,
    pub opened_at: At,
    /// How often its alerts came.
    pub alerts: i64,
    /// Name and text, as the alert's sender gave them.
    pub annotations: Vec<(String, String)>,
}

/// # Errors
/// As the database says.
pub async fn thread(db: &Pool, id: ThreadId) -> Result<Option<Thread>> {
    let sql = "SELECT service, opened_at, alerts, annotations FROM threads WHERE id = $1";
    let row: Option<(String, i64, i64, String)> = sqlx::query_as(sql).bind(id.0).fetch_optional(db).await?;
    Ok(row.map(|(service, opened_at, alerts, annotations)| Thread {
        id,
        service: ServiceId(service),
        opened_at,
        alerts,
        annotations: serde_json::from_str(&annotations).unwrap_or_default(),
    }))
}

/// When alerts of a service were firing, since a time: noise for the soak. One that was last told before `silent_before` fired
/// until then, as far as anybody knows; one that is to be ignored is no noise.
///
/// # Errors
/// As the database says.
pub async fn firing_times(
    db: &Pool,
    service: &ServiceId,
    since: At,
    silent_before: At,
) -> Result<Vec<(At, Option<At>)>> {
    let sql = "SELECT starts_at, CASE WHEN ended_at IS NULL AND last_at < $3 THEN last_at ELSE ended_at END \
               FROM alerts WHERE service = $1 AND status <> 'same' AND thread IS NOT NULL \
               AND (ended_at IS NULL OR ended_at >= $2)";
    Ok(sqlx::query_as(sql).bind(service.0.clone()).bind(since).bind(silent_before).fetch_all(db).await?)
}

/// Services for which an alert first arrived since a time. Those that are to be ignored don't count.
///
/// # Errors
/// As the database says.
pub async fn alerting_since(db: &Pool, since: At) -> Result<Vec<ServiceId>> {
    let sql = "SELECT DISTINCT service FROM alerts WHERE received_at >= $1 AND status = 'firing' AND thread IS NOT NULL";
    let rows: Vec<(String,)> = sqlx::query_as(sql).bind(since).fetch_all(db).await?;
    let mut services: Vec<_> = rows.into_iter().map(|(service,)| ServiceId(service)).collect();
    services.sort();
    Ok(services)
}

/// How an alert that was not told to be over stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    Firing,
    /// Nobody tells any more that it fires, nor that it is over.
    Silent,
    Ignored,
}

impl Condition {
    pub fn word(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Silent => "silent",
            Self::Ignored => "ignored",
        }
    }
}

/// An alert as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub fingerprint: String,
    pub title: String,
    pub starts_at: At,
    pub last_at: At,
    /// How often it was told.
    pub count: i64,
    pub condition: Condition,
}

type ListedRow = (String, String, i64, i64, i64, Option<i64>, String);

/// At most `limit` alerts of a service that fire, and as many that fell silent since a time; the newest word first. What was
/// last told before `silent_before` is silent.
///
/// # Errors
/// As the database says.
pub async fn listed(
    db: &Pool,
    service: &ServiceId,
    silent_before: At,
    silent_since: At,
    limit: i64,
) -> Result<Vec<Listed>> {
    let columns = "SELECT fingerprint, title, starts_at, last_at, count, thread, status FROM alerts";
    let order = "ORDER BY last_at DESC, fingerprint LIMIT $3";
    let open = format!(
        "{columns} WHERE service = $1 AND ended_at IS NULL AND status = 'firing' AND last_at >= $2 {order}"
    );
    let silent = format!("{columns} WHERE service = $1 AND status = 'silent' AND last_at >= $2 {order}");
    let mut rows: Vec<ListedRow> = Vec::new();
    for (sql, since) in [(open, At::MIN), (silent, silent_since)] {
        let query = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(service.0.clone()).bind(since).bind(limit);
        rows.extend(query.fetch_all(db).await?);
    }
    let of = |(fingerprint, title, starts_at, last_at, count, thread, status): ListedRow| Listed {
        condition: match (thread, status.as_str()) {
            (None, _) => Condition::Ignored,
            (_, "silent") => Condition::Silent,
            _ if last_at < silent_before => Condition::Silent,
            _ => Condition::Firing,
        },
        fingerprint,
        title,
        starts_at,
        last_at,
        count,
    };
    Ok(rows.into_iter().map(of).collect())
}

/// An alert that was not told to be over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    pub fingerprint: String,
    pub starts_at: At,
    pub title: String,
    pub names: Vec<String>,
    pub thread: Option<ThreadId>,
}

type OpenRow = (String, i64, String, String, Option<i64>);

/// When the alerts of a thread that still fire first arrived.
///
/// # Errors
/// As the database says.
pub async fn firing_in(db: &Pool, thread: ThreadId) -> Result<Vec<At>> {
    let sql = "SELECT DISTINCT received_at FROM alerts WHERE thread = $1 AND status = 'firing' \
               ORDER BY received_at DESC LIMIT 100";
    let rows: Vec<(At,)> = sqlx::query_as(sql).bind(thread.0).fetch_all(db).await?;
    Ok(rows.into_iter().map(|(at,)| at).collect())
}

/// Services whose alerts first arrived in a span of time and still fire, each with when. Not those that are to be ignored.
///
/// # Errors
/// As the database says.
pub async fn firing_between(db: &Pool, from: At, to: At) -> Result<Vec<(ServiceId, At)>> {
    let sql = "SELECT DISTINCT service, received_at FROM alerts \
               WHERE received_at >= $1 AND received_at <= $2 AND status = 'firing' AND thread IS NOT NULL";
    let rows: Vec<(String, At)> = sqlx::query_as(sql).bind(from).bind(to).fetch_all(db).await?;
    Ok(rows.into_iter().map(|(service, at)| (ServiceId(service), at)).collect())
}

impl Tx {
    /// Alerts of a service that fire, or fell silent.
    ///
    /// # Errors
    /// As the database says.
    pub async fn open_alerts(&mut self, service: &ServiceId) -> Result<Vec<Open>> {
        let sql = "SELECT fingerprint, starts_at, title, names, thread FROM alerts WHERE service = $1 \
                   AND status IN ('firing', 'silent') ORDER BY starts_at, fingerprint";
        let rows: Vec<OpenRow> = sqlx::query_as(sql).bind(service.0.clone()).fetch_all(self.conn()).await?;
        let of = |(fingerprint, starts_at, title, names, thread): OpenRow| Open {
            fingerprint,
            starts_at,
            title,
            names: serde_json::from_str(&names).unwrap_or_default(),
            thread: thread.map(ThreadId),
        };
        Ok(rows.into_iter().map(of).collect())
    }

    /// Ends one of them; a silent one has been over since it was told last.
    ///
    /// # Errors
    /// As the database says.
    pub async fn end_open_alert(&mut self, service: &ServiceId, open: &Open, at: At) -> Result<()> {
        let sql = "UPDATE alerts SET status = 'resolved', ended_at = COALESCE(ended_at, $4) WHERE service = $1 \
                   AND fingerprint = $2 AND starts_at = $3 AND status IN ('firing', 'silent')";
        sqlx::query(sql)
            .bind(service.0.clone())
            .bind(open.fingerprint.clone())
            .bind(open.starts_at)
            .bind(at)
            .execute(self.conn())
            .await?;
        Ok(())
    }

    /// # Errors
    /// As the database says.
    pub async fn alert(
        &mut self,
        service: &ServiceId,
        fingerprint: &str,
        starts_at: At,
    ) -> Result<Option<Known>> {
        let sql =
            "SELECT thread, status FROM alerts WHERE service = $1 AND fingerprint = $2 AND starts_at = $3";
        let row: Option<(Option<i64>, String)> = sqlx::query_as(sql)
            .bind(service.0.clone())
            .bind(clean(fingerprint))
            .bind(starts_at)
            .fetch_optional(self.conn())
            .await?;
        Ok(row.map(|(thread, status)| Known { thread: thread.map(ThreadId), firing: status == "firing" }))
    }

    /// Writes a firing alert down, or counts its repetition. One that was over begins again, as its sender says: it has been
    /// firing from its beginning.
    ///
    /// # Errors
    /// As the database says.
    pub async fn alert_fired(&mut self, fired: &Fired<'_>, now: At) -> Result<()> {
        let sql = "INSERT INTO alerts (service, fingerprint, starts_at, thread, title, status, received_at, last_at, \
                   count, heard, names) VALUES ($1, $2, $3, $4, $5, 'firing', $6, $6, 1, $7, $8) \
                   ON CONFLICT (service, fingerprint, starts_at) DO UPDATE SET \
                   received_at = CASE WHEN alerts.status = 'firing' THEN alerts.received_at ELSE excluded.received_at END, \
                   thread = excluded.thread, last_at = excluded.last_at, count = alerts.count + 1, status = 'firing', \
                   ended_at = NULL";
        sqlx::query(sql)
            .bind(fired.service.0.clone())
            .bind(clean(fired.fingerprint))
            .bind(fired.starts_at)
            .bind(fired.thread.map(|t| t.0))
            .bind(clean(fired.title))
            .bind(now)
            .bind(fired.heard.unwrap_or_default().to_owned())
            .bind(clean(&serde_json::to_string(fired.names).unwrap_or_else(|_| "[]".into())))
            .execute(self.conn())
            .await?;
        Ok(())
    }

    /// Counts how often alerts of a thread came.
    ///
    /// # Errors
    /// As the database says.
    pub async fn count_alerts(&mut self, thread: ThreadId, more: i64) -> Result<()> {
        let sql = "UPDATE threads SET alerts = alerts + $2 WHERE id = $1";
        sqlx::query(sql).bind(thread.0).bind(more).execute(self.conn()).await?;
        Ok(())
    }

    /// Ends every alert with this fingerprint that fires or fell silent. Returns how many of them a thread was told of.
    ///
    /// # Errors
    /// As the database says.
    pub async fn alert_resolved(
        &mut self,
        service: &ServiceId,
        fingerprint: &str,
        ended_at: At,
    ) -> Result<u64> {
        let sql = "UPDATE alerts SET status = 'resolved', ended_at = $3 \
                   WHERE service = $1 AND fingerprint = $2 AND status IN ('firing', 'silent') RETURNING thread";
        let ended: Vec<(Option<i64>,)> = sqlx::query_as(sql)
            .bind(service.0.clone())
            .bind(clean(fingerprint))
            .bind(ended_at)
            .fetch_all(self.conn())
            .await?;
        Ok(ended.iter().filter(|(thread,)| thread.is_some()).count() as u64)
    }

    /// Whether an alert of the service fires, those left out that are to be ignored.
    ///
    /// # Errors
    /// As the database says.
    pub async fn any_firing(&mut self, service: &ServiceId) -> Result<bool> {
        let sql = "SELECT COUNT(*) FROM (SELECT 1 FROM alerts WHERE service = $1 AND ended_at IS NULL \
                   AND status = 'firing' AND thread IS NOT NULL LIMIT 1) AS found";
        let found: i64 = sqlx::query_scalar(sql).bind(service.0.clone()).fetch_one(self.conn()).await?;
        Ok(found > 0)
    }

    /// The service's thread that takes more: open, or ended a short while ago.
    ///
    /// # Errors
    /// As the database says.
    pub async fn open_thread(&mut self, service: &ServiceId, now: At) -> Result<Option<ThreadId>> {
        let sql = "SELECT id FROM threads WHERE service = $1 AND (ended_at IS NULL OR ended_at > $2) \
                   ORDER BY CASE WHEN ended_at IS NULL THEN 0 ELSE 1 END, ended_at DESC, id DESC LIMIT 1";
        let id: Option<i64> = sqlx::query_scalar(sql)
            .bind(service.0.clone())
            .bind(now - JOINS_WITHIN)
            .fetch_optional(self.conn())
            .await?;
        Ok(id.map(ThreadId))
    }

    /// # Errors
    /// As the database says.
    pub async fn new_thread(
        &mut self,
        service: &ServiceId,
        annotations: &[(String, String)],
        now: At,
    ) -> Result<ThreadId> {
        let id = self.number("thread").await?;
        let annotations = serde_json::to_string(annotations).unwrap_or_else(|_| "[]".into());
        let sql =
            "INSERT INTO threads (id, service, opened_at, alerts, annotations) VALUES ($1, $2, $3, 0, $4)";
        sqlx::query(sql)
            .bind(id)
            .bind(service.0.clone())
            .bind(now)
            .bind(clean(&annotations))
            .execute(self.conn())
            .await?;
        Ok(ThreadId(id))
    }

    /// Notes when a thread's run ended (or that one began again).
    ///
    /// # Errors
    /// As the database says.
    pub async fn thread_ended(&mut self, thread: ThreadId, at: Option<At>) -> Result<()> {
        let sql = "UPDATE threads SET ended_at = $2 WHERE id = $1";
        sqlx::query(sql).bind(thread.0).bind(at).execute(self.conn()).await?;
        Ok(())
    }
}
