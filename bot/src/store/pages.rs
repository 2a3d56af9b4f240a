//! Pages as pagers know them, and the runs that each stands for.

use lastgood_core::{At, RollbackId, ServiceId};

use super::{Pool, Result, StoreError, Tx, clean};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Somebody is called until they come.
    Open,
    Acknowledged,
    Resolved,
}

impl State {
    const ALL: [Self; 3] = [Self::Open, Self::Acknowledged, Self::Resolved];

    fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The pager's name in the configuration.
    pub pager: String,
    /// What the pager knows it by.
    pub key: String,
    /// What it shows, in case it does not tell the key.
    pub tag: String,
    pub state: State,
    /// When a call for it was last begun, in milliseconds since 1970; 0 before the first.
    pub rung_at: At,
    /// By which run.
    pub rung_by: RollbackId,
}

/// A run whose calls a page stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub rollback: RollbackId,
    /// The first call for the run's reason.
    pub escalation: u32,
    pub target: u32,
    pub service: ServiceId,
    /// The run needs nobody any more.
    pub ended: bool,
}

type Row = (String, String, String, String, i64, i64);

fn decode((pager, key, tag, state, rung_at, rung_by): Row) -> Result<Page> {
    let known = State::ALL.into_iter().find(|one| one.as_str() == state);
    let undecodable = || StoreError::undecodable("pages", format!("there is no state {state:?}"));
    let state = known.ok_or_else(undecodable)?;
    Ok(Page { pager, key, tag, state, rung_at, rung_by: RollbackId(rung_by) })
}

const ROW: &str = "SELECT p.pager, p.key, p.tag, p.state, p.rung_at, p.rung_by FROM pages p";

/// A number that was written from a `u32`.
fn number(value: i64) -> Result<u32> {
    u32::try_from(value).map_err(|error| StoreError::undecodable("page_members", error))
}

/// Pages by key (one for each pager that was called by it) or by tag.
///
/// # Errors
/// As the database says, or when a row can't be decoded.
pub async fn named(db: &Pool, key_or_tag: &str) -> Result<Vec<Page>> {
    let sql = format!("{ROW} WHERE p.key = $1 OR p.tag = $1 ORDER BY p.pager, p.key");
    let query = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(clean(key_or_tag));
    query.fetch_all(db).await?.into_iter().map(decode).collect()
}

/// Whom a page stands for, the oldest run first.
///
/// # Errors
/// As the database says, or when a row can't be decoded.
pub async fn members(db: &Pool, page: &Page) -> Result<Vec<Member>> {
    let rows = sqlx::query_as(MEMBERS).bind(page.pager.clone()).bind(page.key.clone()).fetch_all(db).await?;
    rows.into_iter().map(member).collect()
}

const MEMBERS: &str = "SELECT rollback, escalation, target, service, ended FROM page_members \
                       WHERE pager = $1 AND key = $2 ORDER BY rollback, escalation, target";

fn member((rollback, escalation, target, service, ended): (i64, i64, i64, String, i64)) -> Result<Member> {
    Ok(Member {
        rollback: RollbackId(rollback),
        escalation: number(escalation)?,
        target: number(target)?,
        service: ServiceId(service),
        ended: ended != 0,
    })
}

impl Tx {
    /// Serialises this transaction with every other one about this pager's pages.
    ///
    /// # Errors
    /// As the database says.
    pub async fn lock_pager(&mut self, pager: &str) -> Result<()> {
        let sql = "INSERT INTO pagers (name, version) VALUES ($1, 1) \
                   ON CONFLICT (name) DO UPDATE SET version = pagers.version + 1";
        sqlx::query(sql).bind(clean(pager)).execute(self.conn()).await?;
        Ok(())
    }

    /// The page that stands for a run's calls to a target, for the reason that `escalation` was the first call for.
    ///
    /// # Errors
    /// As the database says, or when the row can't be decoded.
    pub async fn page_of(
        &mut self,
        rollback: RollbackId,
        escalation: u32,
        target: u32,
    ) -> Result<Option<Page>> {
        let sql = format!(
            "{ROW} JOIN page_members m ON m.pager = p.pager AND m.key = p.key \
             WHERE m.rollback = $1 AND m.escalation = $2 AND m.target = $3"
        );
        let query = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(rollback.0)
            .bind(i64::from(escalation))
            .bind(i64::from(target));
        query.fetch_optional(self.conn()).await?.map(decode).transpose()
    }

