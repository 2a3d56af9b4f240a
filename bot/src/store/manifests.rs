//! What registries said of digests: which manifests an image index names. Found by digest, so it never changes.

use std::collections::{BTreeMap, BTreeSet};

use lastgood_core::{Digest, ServiceId};

use super::{Pool, Result, StoreError, Tx};

type Row = (String, String);

fn decode(rows: Vec<Row>) -> Result<BTreeMap<Digest, BTreeSet<Digest>>> {
    let wrong = |error| StoreError::undecodable("manifests", error);
    let mut known: BTreeMap<Digest, BTreeSet<Digest>> = BTreeMap::new();
    for (image, manifest) in rows {
        let image = Digest::try_from(image).map_err(wrong)?;
        let manifest = Digest::try_from(manifest).map_err(wrong)?;
        let named = known.entry(image.clone()).or_default();
        if manifest != image {
            named.insert(manifest);
        }
    }
    Ok(known)
}

/// Of the newest `limit` releases of a service, and of everything that is marked for it, what is known; what is no index names nothing.
///
/// # Errors
/// As the database says, or when a row can't be decoded.
pub async fn of_service(
    db: &Pool,
    service: &ServiceId,
    limit: i64,
) -> Result<BTreeMap<Digest, BTreeSet<Digest>>> {
    let sql = "SELECT image, manifest FROM manifests WHERE image IN (SELECT digest FROM (SELECT digest FROM releases \
               WHERE service = $1 ORDER BY at DESC, id DESC LIMIT $2) AS newest) \
               OR image IN (SELECT digest FROM marks WHERE service = $1)";
    decode(sqlx::query_as(sql).bind(service.0.clone()).bind(limit).fetch_all(db).await?)
}

/// What is known of one digest.
///
/// # Errors
/// As `of_service`.
pub async fn of_digest(db: &Pool, digest: &Digest) -> Result<Option<BTreeSet<Digest>>> {
    let sql = "SELECT image, manifest FROM manifests WHERE image = $1";
    let rows = sqlx::query_as(sql).bind(digest.to_string()).fetch_all(db).await?;
    Ok(decode(rows)?.remove(digest))
}

impl Tx {
    /// Keeps what a registry said of a digest.
    ///
    /// # Errors
    /// As the database says.
    pub async fn keep_manifests(&mut self, image: &Digest, manifests: &BTreeSet<Digest>) -> Result<()> {
        let sql = "INSERT INTO manifests (image, manifest) VALUES ($1, $2) ON CONFLICT (image, manifest) DO NOTHING";
        let itself = std::iter::once(image);
        for manifest in manifests.iter().chain(itself) {
            sqlx::query(sql).bind(image.to_string()).bind(manifest.to_string()).execute(self.conn()).await?;
        }
        Ok(())
    }
}
