//! The inventory: releases and marks.

use lastgood_core::{
    Artifact, At, Digest, ReleaseId, RollbackId, ServiceId,
    inventory::{Origin, Phase, Release, Stability},
};

use super::{Pool, Result, StoreError, Tx, clean};

type Row = (
    i64,
    String,
    String,
    String,
    String,
    Option<String>,
    i64,
    Option<String>,
    Option<String>,
    Option<String>,
    String,
);

const COLUMNS: &str = "id, service, version, digest, phase, pool, at, recorded_by, url, irreversible, origin";

fn decode(row: Row) -> Result<Release> {
    let (id, service, version, digest, phase, pool, at, by, url, irreversible, origin) = row;
    let wrong =
        |error: lastgood_core::words::Malformed| StoreError::undecodable(format!("release {id}"), error);
    Ok(Release {
        id: ReleaseId(id),
        service: ServiceId(service),
        artifact: Artifact { version, digest: Digest::try_from(digest).map_err(wrong)? },
        phase: phase.parse().map_err(wrong)?,
        pool,
        at,
        by,
        url,
        irreversible,
        origin: if origin == "rollback" { Origin::Rollback } else { Origin::Recorded },
    })
}

/// The newest releases of a service.
///
/// # Errors
/// As the database says, or when a row can't be decoded.
pub async fn newest(db: &Pool, service: &ServiceId, limit: i64) -> Result<Vec<Release>> {
    let sql = format!("SELECT {COLUMNS} FROM releases WHERE service = $1 ORDER BY at DESC, id DESC LIMIT $2");
    let rows: Vec<Row> =
        sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(service.0.clone()).bind(limit).fetch_all(db).await?;
    rows.into_iter().map(decode).collect()
}

/// The last record that named this pool.
///
/// # Errors
/// As `newest`.
pub async fn last_in_pool(db: &Pool, service: &ServiceId, pool: &str) -> Result<Option<Release>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM releases WHERE service = $1 AND pool = $2 ORDER BY at DESC, id DESC LIMIT 1"
    );
    let row: Option<Row> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(service.0.clone())
        .bind(pool.to_owned())
        .fetch_optional(db)
        .await?;
    row.map(decode).transpose()
}

/// The newest releases that may be in any pool, at most 20: recorded as serving traffic, but without their pool, after `last` (the
/// last record of the pool that is asked about; none: at any time), with other bytes, and not recorded with a pool since.
///
/// # Errors
/// As `newest`.
pub async fn unplaced_since(db: &Pool, service: &ServiceId, last: Option<&Release>) -> Result<Vec<Release>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM releases AS unplaced WHERE service = $1 AND pool IS NULL AND phase <> 'preview' \
         AND digest <> $2 AND (at > $3 OR (at = $3 AND id > $4)) AND NOT EXISTS (SELECT 1 FROM releases AS placed \
         WHERE placed.service = unplaced.service AND placed.digest = unplaced.digest AND placed.pool IS NOT NULL \
         AND placed.at >= unplaced.at) ORDER BY at DESC, id DESC LIMIT 20"
    );
    let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(service.0.clone())
        .bind(last.map(|last| last.artifact.digest.to_string()).unwrap_or_default())
        .bind(last.map_or(At::MIN, |last| last.at))
        .bind(last.map_or(0, |last| last.id.0))
        .fetch_all(db)
        .await?;
    rows.into_iter().map(decode).collect()
}

/// Whether the digest was ever recorded for the service.
///
/// # Errors
/// As the database says.
pub async fn knows(db: &Pool, service: &ServiceId, digest: &Digest) -> Result<bool> {
    let sql =
        "SELECT COUNT(*) FROM (SELECT 1 FROM releases WHERE service = $1 AND digest = $2 LIMIT 1) AS found";
    let count: i64 =
        sqlx::query_scalar(sql).bind(service.0.clone()).bind(digest.to_string()).fetch_one(db).await?;
    Ok(count > 0)
}

