//! Rollbacks and their events. The saved state is authoritative; events are its history.

use std::collections::BTreeSet;

use lastgood_core::{
    At, Digest, RollbackId, ServiceId, ThreadId,
    rollback::{EVENT_VERSION, Event, Kind, Rollback, Timer},
};
use sqlx::AnyExecutor;

use super::{Pool, Result, StoreError, Tx, bind_all, clean, one_of};

/// A rollback with the number of its last event.
#[derive(Debug, Clone, PartialEq)]
pub struct Saved {
    pub state: Rollback,
    pub seq: i64,
}

/// An event as it was committed.
#[derive(Debug, Clone, PartialEq)]
pub struct Committed {
    pub seq: i64,
    pub at: At,
    pub event: Event,
}

impl Committed {
    /// The event as a line of JSON: rollback, seq, at (milliseconds since 1970), and the event's own fields.
    ///
    /// # Errors
    /// When it can't be written as JSON.
    pub fn line(&self, rollback: RollbackId) -> Result<String> {
        let body = serde_json::to_value(&self.event).map_err(|e| StoreError::undecodable("event", e))?;
        let line = serde_json::json!({
            "rollback": rollback.to_string(), "seq": self.seq, "at": self.at, "kind": self.event.kind(), "body": body,
        });
        Ok(line.to_string())
    }
}

fn decode((id, seq, state): (i64, i64, String)) -> Result<Saved> {
    let state = serde_json::from_str(&state)
        .map_err(|error| StoreError::undecodable(RollbackId(id).to_string(), error))?;
    Ok(Saved { state, seq })
}

const ROW: &str = "SELECT id, seq, state FROM rollbacks";

async fn one<'e>(db: impl AnyExecutor<'e>, filter: &str, value: Bind) -> Result<Option<Saved>> {
    let sql = format!("{ROW} {filter}");
    let query = sqlx::query_as(sqlx::AssertSqlSafe(sql));
    let query = match value {
        Bind::Number(number) => query.bind(number),
        Bind::Text(text) => query.bind(text),
    };
    query.fetch_optional(db).await?.map(decode).transpose()
}

enum Bind {
    Number(i64),
    Text(String),
}

/// # Errors
/// As the database says, or when the row can't be decoded.
pub async fn get(db: &Pool, id: RollbackId) -> Result<Option<Saved>> {
    one(db, "WHERE id = $1", Bind::Number(id.0)).await
}

/// The service's active rollback.
///
/// # Errors
/// As `get`.
pub async fn active(db: &Pool, service: &ServiceId) -> Result<Option<Saved>> {
    one(db, "WHERE service = $1 AND active = 1", Bind::Text(service.0.clone())).await
}

/// How many have not ended.
///
/// # Errors
/// As the database says.
pub async fn running(db: &Pool) -> Result<i64> {
    Ok(sqlx::query_scalar("SELECT COUNT(*) FROM rollbacks WHERE active = 1").fetch_one(db).await?)
}

/// The newest rollback of a thread.
///
/// # Errors
/// As `get`.
pub async fn newest_in(db: &Pool, thread: ThreadId) -> Result<Option<Saved>> {
    one(db, "WHERE thread = $1 ORDER BY id DESC LIMIT 1", Bind::Number(thread.0)).await
}

/// The newest rollbacks, of one service or of all.
///
/// # Errors
/// As `get`.
pub async fn recent(db: &Pool, service: Option<&ServiceId>, limit: i64) -> Result<Vec<Saved>> {
    let sql = format!("{ROW} WHERE $1 = '' OR service = $1 ORDER BY id DESC LIMIT $2");
    let rows: Vec<(i64, i64, String)> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(service.map_or_else(String::new, |s| s.0.clone()))
        .bind(limit)
        .fetch_all(db)
        .await?;
    rows.into_iter().map(decode).collect()
}

