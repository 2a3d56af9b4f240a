//! Effects as rows: asked for in the transaction of their event, run after it, and finished together with the event that
//! they yield.

use lastgood_core::{
    At, RollbackId, ServiceId,
    rollback::{EFFECT_VERSION, Effect, Request},
};
use sqlx::AssertSqlSafe;

use super::{Pool, Result, StoreError, Tx, bind_all, clean, one_of};

/// An effect that this process may run.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// Rollback / event number / index: the same over all retries, and the idempotency key.
    pub id: String,
    pub rollback: RollbackId,
    pub service: ServiceId,
    /// For whom: only under this name may it be run and finished.
    pub owner: String,
    pub kind: String,
    /// How often it was claimed, this time included.
    pub attempts: i64,
    pub created_at: At,
    /// None: the row can't be decoded by this build.
    pub effect: std::result::Result<Effect, String>,
}

type Row = (String, i64, String, String, String, i64, i64, String);

fn decode((id, rollback, service, owner, kind, attempts, created_at, body): Row) -> Claimed {
    Claimed {
        id,
        rollback: RollbackId(rollback),
        service: ServiceId(service),
        owner,
        kind,
        attempts,
        created_at,
        effect: serde_json::from_str(&body).map_err(|error| error.to_string()),
    }
}

/// Effects of these services that are due and that this build knows, one at a time for each rollback: an effect that was
/// called off may still be at its last safe point. Pages don't wait for anything.
///
/// # Errors
/// As the database says.
pub async fn due(db: &Pool, services: &[ServiceId], now: At, limit: i64) -> Result<Vec<(String, ServiceId)>> {
    let sql = format!(
        "SELECT e.id, e.service FROM effects e WHERE e.status = 'pending' AND e.not_before <= $1 AND e.v <= $2 \
         AND (e.paging = 1 OR NOT EXISTS (SELECT 1 FROM effects b WHERE b.rollback = e.rollback \
              AND b.status IN ('claimed', 'cancelling') AND b.paging = 0)) \
         AND {} ORDER BY e.not_before LIMIT $3",
        one_of("e.service", services, 4)
    );
    let query = sqlx::query_as(AssertSqlSafe(sql)).bind(now).bind(EFFECT_VERSION).bind(limit);
    let rows: Vec<(String, String)> = bind_all(query, services).fetch_all(db).await?;
    Ok(rows.into_iter().map(|(id, service)| (id, ServiceId(service))).collect())
}

/// When the next effect of these services is due.
///
/// # Errors
/// As the database says.
pub async fn next_due(db: &Pool, services: &[ServiceId]) -> Result<Option<At>> {
    let sql = format!(
        "SELECT not_before FROM effects WHERE status = 'pending' AND v <= $1 AND {} ORDER BY not_before LIMIT 1",
        one_of("service", services, 2)
    );
    let query = sqlx::query_as(AssertSqlSafe(sql)).bind(EFFECT_VERSION);
    let row: Option<(At,)> = bind_all(query, services).fetch_optional(db).await?;
    Ok(row.map(|(at,)| at))
}

/// How many unfinished effects belong to none of these services: nobody here will ever run them.
///
/// # Errors
/// As the database says.
pub async fn foreign(db: &Pool, services: &[ServiceId]) -> Result<i64> {
    let sql = format!(
        "SELECT COUNT(*) FROM effects WHERE status IN ('pending', 'claimed', 'cancelling') AND NOT ({})",
        one_of("service", services, 1)
    );
    let (count,): (i64,) = bind_all(sqlx::query_as(AssertSqlSafe(sql)), services).fetch_one(db).await?;
    Ok(count)
}

/// Whether this effect was called off while it runs: asked at every safe point.
///
/// # Errors
/// As the database says.
pub async fn still_wanted(db: &Pool, id: &str, owner: &str) -> Result<bool> {
    let sql = "SELECT status FROM effects WHERE id = $1 AND owner = $2";
    let status: Option<String> =
        sqlx::query_scalar(sql).bind(id.to_owned()).bind(owner.to_owned()).fetch_optional(db).await?;
    Ok(status.as_deref() == Some("claimed"))
}

/// What an owner holds, whether it knows of it or not: an answer to a commit may have been lost.
///
/// # Errors
/// As the database says.
pub async fn held_by(db: &Pool, owner: &str) -> Result<Vec<Claimed>> {
    let sql = "SELECT id, rollback, service, owner, kind, attempts, created_at, body FROM effects \
               WHERE owner = $1 AND status IN ('claimed', 'cancelling')";
    let rows: Vec<Row> = sqlx::query_as(sql).bind(owner.to_owned()).fetch_all(db).await?;
    Ok(rows.into_iter().map(decode).collect())
}