/// A version or a digest's beginning that a person typed, as recorded artifacts.
///
/// # Errors
/// As `newest`.
pub async fn named(db: &Pool, service: &ServiceId, word: &str) -> Result<Vec<Artifact>> {
    let all = newest(db, service, 1000).await?;
    let mut found: Vec<Artifact> = Vec::new();
    for release in all {
        let known = found.iter().any(|a| a.digest == release.artifact.digest);
        if !known && lastgood_core::inventory::choice::names(&release.artifact, word) {
            found.push(release.artifact);
        }
    }
    Ok(found)
}

/// A mark as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    pub digest: Digest,
    pub stability: Stability,
    pub rollback: Option<RollbackId>,
    pub actor: String,
    pub at: At,
}

type MarkRow = (String, String, String, i64, Option<i64>, String, i64);

fn decode_mark((digest, stability, why, provisional, rollback, actor, at): MarkRow) -> Result<Mark> {
    let digest = Digest::try_from(digest).map_err(|e| StoreError::undecodable("mark", e))?;
    let stability = match stability.as_str() {
        "stable" => Stability::Stable { by_person: true },
        _ => Stability::Unstable { why, provisional: provisional == 1 },
    };
    Ok(Mark { digest, stability, rollback: rollback.map(RollbackId), actor, at })
}

const MARK: &str =
    "SELECT digest, stability, why, provisional, rollback, actor, at FROM marks WHERE service = $1";

/// All marks of a service.
///
/// # Errors
/// As `newest`.
pub async fn marks(db: &Pool, service: &ServiceId) -> Result<Vec<Mark>> {
    let rows: Vec<MarkRow> = sqlx::query_as(MARK).bind(service.0.clone()).fetch_all(db).await?;
    rows.into_iter().map(decode_mark).collect()
}

/// Marks of the newest `limit` releases of a service, and of the manifests that their images name.
///
/// # Errors
/// As `newest`.
pub async fn newest_marks(db: &Pool, service: &ServiceId, limit: i64) -> Result<Vec<Mark>> {
    let sql = format!(
        "WITH newest AS (SELECT digest FROM releases WHERE service = $1 ORDER BY at DESC, id DESC LIMIT $2) {MARK} \
         AND (digest IN (SELECT digest FROM newest) OR digest IN (SELECT manifest FROM manifests WHERE image IN \
         (SELECT digest FROM newest)))"
    );
    let rows: Vec<MarkRow> =
        sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(service.0.clone()).bind(limit).fetch_all(db).await?;
    rows.into_iter().map(decode_mark).collect()
}

/// The mark of one digest.
///
/// # Errors
/// As `newest`.
pub async fn mark_of(db: &Pool, service: &ServiceId, digest: &Digest) -> Result<Option<Mark>> {
    let sql = format!("{MARK} AND digest = $2");
    let row: Option<MarkRow> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(service.0.clone())
        .bind(digest.to_string())
        .fetch_optional(db)
        .await?;
    row.map(decode_mark).transpose()
}

/// A release to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRelease {
    pub service: ServiceId,
    pub artifact: Artifact,
    pub phase: Phase,
    pub pool: Option<String>,
    pub at: At,
    pub by: Option<String>,
    pub url: Option<String>,
    pub irreversible: Option<String>,
    pub origin: Origin,
    /// The sender's id of this deployment: the same id again changes nothing.
    pub delivery: String,
}

