//! What is to be said, per thread and room: posts in their order, and cards of which only the latest revision matters.

use lastgood_core::{At, RollbackId, ThreadId, card::Card};

use super::{Pool, Result, StoreError, Tx, clean};

/// The slot of a thread's root card.
pub const ROOT: &str = "root";

/// A message that is not (or not in its latest revision) with the platform.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub id: i64,
    pub thread: ThreadId,
    pub room: String,
    pub slot: String,
    /// Stored before the first try.
    pub nonce: String,
    pub card: Card,
    pub broadcast: bool,
    pub wanted_rev: i64,
    pub sent_rev: i64,
    pub reference: Option<String>,
    /// `new`, `sending` (went out, no answer seen), `sent`, `done`, `refused`.
    pub status: String,
    pub attempts: i64,
    pub not_before: At,
}

type Row = (i64, i64, String, String, String, String, i64, i64, i64, Option<String>, String, i64, i64);

const ROW: &str = "SELECT id, thread, room, slot, nonce, card, broadcast, wanted_rev, sent_rev, reference, status, \
                   attempts, not_before FROM messages";

fn decode(row: Row) -> Result<Message> {
    let (
        id,
        thread,
        room,
        slot,
        nonce,
        card,
        broadcast,
        wanted_rev,
        sent_rev,
        reference,
        status,
        attempts,
        not_before,
    ) = row;
    Ok(Message {
        id,
        thread: ThreadId(thread),
        room,
        slot,
        nonce,
        card: serde_json::from_str(&card).map_err(|e| StoreError::undecodable(format!("message {id}"), e))?,
        broadcast: broadcast == 1,
        wanted_rev,
        sent_rev,
        reference,
        status,
        attempts,
        not_before,
    })
}

/// A message that this build can't read, after a downgrade: no reason to keep the others waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    pub id: i64,
    pub rev: i64,
    pub why: String,
}

impl Message {
    /// Whether the platform has it, and only shows an older revision.
    pub fn is_edit(&self) -> bool {
        self.status == "sent" && self.reference.is_some()
    }
}

type Read = std::result::Result<Message, Unreadable>;

/// Messages of a room that the platform does not have and that can be tried now, in order; without those that wait behind one
/// of their thread that can't be tried yet, so that a thread that stands keeps no other waiting.
///
/// # Errors
/// As the database says.
pub async fn unsent(db: &Pool, room: &str, now: At) -> Result<Vec<Read>> {
    let sql = format!(
        "{ROW} m WHERE room = $1 AND status <> 'done' AND status <> 'refused' AND status <> 'sent' \
         AND NOT EXISTS (SELECT 1 FROM messages h WHERE h.room = m.room AND h.thread = m.thread \
              AND h.status <> 'done' AND h.status <> 'refused' AND h.status <> 'sent' AND h.not_before > $2 \
              AND (h.id = m.id OR h.slot = 'root' OR (m.slot <> 'root' AND h.id < m.id))) \
         ORDER BY CASE WHEN slot = 'root' THEN 0 ELSE 1 END, id LIMIT 200"
    );
    let query = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(room.to_owned()).bind(now);
    let rows: Vec<Row> = query.fetch_all(db).await?;
    Ok(rows.into_iter().map(read).collect())
}

/// When the next message of a room that the platform does not have can be tried.
///
/// # Errors
/// As the database says.
pub async fn next_unsent(db: &Pool, room: &str, now: At) -> Result<Option<At>> {
    let sql = "SELECT MIN(not_before) FROM messages WHERE room = $1 AND status <> 'done' AND status <> 'refused' \
               AND status <> 'sent' AND not_before > $2";
    Ok(sqlx::query_scalar(sql).bind(room.to_owned()).bind(now).fetch_one(db).await?)
}