/// A rollback's events after `seq`, oldest first.
///
/// # Errors
/// As `get`.
pub async fn events(db: &Pool, id: RollbackId, after: i64) -> Result<Vec<Committed>> {
    let sql = "SELECT seq, at, body FROM events WHERE rollback = $1 AND seq > $2 ORDER BY seq";
    let rows: Vec<(i64, i64, String)> = sqlx::query_as(sql).bind(id.0).bind(after).fetch_all(db).await?;
    rows.into_iter()
        .map(|(seq, at, body)| {
            let event = serde_json::from_str(&body)
                .map_err(|error| StoreError::undecodable(format!("event {seq} of {id}"), error))?;
            Ok(Committed { seq, at, event })
        })
        .collect()
}

/// When rollbacks of a service were active: noise for the soak.
///
/// # Errors
/// As the database says.
pub async fn activity(db: &Pool, service: &ServiceId, since: At) -> Result<Vec<(At, Option<At>)>> {
    let sql = "SELECT opened_at, ended_at FROM rollbacks WHERE service = $1 AND (ended_at IS NULL OR ended_at >= $2)";
    Ok(sqlx::query_as(sql).bind(service.0.clone()).bind(since).fetch_all(db).await?)
}

/// Digests that rollbacks moved traffic away from, with the newest such rollback: of the newest `limit` releases.
///
/// # Errors
/// As the database says.
pub async fn blamed(db: &Pool, service: &ServiceId, limit: i64) -> Result<Vec<(String, i64)>> {
    let sql = "WITH newest AS (SELECT digest FROM releases WHERE service = $1 ORDER BY at DESC, id DESC LIMIT $2) \
               SELECT failing, MAX(id) FROM rollbacks WHERE service = $1 AND blamed = 1 AND (failing IN (SELECT digest \
               FROM newest) OR failing IN (SELECT manifest FROM manifests WHERE image IN (SELECT digest FROM newest))) \
               GROUP BY failing";
    Ok(sqlx::query_as(sql).bind(service.0.clone()).bind(limit).fetch_all(db).await?)
}

/// The last word on something under way, with its revision.
///
/// # Errors
/// As the database says.
pub async fn progress(db: &Pool, id: RollbackId) -> Result<Option<(String, i64)>> {
    let sql = "SELECT body, revision FROM progress WHERE rollback = $1";
    Ok(sqlx::query_as(sql).bind(id.0).fetch_optional(db).await?)
}

/// A condition for rows that belong to rollbacks of these services. Few rows are looked at, and many rollbacks there are: hence
/// no join, which might begin at the other end.
fn of_services(table: &str, services: &[ServiceId], first: usize) -> String {
    let of = one_of("r.service", services, first);
    format!("EXISTS (SELECT 1 FROM rollbacks r WHERE r.id = {table}.rollback AND {of})")
}

/// Rollbacks of these services with events or progress that rooms have not been told of, each with the revision of its news;
/// without those that could not be told, and are to be tried again later.
///
/// # Errors
/// As the database says.
pub async fn behind(db: &Pool, services: &[ServiceId], now: At) -> Result<Vec<(RollbackId, i64)>> {
    let sql = format!(
        "SELECT rollback, revision FROM news WHERE told < revision AND not_before <= $1 AND {} ORDER BY rollback LIMIT 100",
        of_services("news", services, 2)
    );
    let query = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(now);
    let rows: Vec<(i64, i64)> = bind_all(query, services).fetch_all(db).await?;
    Ok(rows.into_iter().map(|(id, revision)| (RollbackId(id), revision)).collect())
}

/// Whether rooms have not been told all of a rollback.
///
/// # Errors
/// As the database says.
pub async fn is_behind(db: &Pool, id: RollbackId) -> Result<bool> {
    let sql = "SELECT COUNT(*) FROM news WHERE rollback = $1 AND told < revision";
    let count: i64 = sqlx::query_scalar(sql).bind(id.0).fetch_one(db).await?;
    Ok(count > 0)
}