const ORPHANED: &str = "NOT EXISTS (SELECT 1 FROM replicas r WHERE r.id = effects.owner)";

/// Whether somebody holds effects who takes no part any more: a commit of a replica that was struck off a moment before.
///
/// # Errors
/// As the database says.
pub async fn orphaned(db: &Pool) -> Result<bool> {
    let sql =
        format!("SELECT COUNT(*) FROM effects WHERE status IN ('claimed', 'cancelling') AND {ORPHANED}");
    let count: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(db).await?;
    Ok(count > 0)
}

/// How many are not finished.
///
/// # Errors
/// As the database says.
pub async fn unfinished(db: &Pool) -> Result<i64> {
    let sql = "SELECT COUNT(*) FROM effects WHERE status IN ('pending', 'claimed', 'cancelling')";
    Ok(sqlx::query_scalar(sql).fetch_one(db).await?)
}

/// How many of a service are not finished.
///
/// # Errors
/// As the database says.
pub async fn unfinished_of(db: &Pool, service: &ServiceId) -> Result<i64> {
    let sql =
        "SELECT COUNT(*) FROM effects WHERE service = $1 AND status IN ('pending', 'claimed', 'cancelling')";
    Ok(sqlx::query_scalar(sql).bind(service.0.clone()).fetch_one(db).await?)
}

impl Tx {
    /// Writes an effect down. With an owner, and when it is due at once, it is claimed in the same breath.
    ///
    /// # Errors
    /// As the database says.
    pub async fn add_effect(
        &mut self,
        id: &str,
        rollback: RollbackId,
        service: &ServiceId,
        request: &Request,
        at: At,
        owner: Option<&str>,
    ) -> Result<Option<Claimed>> {
        let effect = &request.effect;
        let body = serde_json::to_string(effect).map_err(|e| StoreError::undecodable(id, e))?;
        let owner = owner.filter(|_| request.after == 0);
        let sql = "INSERT INTO effects (id, rollback, service, kind, v, body, paging, status, attempts, not_before, \
                   owner, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
        sqlx::query(sql)
            .bind(id.to_owned())
            .bind(rollback.0)
            .bind(service.0.clone())
            .bind(effect.kind().to_owned())
            .bind(effect.version())
            .bind(clean(&body))
            .bind(i64::from(effect.is_paging()))
            .bind(if owner.is_some() { "claimed" } else { "pending" }.to_owned())
            .bind(i64::from(owner.is_some()))
            .bind(at + request.after)
            .bind(owner.map(str::to_owned))
            .bind(at)
            .execute(self.conn())
            .await?;
        Ok(owner.map(|owner| Claimed {
            id: id.to_owned(),
            rollback,
            service: service.clone(),
            owner: owner.to_owned(),
            kind: effect.kind().to_owned(),
            attempts: 1,
            created_at: at,
            effect: Ok(effect.clone()),
        }))
    }

    /// Whether work of this rollback is still held by somebody: nothing new is claimed beside it.
    ///
    /// # Errors
    /// As the database says.
    pub async fn work_is_held(&mut self, rollback: RollbackId) -> Result<bool> {
        let sql = "SELECT COUNT(*) FROM effects WHERE rollback = $1 AND paging = 0 \
                   AND status IN ('claimed', 'cancelling')";
        let held: i64 = sqlx::query_scalar(sql).bind(rollback.0).fetch_one(self.conn()).await?;
        Ok(held > 0)
    }

    /// Claims one effect, unless somebody else did.
    ///
    /// # Errors
    /// As the database says.
    pub async fn claim(&mut self, id: &str, owner: &str) -> Result<Option<Claimed>> {
        let sql = "UPDATE effects SET status = 'claimed', owner = $2, attempts = attempts + 1 \
                   WHERE id = $1 AND status = 'pending' \
                   AND (paging = 1 OR NOT EXISTS (SELECT 1 FROM effects b WHERE b.rollback = effects.rollback \
                        AND b.status IN ('claimed', 'cancelling') AND b.paging = 0)) \
                   RETURNING id, rollback, service, owner, kind, attempts, created_at, body";
        let row: Option<Row> = sqlx::query_as(sql)
            .bind(id.to_owned())
            .bind(owner.to_owned())
            .fetch_optional(self.conn())
            .await?;
        Ok(row.map(decode))
    }

