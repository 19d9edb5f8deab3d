//! Search, in up to three steps, each with a bound on its work:
//!
//! 1. The index is asked for what matches, up to [`PROBE`] rows. A rare term ends here: these few
//!    are filtered and sorted. What was common before goes to the next step at once.
//! 2. A common term is met soon by walking along the names from the cursor: at most [`WALK`] rows,
//!    no sorting.
//! 3. What is common but far away is taken from the index and sorted.

use async_trait::async_trait;
use peral_model::search::Term;
use peral_wire::rest::{Page, files::File};
use sqlx::{FromRow, QueryBuilder, Row};
use uuid::Uuid;

use super::{Conn, Database, Sql, terms};
use crate::store::{
    Result, Searches,
    common::Common,
    files::{FileSearch, MAX_PAGE},
    rows::FileRow,
    text::behind_prefix,
};

/// Most rows that the index is asked for before the names are walked instead.
const PROBE: i64 = 2000;
/// Most names that are walked.
const WALK: i64 = 20_000;

#[async_trait]
impl Searches for Database {
    async fn search(&self, search: FileSearch) -> Result<Page<File>> {
        let limit = search.limit.clamp(1, MAX_PAGE);
        let wanted = i64::from(limit) + 1;
        let mut files = rows(&mut *self.reader().await?, &self.common, &search, wanted).await?;
        let more = files.len() > limit as usize;
        files.truncate(limit as usize);
        let next = more.then(|| files.last().map(|file| file.name.clone())).flatten();
        Ok(Page { items: files.into_iter().map(FileRow::file).collect::<Result<_>>()?, next })
    }
}

async fn rows(
    c: &mut Conn,
    common: &Common,
    search: &FileSearch,
    wanted: i64,
) -> Result<Vec<FileRow>> {
    let indexed = !search.query.terms.is_empty() || search.tag.is_some() || search.hash.is_some();
    if !indexed {
        return walk(c, search, wanted, None).await;
    }
    if !common.has(search) {
        if let Some(found) = probe(c, search, wanted).await? {
            return Ok(found);
        }
        common.note(search);
    }
    let near = walk(c, search, wanted, Some(WALK)).await?;
    if near.len() as i64 == wanted {
        return Ok(near);
    }
    common.forget(search);
    if search.owner.is_some() {
        return walk(c, search, wanted, None).await;
    }
    let mut sql = start("WITH hit AS MATERIALIZED (");
    hits(&mut sql, search);
    sql.push(") ");
    page(&mut sql, search, "hit", wanted);
    fetch(&mut sql, c).await
}

async fn fetch(sql: &mut Sql, c: &mut Conn) -> Result<Vec<FileRow>> {
    Ok(sql.build_query_as().fetch_all(c).await?)
}

fn start(text: &'static str) -> Sql {
    QueryBuilder::new(text)
}

/// What the index finds, if that is not too much; nothing if it is.
async fn probe(c: &mut Conn, search: &FileSearch, wanted: i64) -> Result<Option<Vec<FileRow>>> {
    let mut sql = start("WITH hit AS MATERIALIZED (");
    hits(&mut sql, search);
    sql.push(" LIMIT ").push_bind(PROBE + 1);
    sql.push("), few AS (SELECT * FROM hit WHERE (SELECT count(*) FROM hit) <= ")
        .push_bind(PROBE)
        .push("), page AS (");
    page(&mut sql, search, "few", wanted);
    // One row in any case, so that it says how many there are.
    sql.push(
        ") SELECT (SELECT count(*) FROM hit) AS hits, page.* FROM (SELECT 1 AS one) always \
        LEFT JOIN page ON TRUE ORDER BY page.name",
    );
    let rows = sql.build().fetch_all(c).await?;
    let hits: i64 = rows.first().map_or(Ok(0), |row| row.try_get("hits"))?;
    if hits > PROBE {
        return Ok(None);
    }
    let mut files = Vec::with_capacity(rows.len());
    for row in &rows {
        if row.try_get::<Option<Uuid>, _>("id")?.is_some() {
            files.push(FileRow::from_row(row)?);
        }
    }
    Ok(Some(files))
}