/// How many rollbacks have news that could not be told, or that belong to none of these services.
///
/// # Errors
/// As the database says.
pub async fn untold(db: &Pool, services: &[ServiceId]) -> Result<i64> {
    let sql = format!(
        "SELECT COUNT(*) FROM news WHERE told < revision AND (attempts > 0 OR NOT ({}))",
        of_services("news", services, 1)
    );
    let (count,): (i64,) = bind_all(sqlx::query_as(sqlx::AssertSqlSafe(sql)), services).fetch_one(db).await?;
    Ok(count)
}

impl Tx {
    /// # Errors
    /// As [`get`].
    pub async fn rollback(&mut self, id: RollbackId) -> Result<Option<Saved>> {
        one(self.conn(), "WHERE id = $1", Bind::Number(id.0)).await
    }

    /// # Errors
    /// As [`get`].
    pub async fn active_rollback(&mut self, service: &ServiceId) -> Result<Option<Saved>> {
        one(self.conn(), "WHERE service = $1 AND active = 1", Bind::Text(service.0.clone())).await
    }

    /// The active rollbacks of all services.
    ///
    /// # Errors
    /// As [`get`].
    pub async fn active_rollbacks(&mut self) -> Result<Vec<Saved>> {
        let sql = format!("{ROW} WHERE active = 1 ORDER BY id");
        let rows: Vec<(i64, i64, String)> =
            sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(self.conn()).await?;
        rows.into_iter().map(decode).collect()
    }

    /// What the rollbacks of a thread took for failing, or marked. Those that only undo another one blame nothing.
    ///
    /// # Errors
    /// As [`get`].
    pub async fn failing_in(&mut self, thread: ThreadId) -> Result<BTreeSet<Digest>> {
        let sql = format!("{ROW} WHERE thread = $1 AND failing IS NOT NULL ORDER BY id");
        let rows: Vec<(i64, i64, String)> =
            sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(thread.0).fetch_all(self.conn()).await?;
        let mut failing = BTreeSet::new();
        for row in rows {
            let state = decode(row)?.state;
            let blamed = state.failing().filter(|_| matches!(state.kind, Kind::Back));
            failing.extend(blamed.map(|suspect| suspect.artifact.digest.clone()));
        }
        let sql = "SELECT digest FROM marks WHERE rollback IN (SELECT id FROM rollbacks WHERE thread = $1)";
        let marked: Vec<(String,)> = sqlx::query_as(sql).bind(thread.0).fetch_all(self.conn()).await?;
        for (digest,) in marked {
            failing.insert(Digest::try_from(digest).map_err(|e| StoreError::undecodable("mark", e))?);
        }
        Ok(failing)
    }

    /// # Errors
    /// As [`get`].
    pub async fn newest_rollback_in(&mut self, thread: ThreadId) -> Result<Option<Saved>> {
        one(self.conn(), "WHERE thread = $1 ORDER BY id DESC LIMIT 1", Bind::Number(thread.0)).await
    }

