//! Messages of others that threads of ours answer.

use lastgood_core::ThreadId;

use super::{Pool, Result, Tx, clean};

/// The message, by room, in whose thread this thread's cards go.
///
/// # Errors
/// As the database says.
pub async fn of(db: &Pool, thread: ThreadId, room: &str) -> Result<Option<String>> {
    let sql = "SELECT reference FROM anchors WHERE thread = $1 AND room = $2";
    Ok(sqlx::query_scalar(sql).bind(thread.0).bind(room.to_owned()).fetch_optional(db).await?)
}

impl Tx {
    /// Once a thread is anchored in a room it stays there.
    ///
    /// # Errors
    /// As the database says.
    pub async fn anchor(&mut self, thread: ThreadId, room: &str, reference: &str) -> Result<()> {
        let sql = "INSERT INTO anchors (thread, room, reference) VALUES ($1, $2, $3) \
                   ON CONFLICT (thread, room) DO NOTHING";
        sqlx::query(sql)
            .bind(thread.0)
            .bind(room.to_owned())
            .bind(clean(reference))
            .execute(self.conn())
            .await?;
        Ok(())
    }

    /// The message is gone. Only this one: another may have been put in its place.
    ///
    /// # Errors
    /// As the database says.
    pub async fn unanchor(&mut self, thread: ThreadId, room: &str, reference: &str) -> Result<()> {
        let sql = "DELETE FROM anchors WHERE thread = $1 AND room = $2 AND reference = $3";
        sqlx::query(sql)
            .bind(thread.0)
            .bind(room.to_owned())
            .bind(clean(reference))
            .execute(self.conn())
            .await?;
        Ok(())
    }
}
