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

/// When alerts of a service were firing, since a time: noise for the soak. One that was heard in chat ends, if nobody says
/// so, a while after it was heard last.
///
/// # Errors
/// As the database says.
pub async fn firing_times(db: &Pool, service: &ServiceId, since: At) -> Result<Vec<(At, Option<At>)>> {
    let sql = "SELECT starts_at, CASE WHEN ended_at IS NULL AND heard <> '' THEN last_at + $3 ELSE ended_at END \
               FROM alerts WHERE service = $1 AND status <> 'same' AND (ended_at IS NULL OR ended_at >= $2)";
    Ok(sqlx::query_as(sql)
        .bind(service.0.clone())
        .bind(since)
        .bind(super::heard::LASTS)
        .fetch_all(db)
        .await?)
}

/// Services for which an alert first arrived since a time.
///
/// # Errors
/// As the database says.
pub async fn alerting_since(db: &Pool, since: At) -> Result<Vec<ServiceId>> {
    let sql = "SELECT DISTINCT service FROM alerts WHERE received_at >= $1 AND status = 'firing'";
    let rows: Vec<(String,)> = sqlx::query_as(sql).bind(since).fetch_all(db).await?;
    let mut services: Vec<_> = rows.into_iter().map(|(service,)| ServiceId(service)).collect();
    services.sort();
    Ok(services)
}

impl Tx {
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

    /// Writes a firing alert down, or counts its repetition.
    ///
    /// # Errors
    /// As the database says.
    pub async fn alert_fired(&mut self, fired: &Fired<'_>, now: At) -> Result<()> {
        let sql = "INSERT INTO alerts (service, fingerprint, starts_at, thread, title, status, received_at, last_at, \
                   count, heard, names) VALUES ($1, $2, $3, $4, $5, 'firing', $6, $6, 1, $7, $8) \
                   ON CONFLICT (service, fingerprint, starts_at) DO UPDATE SET \
                   last_at = excluded.last_at, count = alerts.count + 1, status = 'firing', ended_at = NULL";
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
        if let Some(thread) = fired.thread {
            let sql = "UPDATE threads SET alerts = alerts + 1 WHERE id = $1";
            sqlx::query(sql).bind(thread.0).execute(self.conn()).await?;
        }
        Ok(())
    }

    /// Ends every firing alert with this fingerprint. Returns how many still fire for the service.
    ///
    /// # Errors
    /// As the database says.
    pub async fn alert_resolved(
        &mut self,
        service: &ServiceId,
        fingerprint: &str,
        ended_at: At,
    ) -> Result<(u64, i64)> {
        let sql = "UPDATE alerts SET status = 'resolved', ended_at = $3 \
                   WHERE service = $1 AND fingerprint = $2 AND status = 'firing'";
        let ended = sqlx::query(sql)
            .bind(service.0.clone())
            .bind(clean(fingerprint))
            .bind(ended_at)
            .execute(self.conn())
            .await?
            .rows_affected();
        let sql =
            "SELECT COUNT(*) FROM alerts WHERE service = $1 AND status = 'firing' AND thread IS NOT NULL";
        let firing: i64 = sqlx::query_scalar(sql).bind(service.0.clone()).fetch_one(self.conn()).await?;
        Ok((ended, firing))
    }

    /// The service's thread that takes more: open, or ended a short while ago.
    ///
    /// # Errors
    /// As the database says.
    pub async fn open_thread(&mut self, service: &ServiceId, now: At) -> Result<Option<ThreadId>> {
        let sql = "SELECT id FROM threads WHERE service = $1 AND (ended_at IS NULL OR ended_at > $2) \
                   ORDER BY id DESC LIMIT 1";
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