    /// Saves state and event; the event's number is returned. A first event inserts the rollback.
    ///
    /// # Errors
    /// `Busy` when another rollback of the service is active.
    pub async fn save_rollback(&mut self, state: &Rollback, seq: i64, event: &Event, at: At) -> Result<()> {
        let body =
            serde_json::to_string(state).map_err(|e| StoreError::undecodable(state.id.to_string(), e))?;
        let blamed = matches!(state.kind, Kind::Back) && state.marked && state.moved;
        let sql = "INSERT INTO rollbacks (id, service, thread, active, phase, seq, state, failing, target, blamed, \
                   opened_at, ended_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
                   ON CONFLICT DO NOTHING";
        let update = "UPDATE rollbacks SET active = $4, phase = $5, seq = $6, state = $7, failing = $8, target = $9, \
                      blamed = CASE WHEN active = 0 THEN blamed ELSE $10 END, ended_at = $12 WHERE id = $1 AND service = $2 AND thread = $3 AND opened_at = $11";
        let saved = sqlx::query(if seq == 1 { sql } else { update })
            .bind(state.id.0)
            .bind(state.service.0.clone())
            .bind(state.thread.0)
            .bind(i64::from(state.active()))
            .bind(state.phase.word().to_owned())
            .bind(seq)
            .bind(clean(&body))
            .bind(state.failing().map(|f| f.artifact.digest.to_string()))
            .bind(state.target().map(|t| t.digest.to_string()))
            .bind(i64::from(blamed))
            .bind(state.opened_at)
            .bind(state.ended_at)
            .execute(self.conn())
            .await?;
        if saved.rows_affected() != 1 {
            return Err(StoreError::Busy(format!("another rollback of {} is active", state.service)));
        }
        let body = serde_json::to_string(event).map_err(|e| StoreError::undecodable(event.kind(), e))?;
        let sql = "INSERT INTO events (rollback, seq, at, kind, v, body) VALUES ($1, $2, $3, $4, $5, $6)";
        sqlx::query(sql)
            .bind(state.id.0)
            .bind(seq)
            .bind(at)
            .bind(event.kind().to_owned())
            .bind(EVENT_VERSION)
            .bind(clean(&body))
            .execute(self.conn())
            .await?;
        self.news(state.id).await
    }

    /// There is something to tell.
    async fn news(&mut self, rollback: RollbackId) -> Result<()> {
        let sql = "INSERT INTO news (rollback, revision, told) VALUES ($1, 1, 0) \
                   ON CONFLICT (rollback) DO UPDATE SET revision = news.revision + 1, attempts = 0, not_before = 0";
        sqlx::query(sql).bind(rollback.0).execute(self.conn()).await?;
        Ok(())
    }

    /// It can't be told now, at this revision: it is tried again later, after longer each time (5 min at most), and others go on. What
    /// is new of it is tried at once.
    ///
    /// # Errors
    /// As the database says.
    pub async fn not_told(&mut self, rollback: RollbackId, revision: i64, at: At, why: &str) -> Result<()> {
        let sql = "UPDATE news SET attempts = attempts + 1, error = $4, \
                   not_before = $3 + CASE WHEN attempts < 8 THEN 1000 * (1 + attempts) * (1 + attempts) ELSE 300000 END \
                   WHERE rollback = $1 AND revision = $2";
        let query = sqlx::query(sql).bind(rollback.0).bind(revision).bind(at).bind(clean(why));
        query.execute(self.conn()).await?;
        Ok(())
    }

    /// All that was news at this revision has been told.
    ///
    /// # Errors
    /// As the database says.
    pub async fn told(&mut self, rollback: RollbackId, revision: i64) -> Result<()> {
        let sql = "UPDATE news SET told = $2, attempts = 0, not_before = 0, error = NULL WHERE rollback = $1 AND told < $2";
        sqlx::query(sql).bind(rollback.0).bind(revision).execute(self.conn()).await?;
        Ok(())
    }

    /// # Errors
    /// As the database says.
    pub async fn set_timer(&mut self, rollback: RollbackId, timer: Timer, at: At) -> Result<()> {
        let sql = "INSERT INTO timers (rollback, timer, at) VALUES ($1, $2, $3) \
                   ON CONFLICT (rollback, timer) DO UPDATE SET at = excluded.at";
        sqlx::query(sql)
            .bind(rollback.0)
            .bind(timer.as_str().to_owned())
            .bind(at)
            .execute(self.conn())
            .await?;
        Ok(())
    }

    /// Has a timer that is armed go off later.
    ///
    /// # Errors
    /// As the database says.
    pub async fn postpone_timer(&mut self, rollback: RollbackId, timer: Timer, at: At) -> Result<()> {
        let sql = "UPDATE timers SET at = $3 WHERE rollback = $1 AND timer = $2 AND at < $3";
        let query = sqlx::query(sql).bind(rollback.0).bind(timer.as_str().to_owned()).bind(at);
        query.execute(self.conn()).await?;
        Ok(())
    }