impl Tx {
    /// The release's id, and whether it is new.
    ///
    /// # Errors
    /// As the database says.
    pub async fn add_release(&mut self, new: &NewRelease, now: At) -> Result<(ReleaseId, bool)> {
        let known = "SELECT id FROM releases WHERE service = $1 AND delivery = $2";
        let found: Option<i64> = sqlx::query_scalar(known)
            .bind(new.service.0.clone())
            .bind(clean(&new.delivery))
            .fetch_optional(self.conn())
            .await?;
        if let Some(id) = found {
            return Ok((ReleaseId(id), false));
        }
        let id = self.number("release").await?;
        let sql = "INSERT INTO releases (id, service, version, digest, phase, pool, at, recorded_at, recorded_by, url, \
                   irreversible, origin, delivery) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
        sqlx::query(sql)
            .bind(id)
            .bind(new.service.0.clone())
            .bind(clean(&new.artifact.version))
            .bind(new.artifact.digest.to_string())
            .bind(new.phase.as_str().to_owned())
            .bind(new.pool.as_deref().map(clean))
            .bind(new.at)
            .bind(now)
            .bind(new.by.as_deref().map(clean))
            .bind(new.url.as_deref().map(clean))
            .bind(new.irreversible.as_deref().map(clean))
            .bind(if new.origin == Origin::Rollback { "rollback" } else { "recorded" }.to_owned())
            .bind(clean(&new.delivery))
            .execute(self.conn())
            .await?;
        Ok((ReleaseId(id), true))
    }

    /// Marks a digest. A person's word is replaced only by a later word, or by a rollback that proves it wrong.
    ///
    /// # Errors
    /// As the database says.
    pub async fn set_mark(
        &mut self,
        service: &ServiceId,
        digest: &Digest,
        stability: &Stability,
        rollback: Option<RollbackId>,
        actor: &str,
        at: At,
    ) -> Result<()> {
        let (word, why, provisional) = match stability {
            Stability::Unproven => return self.clear_mark(service, digest).await,
            Stability::Stable { .. } => ("stable", "", false),
            Stability::Unstable { why, provisional } => ("unstable", why.as_str(), *provisional),
        };
        let sql = "INSERT INTO marks (service, digest, stability, why, provisional, rollback, actor, at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (service, digest) DO UPDATE SET \
                   stability = excluded.stability, why = excluded.why, provisional = excluded.provisional, \
                   rollback = excluded.rollback, actor = excluded.actor, at = excluded.at";
        sqlx::query(sql)
            .bind(service.0.clone())
            .bind(digest.to_string())
            .bind(word.to_owned())
            .bind(clean(why))
            .bind(i64::from(provisional))
            .bind(rollback.map(|id| id.0))
            .bind(clean(actor))
            .bind(at)
            .execute(self.conn())
            .await?;
        Ok(())
    }

    async fn clear_mark(&mut self, service: &ServiceId, digest: &Digest) -> Result<()> {
        let sql = "DELETE FROM marks WHERE service = $1 AND digest = $2";
        sqlx::query(sql).bind(service.0.clone()).bind(digest.to_string()).execute(self.conn()).await?;
        Ok(())
    }

    /// The mark of a digest, read in this transaction.
    ///
    /// # Errors
    /// As [`newest`].
    pub async fn mark_of(&mut self, service: &ServiceId, digest: &Digest) -> Result<Option<Mark>> {
        let sql = format!("{MARK} AND digest = $2");
        let row: Option<MarkRow> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(service.0.clone())
            .bind(digest.to_string())
            .fetch_optional(self.conn())
            .await?;
        row.map(decode_mark).transpose()
    }

    /// Takes back a provisional mark of this rollback; a permanent one, or another's, stays.
    ///
    /// # Errors
    /// As the database says.
    pub async fn lift_mark(
        &mut self,
        service: &ServiceId,
        digest: &Digest,
        rollback: RollbackId,
    ) -> Result<()> {
        let sql =
            "DELETE FROM marks WHERE service = $1 AND digest = $2 AND rollback = $3 AND provisional = 1";
        sqlx::query(sql)
            .bind(service.0.clone())
            .bind(digest.to_string())
            .bind(rollback.0)
            .execute(self.conn())
            .await?;
        Ok(())
    }

    /// The release was innocent: no mark, and nothing is held against its artifact by this rollback any more.
    ///
    /// # Errors
    /// As the database says.
    pub async fn acquit(&mut self, service: &ServiceId, digest: &Digest) -> Result<()> {
        let sql = "UPDATE rollbacks SET blamed = 0 WHERE service = $1 AND failing = $2 AND active = 0";
        sqlx::query(sql).bind(service.0.clone()).bind(digest.to_string()).execute(self.conn()).await?;
        self.clear_mark(service, digest).await
    }
}
