//! Where nothing is shifted without a click, because somebody said so.

use lastgood_core::{Actor, At, ServiceId};
use sqlx::AnyExecutor;

use super::{Pool, Result, Tx, clean};

/// A pause that is in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Pause {
    /// None: all services.
    pub service: Option<ServiceId>,
    pub by: Actor,
    /// As typed; empty when none was given.
    pub reason: String,
    /// Since when, in milliseconds since 1970.
    pub at: At,
}

type Row = (String, String, String, String, i64);

const ROW: &str = "SELECT service, actor, name, reason, at FROM pauses";

fn decode((service, actor, name, reason, at): Row) -> Pause {
    let service = Some(service).filter(|service| !service.is_empty()).map(ServiceId);
    Pause { service, by: Actor::new(actor, name), reason, at }
}

fn key(service: Option<&ServiceId>) -> String {
    service.map_or_else(String::new, |service| service.0.clone())
}

/// All pauses that are in force, that of all services first.
///
/// # Errors
/// As the database says.
pub async fn in_force(db: &Pool) -> Result<Vec<Pause>> {
    let sql = format!("{ROW} ORDER BY service");
    let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(db).await?;
    Ok(rows.into_iter().map(decode).collect())
}

async fn concerning<'e>(db: impl AnyExecutor<'e>, service: &ServiceId) -> Result<Option<Pause>> {
    let sql = format!("{ROW} WHERE service = '' OR service = $1 ORDER BY service LIMIT 1");
    let row: Option<Row> =
        sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(service.0.clone()).fetch_optional(db).await?;
    Ok(row.map(decode))
}

impl Tx {
    /// The pause that a service is under, its own or that of all.
    ///
    /// # Errors
    /// As the database says.
    pub async fn pause_of(&mut self, service: &ServiceId) -> Result<Option<Pause>> {
        concerning(self.conn(), service).await
    }

    /// The pause of exactly this service, or of all.
    ///
    /// # Errors
    /// As the database says.
    pub async fn pause(&mut self, service: Option<&ServiceId>) -> Result<Option<Pause>> {
        let sql = format!("{ROW} WHERE service = $1");
        let row: Option<Row> =
            sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(key(service)).fetch_optional(self.conn()).await?;
        Ok(row.map(decode))
    }

    /// Replaces an earlier pause of the same.
    ///
    /// # Errors
    /// As the database says.
    pub async fn set_pause(&mut self, pause: &Pause) -> Result<()> {
        let sql = "INSERT INTO pauses (service, actor, name, reason, at) VALUES ($1, $2, $3, $4, $5) \
                   ON CONFLICT (service) DO UPDATE SET actor = excluded.actor, name = excluded.name, \
                   reason = excluded.reason, at = excluded.at";
        sqlx::query(sql)
            .bind(key(pause.service.as_ref()))
            .bind(clean(&pause.by.id))
            .bind(clean(&pause.by.name))
            .bind(clean(&pause.reason))
            .bind(pause.at)
            .execute(self.conn())
            .await?;
        Ok(())
    }

    /// # Errors
    /// As the database says.
    pub async fn end_pause(&mut self, service: Option<&ServiceId>) -> Result<()> {
        let sql = "DELETE FROM pauses WHERE service = $1";
        sqlx::query(sql).bind(key(service)).execute(self.conn()).await?;
        Ok(())
    }

    /// Every service that was ever written about, in the order in which several are locked.
    ///
    /// # Errors
    /// As the database says.
    pub async fn known_services(&mut self) -> Result<Vec<ServiceId>> {
        let rows: Vec<(String,)> =
            sqlx::query_as("SELECT id FROM services ORDER BY id").fetch_all(self.conn()).await?;
        Ok(rows.into_iter().map(|(id,)| ServiceId(id)).collect())
    }
}
