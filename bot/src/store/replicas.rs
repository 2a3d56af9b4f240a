//! Who executes. Clocks are never compared: a replica's counter moves, or it does not.

use super::{Pool, Result, Tx};

/// All replicas with their counters.
///
/// # Errors
/// As the database says.
pub async fn all(db: &Pool) -> Result<Vec<(String, i64)>> {
    Ok(sqlx::query_as("SELECT id, beat FROM replicas").fetch_all(db).await?)
}

impl Tx {
    /// # Errors
    /// As the database says.
    pub async fn join(&mut self, id: &str) -> Result<()> {
        let sql = "INSERT INTO replicas (id, beat) VALUES ($1, 1)";
        sqlx::query(sql).bind(id.to_owned()).execute(self.conn()).await?;
        Ok(())
    }

    /// False: this replica was struck off, and what it held belongs to others.
    ///
    /// # Errors
    /// As the database says.
    pub async fn beat(&mut self, id: &str) -> Result<bool> {
        let sql = "UPDATE replicas SET beat = beat + 1 WHERE id = $1";
        Ok(sqlx::query(sql).bind(id.to_owned()).execute(self.conn()).await?.rows_affected() == 1)
    }

    /// Strikes a replica off whose counter still is what was seen. False: it moved after all.
    ///
    /// # Errors
    /// As the database says.
    pub async fn strike_off(&mut self, id: &str, seen: i64) -> Result<bool> {
        let sql = "DELETE FROM replicas WHERE id = $1 AND beat = $2";
        if sqlx::query(sql).bind(id.to_owned()).bind(seen).execute(self.conn()).await?.rows_affected() == 0 {
            return Ok(false);
        }
        self.leave(id).await?;
        Ok(true)
    }

    /// Gives back all that a replica holds, itself included.
    ///
    /// # Errors
    /// As the database says.
    pub async fn leave(&mut self, id: &str) -> Result<()> {
        for sql in ["DELETE FROM replicas WHERE id = $1", "DELETE FROM roles WHERE owner = $1"] {
            sqlx::query(sql).bind(id.to_owned()).execute(self.conn()).await?;
        }
        self.release_effects(id).await?;
        Ok(())
    }

    /// Whether this replica has the role now, taking it when nobody has it.
    ///
    /// # Errors
    /// As the database says.
    pub async fn take_role(&mut self, role: &str, id: &str) -> Result<bool> {
        let sql = "INSERT INTO roles (name, owner) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
        sqlx::query(sql).bind(role.to_owned()).bind(id.to_owned()).execute(self.conn()).await?;
        let owner: String = sqlx::query_scalar("SELECT owner FROM roles WHERE name = $1")
            .bind(role.to_owned())
            .fetch_one(self.conn())
            .await?;
        Ok(owner == id)
    }

    /// Gives a role back.
    ///
    /// # Errors
    /// As the database says.
    pub async fn leave_role(&mut self, role: &str, id: &str) -> Result<()> {
        let sql = "DELETE FROM roles WHERE name = $1 AND owner = $2";
        sqlx::query(sql).bind(role.to_owned()).bind(id.to_owned()).execute(self.conn()).await?;
        Ok(())
    }
}