    /// Calls off everything of a rollback but pages. What runs is told at its next safe point.
    ///
    /// # Errors
    /// As the database says.
    pub async fn cancel_work(&mut self, rollback: RollbackId, at: At) -> Result<()> {
        let pending = "UPDATE effects SET status = 'cancelled', finished_at = $2 \
                       WHERE rollback = $1 AND status = 'pending' AND paging = 0";
        sqlx::query(pending).bind(rollback.0).bind(at).execute(self.conn()).await?;
        let running = "UPDATE effects SET status = 'cancelling' \
                       WHERE rollback = $1 AND status = 'claimed' AND paging = 0";
        sqlx::query(running).bind(rollback.0).execute(self.conn()).await?;
        Ok(())
    }

    /// Finishes an effect. False: it is no longer this owner's, or was called off; its outcome is stale.
    ///
    /// # Errors
    /// As the database says.
    pub async fn finish_effect(
        &mut self,
        id: &str,
        owner: &str,
        status: &str,
        outcome: &str,
        at: At,
    ) -> Result<bool> {
        let sql = "UPDATE effects SET status = CASE WHEN status = 'cancelling' THEN 'cancelled' ELSE $3 END, \
                   outcome = $4, finished_at = $5, owner = NULL \
                   WHERE id = $1 AND owner = $2 AND status IN ('claimed', 'cancelling') RETURNING status";
        let status_now: Option<String> = sqlx::query_scalar(sql)
            .bind(id.to_owned())
            .bind(owner.to_owned())
            .bind(status.to_owned())
            .bind(clean(outcome))
            .bind(at)
            .fetch_optional(self.conn())
            .await?;
        Ok(status_now.is_some_and(|now| now != "cancelled"))
    }

    /// Gives an effect back, to be run again later. `fresh`: it did what it should and just isn't over; its attempts count from
    /// the beginning again.
    ///
    /// # Errors
    /// As the database says.
    pub async fn postpone_effect(
        &mut self,
        id: &str,
        owner: &str,
        not_before: At,
        why: &str,
        fresh: bool,
    ) -> Result<bool> {
        let sql = "UPDATE effects SET status = CASE WHEN status = 'cancelling' THEN 'cancelled' ELSE 'pending' END, \
                   owner = NULL, not_before = $3, outcome = $4, \
                   attempts = CASE WHEN $5 = 1 THEN 0 ELSE attempts END \
                   WHERE id = $1 AND owner = $2 AND status IN ('claimed', 'cancelling')";
        let done = sqlx::query(sql)
            .bind(id.to_owned())
            .bind(owner.to_owned())
            .bind(not_before)
            .bind(clean(why))
            .bind(i64::from(fresh))
            .execute(self.conn())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// What is held by nobody who takes part is free again.
    ///
    /// # Errors
    /// As the database says.
    pub async fn release_orphans(&mut self) -> Result<u64> {
        let mut freed = 0;
        for (held, free) in [("cancelling", "cancelled"), ("claimed", "pending")] {
            let sql =
                format!("UPDATE effects SET status = $2, owner = NULL WHERE status = $1 AND {ORPHANED}");
            let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(held.to_owned()).bind(free.to_owned());
            freed += query.execute(self.conn()).await?.rows_affected();
        }
        Ok(freed)
    }

    /// What others held of this service is free again: they don't execute it any more.
    ///
    /// # Errors
    /// As the database says.
    pub async fn release_service(&mut self, service: &ServiceId, own: &str) -> Result<u64> {
        let mut freed = 0;
        for (held, free) in [("cancelling", "cancelled"), ("claimed", "pending")] {
            let sql = "UPDATE effects SET status = $2, owner = NULL WHERE status = $1 AND service = $3 AND owner <> $4";
            let query = sqlx::query(sql).bind(held.to_owned()).bind(free.to_owned());
            let query = query.bind(service.0.clone()).bind(own.to_owned());
            freed += query.execute(self.conn()).await?.rows_affected();
        }
        Ok(freed)
    }

    /// What a dead owner held is free again.
    ///
    /// # Errors
    /// As the database says.
    pub async fn release_effects(&mut self, owner: &str) -> Result<u64> {
        let whose = "owner = $1";
        let owner = owner.to_owned();
        let called_off = format!(
            "UPDATE effects SET status = 'cancelled', owner = NULL WHERE status = 'cancelling' AND {whose}"
        );
        sqlx::query(sqlx::AssertSqlSafe(called_off)).bind(owner.clone()).execute(self.conn()).await?;
        let freed = format!(
            "UPDATE effects SET status = 'pending', owner = NULL WHERE status = 'claimed' AND {whose}"
        );
        Ok(sqlx::query(sqlx::AssertSqlSafe(freed)).bind(owner).execute(self.conn()).await?.rows_affected())
    }
}