/// Messages of a room of which the platform has an older revision, and that can be tried now; cards first.
///
/// # Errors
/// As the database says.
pub async fn outdated(db: &Pool, room: &str, now: At, limit: i64) -> Result<Vec<Read>> {
    let sql = format!(
        "{ROW} WHERE room = $1 AND status <> 'done' AND status <> 'refused' AND status = 'sent' \
                       AND not_before <= $2 \
                       ORDER BY CASE WHEN slot = 'root' THEN 0 ELSE 1 END, not_before, id LIMIT $3"
    );
    let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(room.to_owned())
        .bind(now)
        .bind(limit)
        .fetch_all(db)
        .await?;
    Ok(rows.into_iter().map(read).collect())
}

fn read(row: Row) -> Read {
    let (id, rev) = (row.0, row.7);
    decode(row).map_err(|error| Unreadable { id, rev, why: error.to_string() })
}

/// Rooms with something unsent.
///
/// # Errors
/// As the database says.
pub async fn waiting_rooms(db: &Pool) -> Result<Vec<String>> {
    let sql = "SELECT DISTINCT room FROM messages WHERE status <> 'done' AND status <> 'refused'";
    let rows: Vec<(String,)> = sqlx::query_as(sql).fetch_all(db).await?;
    Ok(rows.into_iter().map(|(room,)| room).collect())
}

/// The platform's reference of a thread's root in a room.
///
/// # Errors
/// As the database says.
pub async fn root_of(db: &Pool, thread: ThreadId, room: &str) -> Result<Option<String>> {
    let sql = "SELECT reference FROM messages WHERE thread = $1 AND room = $2 AND slot = $3";
    let row: Option<(Option<String>,)> = sqlx::query_as(sql)
        .bind(thread.0)
        .bind(room.to_owned())
        .bind(ROOT.to_owned())
        .fetch_optional(db)
        .await?;
    Ok(row.and_then(|(reference,)| reference))
}

/// Messages that a platform refused for good: `check` and the metrics tell of them.
///
/// # Errors
/// As the database says.
pub async fn refused(db: &Pool) -> Result<i64> {
    Ok(sqlx::query_scalar("SELECT COUNT(*) FROM messages WHERE status = 'refused'").fetch_one(db).await?)
}

impl Tx {
    /// Where a rollback's projection into a room stands: event number, progress revision.
    ///
    /// # Errors
    /// As the database says.
    pub async fn cursor(&mut self, rollback: RollbackId, room: &str) -> Result<(i64, i64)> {
        let sql = "SELECT seq, drawn FROM cursors WHERE rollback = $1 AND room = $2";
        let row: Option<(i64, i64)> =
            sqlx::query_as(sql).bind(rollback.0).bind(room.to_owned()).fetch_optional(self.conn()).await?;
        Ok(row.unwrap_or((0, 0)))
    }

    /// # Errors
    /// As the database says.
    pub async fn move_cursor(
        &mut self,
        rollback: RollbackId,
        room: &str,
        seq: i64,
        drawn: i64,
    ) -> Result<()> {
        let sql = "INSERT INTO cursors (rollback, room, seq, drawn) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (rollback, room) DO UPDATE SET seq = excluded.seq, drawn = excluded.drawn \
                   WHERE cursors.seq <= excluded.seq";
        sqlx::query(sql)
            .bind(rollback.0)
            .bind(room.to_owned())
            .bind(seq)
            .bind(drawn)
            .execute(self.conn())
            .await?;
        Ok(())
    }

    /// Queues a card in its slot: a new slot is a new message, a known one a new revision.
    ///
    /// # Errors
    /// As the database says.
    pub async fn put_message(
        &mut self,
        thread: ThreadId,
        room: &str,
        slot: &str,
        nonce: &str,
        card: &Card,
        broadcast: bool,
    ) -> Result<()> {
        let id = self.number("message").await?;
        let body = serde_json::to_string(card).map_err(|e| StoreError::undecodable(slot, e))?;
        let sql = "INSERT INTO messages (id, thread, room, slot, nonce, card, broadcast, wanted_rev, sent_rev, status, \
                   attempts, not_before) VALUES ($1, $2, $3, $4, $5, $6, $7, 1, 0, 'new', 0, 0) \
                   ON CONFLICT (thread, room, slot) DO UPDATE SET card = excluded.card, \
                   wanted_rev = messages.wanted_rev + 1, \
                   attempts = CASE WHEN messages.status = 'refused' THEN 0 ELSE messages.attempts END, \
                   status = CASE WHEN messages.status = 'done' THEN 'sent' \
                                 WHEN messages.status = 'refused' AND messages.reference IS NULL THEN 'new' \
                                 WHEN messages.status = 'refused' THEN 'sent' ELSE messages.status END \
                   WHERE messages.card <> excluded.card";
        sqlx::query(sql)
            .bind(id)
            .bind(thread.0)
            .bind(room.to_owned())
            .bind(slot.to_owned())
            .bind(nonce.to_owned())
            .bind(clean(&body))
            .bind(i64::from(broadcast))
            .execute(self.conn())
            .await?;
        Ok(())
    }

