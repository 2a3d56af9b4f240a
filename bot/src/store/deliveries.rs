//! What chat platforms delivered: kept before it is acknowledged, worked off afterwards.

use lastgood_core::{At, Millis};

use super::{Pool, Result, Tx, clean};

/// Longer than any platform repeats a delivery.
const FORGET_AFTER: Millis = 7 * 86_400_000;

/// Something that was acknowledged and may not have been worked off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    pub delivery: String,
    pub body: String,
    /// How often it was handed out since it was kept.
    pub attempts: i64,
}

/// Deliveries of a platform whose time has come, oldest first.
///
/// # Errors
/// As the database says.
pub async fn open(db: &Pool, source: &str, now: At) -> Result<Vec<Open>> {
    let sql = "SELECT delivery, body, attempts FROM deliveries \
               WHERE done = 0 AND source = $1 AND not_before <= $2 ORDER BY at, delivery LIMIT 50";
    let rows: Vec<(String, String, i64)> =
        sqlx::query_as(sql).bind(source.to_owned()).bind(now).fetch_all(db).await?;
    Ok(rows.into_iter().map(|(delivery, body, attempts)| Open { delivery, body, attempts }).collect())
}

/// When a delivery was kept.
///
/// # Errors
/// As the database says.
pub async fn kept_at(db: &Pool, source: &str, delivery: &str) -> Result<Option<At>> {
    let sql = "SELECT at FROM deliveries WHERE source = $1 AND delivery = $2";
    let query = sqlx::query_scalar(sql).bind(source.to_owned()).bind(clean(delivery));
    Ok(query.fetch_optional(db).await?)
}

impl Tx {
    /// False: it was here before. Whoever keeps it works it off; after `not_before` somebody else does.
    ///
    /// # Errors
    /// As the database says.
    pub async fn keep_delivery(
        &mut self,
        source: &str,
        delivery: &str,
        body: &str,
        at: At,
        not_before: At,
    ) -> Result<bool> {
        let sql = "INSERT INTO deliveries (source, delivery, at, body, done, attempts, not_before) \
                   VALUES ($1, $2, $3, $4, 0, 0, $5) ON CONFLICT (source, delivery) DO NOTHING";
        let kept = sqlx::query(sql)
            .bind(source.to_owned())
            .bind(clean(delivery))
            .bind(at)
            .bind(clean(body))
            .bind(not_before)
            .execute(self.conn())
            .await?;
        Ok(kept.rows_affected() == 1)
    }

    /// It was worked off, or given up. Its body goes; that it was here stays known for a while.
    ///
    /// # Errors
    /// As the database says.
    pub async fn delivery_done(&mut self, source: &str, delivery: &str, at: At) -> Result<()> {
        let sql = "UPDATE deliveries SET done = 1, body = '' WHERE source = $1 AND delivery = $2";
        sqlx::query(sql).bind(source.to_owned()).bind(clean(delivery)).execute(self.conn()).await?;
        let sql = "DELETE FROM deliveries WHERE at < $1";
        sqlx::query(sql).bind(at - FORGET_AFTER).execute(self.conn()).await?;
        Ok(())
    }

    /// It is handed out once more; false when somebody else did so meanwhile.
    ///
    /// # Errors
    /// As the database says.
    pub async fn delivery_again(&mut self, source: &str, open: &Open, not_before: At) -> Result<bool> {
        let sql = "UPDATE deliveries SET attempts = attempts + 1, not_before = $4 \
                   WHERE source = $1 AND delivery = $2 AND attempts = $3 AND done = 0";
        let taken = sqlx::query(sql)
            .bind(source.to_owned())
            .bind(open.delivery.clone())
            .bind(open.attempts)
            .bind(not_before)
            .execute(self.conn())
            .await?;
        Ok(taken.rows_affected() == 1)
    }
}