    /// Whether it was armed.
    ///
    /// # Errors
    /// As the database says.
    pub async fn clear_timer(&mut self, rollback: RollbackId, timer: Timer) -> Result<bool> {
        let sql = "DELETE FROM timers WHERE rollback = $1 AND timer = $2";
        let done =
            sqlx::query(sql).bind(rollback.0).bind(timer.as_str().to_owned()).execute(self.conn()).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Disarms a timer that is due. False: it was disarmed, or armed anew for later.
    ///
    /// # Errors
    /// As the database says.
    pub async fn take_due_timer(&mut self, rollback: RollbackId, timer: Timer, now: At) -> Result<bool> {
        let sql = "DELETE FROM timers WHERE rollback = $1 AND timer = $2 AND at <= $3";
        let done = sqlx::query(sql)
            .bind(rollback.0)
            .bind(timer.as_str().to_owned())
            .bind(now)
            .execute(self.conn())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Overwrites the progress of a rollback; nothing happens when it says the same.
    ///
    /// # Errors
    /// As the database says.
    pub async fn set_progress(&mut self, rollback: RollbackId, body: &str) -> Result<()> {
        let sql = "INSERT INTO progress (rollback, body, revision) VALUES ($1, $2, 1) \
                   ON CONFLICT (rollback) DO UPDATE SET body = excluded.body, revision = progress.revision + 1 \
                   WHERE progress.body <> excluded.body";
        let done = sqlx::query(sql).bind(rollback.0).bind(clean(body)).execute(self.conn()).await?;
        if done.rows_affected() == 0 { Ok(()) } else { self.news(rollback).await }
    }

    /// Has a rollback's card drawn again although no event happened to it.
    ///
    /// # Errors
    /// As the database says.
    pub async fn redraw(&mut self, rollback: RollbackId) -> Result<()> {
        let sql = "INSERT INTO progress (rollback, body, revision) VALUES ($1, '', 1) \
                   ON CONFLICT (rollback) DO UPDATE SET revision = progress.revision + 1";
        sqlx::query(sql).bind(rollback.0).execute(self.conn()).await?;
        self.news(rollback).await
    }
}

/// Timers of these services that are due, earliest first.
///
/// # Errors
/// As the database says.
pub async fn due_timers(db: &Pool, services: &[ServiceId], now: At) -> Result<Vec<(RollbackId, Timer)>> {
    let known: Vec<_> = Timer::ALL.into_iter().map(|timer| format!("'{}'", timer.as_str())).collect();
    // One that only a newer build knows is left to it, and keeps none of the others waiting.
    let sql = format!(
        "SELECT rollback, timer FROM timers WHERE at <= $1 AND timer IN ({}) AND {} ORDER BY at LIMIT 100",
        known.join(", "),
        of_services("timers", services, 2)
    );
    let query = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(now);
    let rows: Vec<(i64, String)> = bind_all(query, services).fetch_all(db).await?;
    let parse = |name: &str| Timer::ALL.into_iter().find(|timer| timer.as_str() == name);
    Ok(rows.into_iter().filter_map(|(id, name)| Some((RollbackId(id), parse(&name)?))).collect())
}

/// When the next timer of these services is due.
///
/// # Errors
/// As the database says.
pub async fn next_timer(db: &Pool, services: &[ServiceId]) -> Result<Option<At>> {
    let sql =
        format!("SELECT at FROM timers WHERE {} ORDER BY at LIMIT 1", of_services("timers", services, 1));
    let row: Option<(At,)> =
        bind_all(sqlx::query_as(sqlx::AssertSqlSafe(sql)), services).fetch_optional(db).await?;
    Ok(row.map(|(at,)| at))
}