    /// It goes out now: whatever happens next, it may have arrived.
    ///
    /// # Errors
    /// As the database says.
    pub async fn message_goes_out(&mut self, id: i64) -> Result<()> {
        let sql = "UPDATE messages SET status = 'sending', attempts = attempts + 1 WHERE id = $1 AND status = 'new'";
        sqlx::query(sql).bind(id).execute(self.conn()).await?;
        Ok(())
    }

    /// The platform has this revision of it.
    ///
    /// # Errors
    /// As the database says.
    pub async fn message_sent(&mut self, id: i64, reference: &str, rev: i64) -> Result<()> {
        let sql = "UPDATE messages SET reference = $2, sent_rev = $3, attempts = 0, error = NULL, \
                   status = CASE WHEN wanted_rev <= $3 THEN 'done' ELSE 'sent' END WHERE id = $1";
        sqlx::query(sql).bind(id).bind(reference.to_owned()).bind(rev).execute(self.conn()).await?;
        Ok(())
    }

    /// Not sent: again later. `back_to` is `new` when it surely did not arrive.
    ///
    /// # Errors
    /// As the database says.
    pub async fn message_later(&mut self, id: i64, back_to: &str, not_before: At, error: &str) -> Result<()> {
        let sql = "UPDATE messages SET status = $2, not_before = $3, error = $4, attempts = attempts + 1 WHERE id = $1";
        sqlx::query(sql)
            .bind(id)
            .bind(back_to.to_owned())
            .bind(not_before)
            .bind(clean(error))
            .execute(self.conn())
            .await?;
        Ok(())
    }

    /// The platform will never take this revision: set aside, and the thread goes on. A newer one is tried again.
    ///
    /// # Errors
    /// As the database says.
    pub async fn message_refused(&mut self, id: i64, rev: i64, error: &str) -> Result<()> {
        let sql = "UPDATE messages SET error = $2, attempts = 0, status = CASE WHEN wanted_rev <= $3 THEN 'refused' \
                   WHEN reference IS NULL THEN 'new' ELSE 'sent' END WHERE id = $1";
        sqlx::query(sql).bind(id).bind(clean(error)).bind(rev).execute(self.conn()).await?;
        Ok(())
    }

    /// Its message was deleted: posted anew, under a new nonce.
    ///
    /// # Errors
    /// As the database says.
    pub async fn message_anew(&mut self, id: i64, nonce: &str) -> Result<()> {
        let sql =
            "UPDATE messages SET status = 'new', reference = NULL, sent_rev = 0, nonce = $2 WHERE id = $1";
        sqlx::query(sql).bind(id).bind(nonce.to_owned()).execute(self.conn()).await?;
        Ok(())
    }

    /// A thread's root was deleted: posted anew, under a new nonce.
    ///
    /// # Errors
    /// As the database says.
    pub async fn root_anew(&mut self, thread: ThreadId, room: &str, nonce: &str) -> Result<()> {
        let sql = "UPDATE messages SET status = 'new', reference = NULL, sent_rev = 0, attempts = 0, not_before = 0, nonce = $3 \
                   WHERE thread = $1 AND room = $2 AND slot = $4 AND reference IS NOT NULL";
        sqlx::query(sql)
            .bind(thread.0)
            .bind(room.to_owned())
            .bind(nonce.to_owned())
            .bind(ROOT.to_owned())
            .execute(self.conn())
            .await?;
        Ok(())
    }
}
