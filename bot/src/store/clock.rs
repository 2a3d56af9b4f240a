//! The database's clock, and what is to be done when a clock was set back.

use lastgood_core::{At, Millis};

use super::{Kind, Pool, Result, Store, Tx};

/// A clock that was set back by less than this, in milliseconds, is let be: what waits for a time waits so much longer.
const TOLERATED: Millis = 2_000;

/// Of PostgreSQL, which all replicas share.
const TIME: &str = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)";

/// What time it is at the database; none where it has no clock of its own.
///
/// # Errors
/// As the database says.
pub async fn read(store: &Store) -> Result<Option<At>> {
    match store.kind() {
        Kind::Sqlite => Ok(None),
        Kind::Postgres => Ok(Some(sqlx::query_scalar(TIME).fetch_one(store.reader()).await?)),
    }
}

/// The last time that was noted.
///
/// # Errors
/// As the database says.
pub async fn noted(db: &Pool) -> Result<Option<At>> {
    Ok(sqlx::query_scalar("SELECT at FROM clock WHERE name = 'last'").fetch_optional(db).await?)
}

impl Tx {
    /// As [`read`], in this transaction.
    ///
    /// # Errors
    /// As the database says.
    pub async fn time(&mut self, kind: Kind) -> Result<Option<At>> {
        match kind {
            Kind::Sqlite => Ok(None),
            Kind::Postgres => Ok(Some(sqlx::query_scalar(TIME).fetch_one(self.conn()).await?)),
        }
    }

    /// Notes the time. When it is before the last one that was noted, the clock was set back: all that waits for a time waits no
    /// longer for it. Returned is by how much, in milliseconds. `own` is the time where the database has no clock.
    ///
    /// # Errors
    /// As the database says.
    pub async fn note_time(&mut self, kind: Kind, own: At) -> Result<Option<Millis>> {
        // Locks the row, so that one replica moves things along, and once.
        let sql = "INSERT INTO clock (name, at) VALUES ('last', $1) \
                   ON CONFLICT (name) DO UPDATE SET at = clock.at RETURNING at";
        let last: At = sqlx::query_scalar(sql).bind(own).fetch_one(self.conn()).await?;
        let now = self.time(kind).await?.unwrap_or(own);
        let back = Some(last - now).filter(|back| *back > TOLERATED);
        if let Some(back) = back {
            self.move_along(back).await?;
        }
        let sql = "UPDATE clock SET at = $1 WHERE name = 'last'";
        sqlx::query(sql).bind(now).execute(self.conn()).await?;
        Ok(back)
    }

    async fn move_along(&mut self, back: Millis) -> Result<()> {
        for sql in [
            "UPDATE timers SET at = at - $1",
            "UPDATE effects SET not_before = not_before - $1, created_at = created_at - $1 \
             WHERE status IN ('pending', 'claimed', 'cancelling')",
            "UPDATE messages SET not_before = not_before - $1 WHERE status <> 'done' AND status <> 'refused'",
            "UPDATE deliveries SET not_before = not_before - $1 WHERE done = 0",
            "UPDATE news SET not_before = not_before - $1 WHERE told < revision",
        ] {
            sqlx::query(sql).bind(back).execute(self.conn()).await?;
        }
        Ok(())
    }
}
