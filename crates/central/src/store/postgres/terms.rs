//! Terms of a search, as Postgres finds them: trigrams by `pg_trgm`, beginnings of words by their
//! array.

use super::driver::Sql;
use crate::store::{
    files::FileSearch,
    text::{like_containing, like_glob},
};

/// Where files that match are taken from: the planner finds the index for the conditions that
/// follow.
pub(super) fn from_index(sql: &mut Sql, search: &FileSearch) {
    sql.push("SELECT f.* FROM files f WHERE f.removed_ms IS NULL");
    for hash in search.hashes() {
        sql.push(" AND f.id IN (SELECT v.file FROM versions v WHERE v.hash = ")
            .push_bind(hash)
            .push(")");
    }
    if let Some(tag) = &search.tag {
        sql.push(" AND f.id IN (SELECT t.file FROM tags t WHERE t.tag = ")
            .push_bind(tag.clone())
            .push(")");
    }
}

pub(super) fn contains(sql: &mut Sql, text: &str) {
    sql.push(" AND f.folded LIKE ").push_bind(like_containing(text));
}

pub(super) fn looks_like(sql: &mut Sql, pattern: &str) {
    sql.push(" AND f.folded LIKE ").push_bind(like_glob(pattern));
}

pub(super) fn word_start(sql: &mut Sql, start: &str) {
    sql.push(" AND f.starts @> ").push_bind(vec![start.to_owned()]);
}