    /// Pages that were opened since a time and that somebody is called for, the newest first.
    ///
    /// # Errors
    /// As the database says, or when a row can't be decoded.
    pub async fn open_pages(&mut self, pager: &str, since: At) -> Result<Vec<Page>> {
        let sql = format!(
            "{ROW} WHERE p.pager = $1 AND p.state = 'open' AND p.opened_at >= $2 ORDER BY p.opened_at DESC, p.key"
        );
        let query = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(clean(pager)).bind(since);
        query.fetch_all(self.conn()).await?.into_iter().map(decode).collect()
    }

    /// # Errors
    /// As the database says, or when a row can't be decoded.
    pub async fn page_members(&mut self, page: &Page) -> Result<Vec<Member>> {
        let query = sqlx::query_as(MEMBERS).bind(page.pager.clone()).bind(page.key.clone());
        query.fetch_all(self.conn()).await?.into_iter().map(member).collect()
    }

    /// Writes a page down before its pager hears of it. Known already: that is the page.
    ///
    /// # Errors
    /// As the database says.
    pub async fn open_page(&mut self, page: &Page, at: At) -> Result<()> {
        let sql = "INSERT INTO pages (pager, key, tag, state, opened_at, rung_at, rung_by) \
                   VALUES ($1, $2, $3, 'open', $4, 0, 0) ON CONFLICT (pager, key) DO NOTHING";
        sqlx::query(sql)
            .bind(clean(&page.pager))
            .bind(clean(&page.key))
            .bind(page.tag.clone())
            .bind(at)
            .execute(self.conn())
            .await?;
        Ok(())
    }

    /// From now on the page stands for this run's calls, too.
    ///
    /// # Errors
    /// As the database says.
    pub async fn join_page(&mut self, page: &Page, member: &Member) -> Result<()> {
        let sql = "INSERT INTO page_members (rollback, escalation, target, service, pager, key, ended) \
                   VALUES ($1, $2, $3, $4, $5, $6, 0)";
        sqlx::query(sql)
            .bind(member.rollback.0)
            .bind(i64::from(member.escalation))
            .bind(i64::from(member.target))
            .bind(member.service.0.clone())
            .bind(clean(&page.pager))
            .bind(clean(&page.key))
            .execute(self.conn())
            .await?;
        Ok(())
    }

    /// A run begins to call for it.
    ///
    /// # Errors
    /// As the database says.
    pub async fn ring_page(&mut self, page: &Page, by: RollbackId, at: At) -> Result<()> {
        let sql = "UPDATE pages SET rung_at = $3, rung_by = $4 WHERE pager = $1 AND key = $2";
        sqlx::query(sql)
            .bind(page.pager.clone())
            .bind(page.key.clone())
            .bind(at)
            .bind(by.0)
            .execute(self.conn())
            .await?;
        Ok(())
    }

    /// A page that was resolved stays so.
    ///
    /// # Errors
    /// As the database says.
    pub async fn set_page(&mut self, page: &Page, state: State) -> Result<()> {
        let sql = "UPDATE pages SET state = $3 WHERE pager = $1 AND key = $2 AND state <> 'resolved'";
        sqlx::query(sql)
            .bind(page.pager.clone())
            .bind(page.key.clone())
            .bind(state.as_str().to_owned())
            .execute(self.conn())
            .await?;
        Ok(())
    }

    /// The run needs nobody any more.
    ///
    /// # Errors
    /// As the database says.
    pub async fn leave_page(&mut self, rollback: RollbackId, escalation: u32, target: u32) -> Result<()> {
        let sql = "UPDATE page_members SET ended = 1 WHERE rollback = $1 AND escalation = $2 AND target = $3";
        sqlx::query(sql)
            .bind(rollback.0)
            .bind(i64::from(escalation))
            .bind(i64::from(target))
            .execute(self.conn())
            .await?;
        Ok(())
    }
}
