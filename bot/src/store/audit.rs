//! Who did what by hand, and why; and what came in, so that a repetition gives the same answer.

use lastgood_core::At;

use super::{Result, Tx, clean};

impl Tx {
    /// # Errors
    /// As the database says.
    pub async fn audit(
        &mut self,
        at: At,
        actor: &str,
        service: &str,
        what: &str,
        detail: &str,
    ) -> Result<()> {
        let id = self.number("audit").await?;
        let sql = "INSERT INTO audit (id, at, actor, service, what, detail) VALUES ($1, $2, $3, $4, $5, $6)";
        sqlx::query(sql)
            .bind(id)
            .bind(at)
            .bind(clean(actor))
            .bind(clean(service))
            .bind(what.to_owned())
            .bind(clean(detail))
            .execute(self.conn())
            .await?;
        Ok(())
    }

    /// The answer that an earlier delivery with this id got.
    ///
    /// # Errors
    /// As the database says.
    pub async fn answered(&mut self, source: &str, delivery: &str) -> Result<Option<String>> {
        let sql = "SELECT answer FROM inbox WHERE source = $1 AND delivery = $2";
        let row: Option<(Option<String>,)> = sqlx::query_as(sql)
            .bind(source.to_owned())
            .bind(clean(delivery))
            .fetch_optional(self.conn())
            .await?;
        Ok(row.and_then(|(answer,)| answer))
    }

    /// Keeps what came in together with its answer.
    ///
    /// # Errors
    /// As the database says.
    pub async fn keep_inbox(
        &mut self,
        source: &str,
        delivery: &str,
        body: &str,
        answer: &str,
        at: At,
    ) -> Result<()> {
        let sql = "INSERT INTO inbox (source, delivery, at, body, answer) VALUES ($1, $2, $3, $4, $5) \
                   ON CONFLICT (source, delivery) DO NOTHING";
        sqlx::query(sql)
            .bind(source.to_owned())
            .bind(clean(delivery))
            .bind(at)
            .bind(clean(body))
            .bind(clean(answer))
            .execute(self.conn())
            .await?;
        // A week is longer than any platform repeats a delivery.
        let sql = "DELETE FROM inbox WHERE at < $1";
        sqlx::query(sql).bind(at - 7 * 86_400_000).execute(self.conn()).await?;
        Ok(())
    }
}
