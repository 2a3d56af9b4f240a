//! Incidents: opened by a rollback, closed by a root cause.

use lastgood_core::{At, IncidentId, RollbackId, ServiceId, ThreadId};

use super::{Pool, Result, Tx, clean};

#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    pub id: IncidentId,
    pub service: ServiceId,
    pub thread: ThreadId,
    /// The rollback that opened it.
    pub rollback: RollbackId,
    pub opened_at: At,
    pub closed_at: Option<At>,
    pub closed_by: Option<String>,
    pub root_cause: Option<String>,
    pub not_the_release: bool,
}

type Row = (i64, String, i64, i64, i64, Option<i64>, Option<String>, Option<String>, i64);

const ROW: &str = "SELECT id, service, thread, rollback, opened_at, closed_at, closed_by, root_cause, \
                   not_the_release FROM incidents";

fn decode(
    (id, service, thread, rollback, opened_at, closed_at, closed_by, root_cause, innocent): Row,
) -> Incident {
    Incident {
        id: IncidentId(id),
        service: ServiceId(service),
        thread: ThreadId(thread),
        rollback: RollbackId(rollback),
        opened_at,
        closed_at,
        closed_by,
        root_cause,
        not_the_release: innocent == 1,
    }
}

/// # Errors
/// As the database says.
pub async fn get(db: &Pool, id: IncidentId) -> Result<Option<Incident>> {
    let sql = format!("{ROW} WHERE id = $1");
    Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(id.0).fetch_optional(db).await?.map(decode))
}

/// The newest incident of a thread.
///
/// # Errors
/// As the database says.
pub async fn of_thread(db: &Pool, thread: ThreadId) -> Result<Option<Incident>> {
    let sql = format!("{ROW} WHERE thread = $1 ORDER BY id DESC LIMIT 1");
    Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(thread.0).fetch_optional(db).await?.map(decode))
}

/// Newest first; the open ones alone unless `all`.
///
/// # Errors
/// As the database says.
pub async fn list(db: &Pool, all: bool) -> Result<Vec<Incident>> {
    let sql = format!("{ROW} WHERE $1 = 1 OR closed_at IS NULL ORDER BY id DESC LIMIT 200");
    let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(i64::from(all)).fetch_all(db).await?;
    Ok(rows.into_iter().map(decode).collect())
}

impl Tx {
    /// Opens the thread's incident unless one is open.
    ///
    /// # Errors
    /// As the database says.
    pub async fn open_incident(
        &mut self,
        service: &ServiceId,
        thread: ThreadId,
        rollback: RollbackId,
        at: At,
    ) -> Result<()> {
        let sql = "SELECT COUNT(*) FROM incidents WHERE thread = $1 AND closed_at IS NULL";
        let open: i64 = sqlx::query_scalar(sql).bind(thread.0).fetch_one(self.conn()).await?;
        if open > 0 {
            return Ok(());
        }
        let id = self.number("incident").await?;
        let sql = "INSERT INTO incidents (id, service, thread, rollback, opened_at, not_the_release) \
                   VALUES ($1, $2, $3, $4, $5, 0)";
        sqlx::query(sql)
            .bind(id)
            .bind(service.0.clone())
            .bind(thread.0)
            .bind(rollback.0)
            .bind(at)
            .execute(self.conn())
            .await?;
        Ok(())
    }

    /// # Errors
    /// As the database says.
    pub async fn incident(&mut self, id: IncidentId) -> Result<Option<Incident>> {
        let sql = format!("{ROW} WHERE id = $1");
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(id.0).fetch_optional(self.conn()).await?.map(decode))
    }

    /// # Errors
    /// As the database says.
    pub async fn close_incident(
        &mut self,
        id: IncidentId,
        closing: &lastgood_core::incident::Closing,
        by: &str,
        at: At,
    ) -> Result<()> {
        let sql = "UPDATE incidents SET closed_at = $2, closed_by = $3, root_cause = $4, not_the_release = $5 \
                   WHERE id = $1 AND closed_at IS NULL";
        sqlx::query(sql)
            .bind(id.0)
            .bind(at)
            .bind(clean(by))
            .bind(clean(&closing.root_cause))
            .bind(i64::from(closing.not_the_release))
            .execute(self.conn())
            .await?;
        Ok(())
    }
}