/// Files that fit, along the names from the cursor; only the next `most` names are looked at, if
/// that is given.
async fn walk(
    c: &mut Conn,
    search: &FileSearch,
    wanted: i64,
    most: Option<i64>,
) -> Result<Vec<FileRow>> {
    let mut sql = start("WITH way AS (SELECT f.* FROM files f WHERE f.removed_ms IS NULL");
    after(&mut sql, search);
    owned(&mut sql, search);
    sql.push(" ORDER BY f.name LIMIT ").push_bind(most.unwrap_or(i64::MAX)).push(") ");
    if most.is_none() {
        // Nothing to stop at: the page itself walks.
        sql = start("");
        page(&mut sql, search, "files", wanted);
    } else {
        page(&mut sql, search, "way", wanted);
    }
    fetch(&mut sql, c).await
}

fn after(sql: &mut Sql, search: &FileSearch) {
    if let Some(after) = &search.after {
        sql.push(" AND f.name > ").push_bind(after.clone());
    }
}

fn owned(sql: &mut Sql, search: &FileSearch) {
    if let Some(owner) = &search.owner {
        sql.push(" AND f.owner = (SELECT id FROM accounts WHERE name = ")
            .push_bind(owner.clone())
            .push(")");
    }
}

/// All files that match, by the index.
fn hits(sql: &mut Sql, search: &FileSearch) {
    terms::from_index(sql, search);
    conditions(sql, search);
}

/// The rows of a page from `source`, which may hold more than fits.
fn page(sql: &mut Sql, search: &FileSearch, source: &'static str, wanted: i64) {
    sql.push(
        "SELECT f.id, f.name, o.name AS owner, f.public, f.version, f.hash, f.size, \
        f.published_ms, f.last_seen_ms, ",
    );
    sql.push(concat!("(SELECT ", joined!("t.tag"), " FROM tags t WHERE t.file = f.id) AS tags, "));
    sql.push(
        "(SELECT count(*) FROM holdings h JOIN leases l ON l.peer = h.peer
         WHERE h.file = f.id AND h.version = f.version AND h.whole AND l.state <> 2 AND l.ends_ms
         > ",
    );
    sql.push_bind(search.now_ms);
    sql.push(
        ") AS sources, (SELECT max(l.seen_ms) FROM holdings h JOIN leases l ON l.peer = h.peer
         WHERE h.file = f.id AND h.version = f.version) AS seen_ms FROM (SELECT f.* FROM ",
    );
    sql.push(source).push(" f WHERE f.removed_ms IS NULL");
    after(sql, search);
    owned(sql, search);
    visible(sql, search);
    // What comes from the index fits already.
    if source == "way" || source == "files" {
        conditions(sql, search);
    }
    sql.push(" ORDER BY f.name LIMIT ").push_bind(wanted);
    sql.push(") f JOIN accounts o ON o.id = f.owner ORDER BY f.name");
}

fn visible(sql: &mut Sql, search: &FileSearch) {
    if search.viewer.admin {
        return;
    }
    let account = search.viewer.account.0;
    sql.push(" AND (f.public OR f.owner = ").push_bind(account);
    sql.push(" OR EXISTS (SELECT 1 FROM access x WHERE x.file = f.id AND (x.principal = ")
        .push_bind(account);
    sql.push(" OR x.principal IN (SELECT m.grp FROM members m WHERE m.account = ")
        .push_bind(account)
        .push("))))");
}

/// What a file must be to fit, by its own row.
fn conditions(sql: &mut Sql, search: &FileSearch) {
    for term in &search.query.terms {
        match term {
            Term::Hash(hash) => drop(sql.push(" AND f.hash = ").push_bind(hash.to_vec())),
            Term::Prefix(prefix) => begins(sql, prefix),
            Term::Contains(text) => terms::contains(sql, text),
            Term::Glob(pattern) => terms::looks_like(sql, pattern),
            Term::WordStart(start) => terms::word_start(sql, start),
        }
    }
    if let Some(hash) = &search.hash {
        sql.push(" AND f.hash = ").push_bind(hash.to_vec());
    }
    if let Some(tag) = &search.tag {
        sql.push(" AND EXISTS (SELECT 1 FROM tags t WHERE t.file = f.id AND t.tag = ")
            .push_bind(tag.clone())
            .push(")");
    }
}

fn begins(sql: &mut Sql, prefix: &str) {
    sql.push(" AND f.folded >= ").push_bind(prefix.to_owned());
    if let Some(end) = behind_prefix(prefix) {
        sql.push(" AND f.folded < ").push_bind(end);
    }
}
