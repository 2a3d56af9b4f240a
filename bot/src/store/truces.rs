//! Who stands still for a thread's rollbacks, and what became of it.

use lastgood_core::{Actor, At, RollbackId, ServiceId, ThreadId};

use super::{Pool, Result, StoreError, Tx, clean};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Held,
    /// Somebody asked that they go on, and that is being done.
    Resuming,
    /// They were not let go: it would take the rollback back.
    Warned,
    /// They could not be let go.
    Failed,
    Resumed,
}

impl State {
    const ALL: [Self; 5] = [Self::Held, Self::Resuming, Self::Warned, Self::Failed, Self::Resumed];

    fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Resuming => "resuming",
            Self::Warned => "warned",
            Self::Failed => "failed",
            Self::Resumed => "resumed",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truce {
    pub thread: ThreadId,
    pub service: ServiceId,
    /// The last run that it was made for.
    pub rollback: RollbackId,
    /// In words, one or several.
    pub who: String,
    pub state: State,
    /// Why they were not let go.
    pub detail: String,
    /// Who asked for the last change; empty for lastgood itself.
    pub actor: String,
    pub at: At,
    pub revision: i64,
}

type Row = (i64, String, i64, String, String, String, String, i64, i64);

fn decode((thread, service, rollback, who, state, detail, actor, at, revision): Row) -> Result<Truce> {
    let known = State::ALL.into_iter().find(|one| one.as_str() == state);
    let undecodable = || StoreError::undecodable("truces", format!("there is no state {state:?}"));
    Ok(Truce {
        thread: ThreadId(thread),
        service: ServiceId(service),
        rollback: RollbackId(rollback),
        who,
        state: known.ok_or_else(undecodable)?,
        detail,
        actor,
        at,
        revision,
    })
}

const ROW: &str =
    "SELECT thread, service, rollback, who, state, detail, actor, at, revision FROM truces WHERE thread = $1";

/// # Errors
/// As the database says.
pub async fn of_thread(db: &Pool, thread: ThreadId) -> Result<Option<Truce>> {
    let row: Option<Row> = sqlx::query_as(ROW).bind(thread.0).fetch_optional(db).await?;
    row.map(decode).transpose()
}

/// Those in force, the oldest first.
///
/// # Errors
/// As the database says.
pub async fn in_force(db: &Pool) -> Result<Vec<Truce>> {
    let sql = "SELECT thread, service, rollback, who, state, detail, actor, at, revision FROM truces \
               WHERE state <> 'resumed' ORDER BY at LIMIT 200";
    let rows: Vec<Row> = sqlx::query_as(sql).fetch_all(db).await?;
    rows.into_iter().map(decode).collect()
}

impl Tx {
    /// # Errors
    /// As the database says.
    pub async fn truce(&mut self, thread: ThreadId) -> Result<Option<Truce>> {
        let row: Option<Row> = sqlx::query_as(ROW).bind(thread.0).fetch_optional(self.conn()).await?;
        row.map(decode).transpose()
    }

    /// Somebody stands still for a run. The same once more changes nothing.
    ///
    /// # Errors
    /// As the database says.
    pub async fn hold(
        &mut self,
        (thread, service, rollback): (ThreadId, &ServiceId, RollbackId),
        who: &str,
        at: At,
    ) -> Result<()> {
        let sql = "INSERT INTO truces (thread, service, rollback, who, state, detail, actor, at, revision) \
                   VALUES ($1, $2, $3, $4, 'held', '', '', $5, 1) \
                   ON CONFLICT (thread) DO UPDATE SET rollback = $3, who = $4, state = 'held', detail = '', actor = '', \
                   at = $5, revision = truces.revision + 1 WHERE truces.state <> 'held' OR truces.who <> $4";
        sqlx::query(sql)
            .bind(thread.0)
            .bind(service.0.clone())
            .bind(rollback.0)
            .bind(clean(who))
            .bind(at)
            .execute(self.conn())
            .await?;
        Ok(())
    }

    /// # Errors
    /// As the database says.
    pub async fn set_truce(
        &mut self,
        thread: ThreadId,
        state: State,
        detail: &str,
        by: Option<&Actor>,
        at: At,
    ) -> Result<()> {
        let sql = "UPDATE truces SET state = $2, detail = $3, actor = $4, at = $5, revision = revision + 1 WHERE thread = $1";
        sqlx::query(sql)
            .bind(thread.0)
            .bind(state.as_str().to_owned())
            .bind(clean(detail))
            .bind(by.map(|by| clean(&by.id)).unwrap_or_default())
            .bind(at)
            .execute(self.conn())
            .await?;
        Ok(())
    }
}
