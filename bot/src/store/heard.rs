//! Alerts that were heard in chat, beside those that came by webhook: which of them are the same, and when nobody says any
//! more that they fire.

use lastgood_core::{At, ServiceId, ThreadId};

use super::{
    Result, Tx,
    alerts::{Fired, JOINS_WITHIN},
    clean,
};

/// An alert of a service that fires, or did until a short while ago.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Near {
    pub fingerprint: String,
    pub starts_at: At,
    pub thread: Option<ThreadId>,
    pub title: String,
    /// None while it fires.
    pub ended_at: Option<At>,
    pub last_at: At,
    /// Who told it in chat; none by webhook.
    pub heard: Option<String>,
    pub names: Vec<String>,
}

type Row = (String, i64, Option<i64>, String, Option<i64>, i64, String, String);

const ROW: &str = "SELECT fingerprint, starts_at, thread, title, ended_at, last_at, heard, names FROM alerts";
const ORDER: &str = "ORDER BY starts_at, fingerprint";

fn decode((fingerprint, starts_at, thread, title, ended_at, last_at, heard, names): Row) -> Near {
    Near {
        fingerprint,
        starts_at,
        thread: thread.map(ThreadId),
        title,
        ended_at,
        last_at,
        heard: Some(heard).filter(|heard| !heard.is_empty()),
        names: serde_json::from_str(&names).unwrap_or_default(),
    }
}

impl Tx {
    /// Alerts near a time, the oldest first. Messages that only repeat another alert are not among them.
    ///
    /// # Errors
    /// As the database says.
    pub async fn alerts_near(&mut self, service: &ServiceId, now: At) -> Result<Vec<Near>> {
        let sql = format!(
            "{ROW} WHERE service = $1 AND status <> 'same' AND (ended_at IS NULL OR ended_at >= $2) {ORDER}"
        );
        let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(service.0.clone())
            .bind(now - JOINS_WITHIN)
            .fetch_all(self.conn())
            .await?;
        Ok(rows.into_iter().map(decode).collect())
    }

    /// Alerts that were heard in chat and are not over, the oldest first.
    ///
    /// # Errors
    /// As the database says.
    pub async fn alerts_heard(&mut self, service: &ServiceId) -> Result<Vec<Near>> {
        let sql = format!("{ROW} WHERE service = $1 AND heard <> '' AND ended_at IS NULL {ORDER}");
        let rows: Vec<Row> =
            sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(service.0.clone()).fetch_all(self.conn()).await?;
        Ok(rows.into_iter().map(decode).collect())
    }

    /// A message that tells nothing new is remembered: delivered again or edited, it still tells nothing new.
    ///
    /// # Errors
    /// As the database says.
    pub async fn alert_same(&mut self, fired: &Fired<'_>, now: At) -> Result<()> {
        let sql = "INSERT INTO alerts (service, fingerprint, starts_at, thread, title, status, received_at, last_at, \
                   ended_at, count, heard, names) VALUES ($1, $2, $3, $4, $5, 'same', $6, $6, $6, 1, $7, '[]') \
                   ON CONFLICT (service, fingerprint, starts_at) DO UPDATE SET \
                   status = 'same', ended_at = excluded.ended_at";
        sqlx::query(sql)
            .bind(fired.service.0.clone())
            .bind(clean(fired.fingerprint))
            .bind(fired.starts_at)
            .bind(fired.thread.map(|t| t.0))
            .bind(clean(fired.title))
            .bind(now)
            .bind(fired.heard.unwrap_or_default().to_owned())
            .execute(self.conn())
            .await?;
        Ok(())
    }

    /// Ends one firing alert.
    ///
    /// # Errors
    /// As the database says.
    pub async fn alert_ended(
        &mut self,
        service: &ServiceId,
        fingerprint: &str,
        starts_at: At,
        ended_at: At,
    ) -> Result<u64> {
        let sql = "UPDATE alerts SET status = 'resolved', ended_at = $4 \
                   WHERE service = $1 AND fingerprint = $2 AND starts_at = $3 AND status = 'firing'";
        let ended = sqlx::query(sql)
            .bind(service.0.clone())
            .bind(clean(fingerprint))
            .bind(starts_at)
            .bind(ended_at)
            .execute(self.conn())
            .await?;
        Ok(ended.rows_affected())
    }

    /// What was last told before a time is silent, and counts as over since it was told last: many senders never say that an
    /// alert is resolved, and none does of one that was silenced.
    ///
    /// # Errors
    /// As the database says.
    pub async fn fall_silent(&mut self, service: &ServiceId, before: At) -> Result<()> {
        let sql = "UPDATE alerts SET status = 'silent', ended_at = last_at \
                   WHERE service = $1 AND status = 'firing' AND ended_at IS NULL AND last_at < $2";
        sqlx::query(sql).bind(service.0.clone()).bind(before).execute(self.conn()).await?;
        Ok(())
    }

    /// When a thread's run ended; none while one is under way.
    ///
    /// # Errors
    /// As the database says.
    pub async fn thread_end(&mut self, thread: ThreadId) -> Result<Option<At>> {
        let sql = "SELECT ended_at FROM threads WHERE id = $1";
        let end: Option<Option<i64>> =
            sqlx::query_scalar(sql).bind(thread.0).fetch_optional(self.conn()).await?;
        Ok(end.flatten())
    }
}
