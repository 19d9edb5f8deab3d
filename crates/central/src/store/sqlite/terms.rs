//! Terms of a search, as SQLite finds them: by the trigrams of the text index, which are then
//! checked against the row.

use peral_model::search::Term;

use super::driver::Sql;
use crate::store::{
    files::FileSearch,
    text::{behind_prefix, literal_runs, marked_start, match_expression, sqlite_glob, unmarked},
};

/// Where files that match are taken from. `CROSS JOIN` keeps the order: what is rarest by nature
/// leads.
pub(super) fn from_index(sql: &mut Sql, search: &FileSearch) {
    let trigrams = trigrams(search);
    if let Some(hash) = search.hashes().next() {
        sql.push("SELECT f.* FROM (SELECT DISTINCT file FROM versions WHERE hash = ")
            .push_bind(hash);
        sql.push(") v CROSS JOIN files f ON f.id = v.file");
    } else if let Some(tag) = &search.tag {
        sql.push("SELECT f.* FROM tags g CROSS JOIN files f ON f.id = g.file AND g.tag = ")
            .push_bind(tag.clone());
    } else if !trigrams.is_empty() {
        sql.push(
            "SELECT f.* FROM names n CROSS JOIN files f ON f.seq = n.rowid AND n.names MATCH ",
        )
        .push_bind(trigrams);
    } else {
        sql.push("SELECT f.* FROM files f");
        if search
            .query
            .terms
            .iter()
            .any(|term| matches!(term, Term::Prefix(prefix) if behind_prefix(prefix).is_some()))
        {
            sql.push(" INDEXED BY files_folded");
        }
    }
    sql.push(" WHERE f.removed_ms IS NULL");
}

/// The text index's expression for the terms that it knows; empty if it knows none.
fn trigrams(search: &FileSearch) -> String {
    let mut texts = Vec::new();
    for term in &search.query.terms {
        match term {
            Term::Contains(text) => texts.push(unmarked(text)),
            Term::Glob(pattern) => texts.extend(literal_runs(pattern).map(unmarked)),
            Term::WordStart(start) => texts.push(marked_start(start)),
            Term::Hash(_) | Term::Prefix(_) => {}
        }
    }
    match_expression(texts.iter().map(String::as_str))
}

pub(super) fn contains(sql: &mut Sql, text: &str) {
    sql.push(" AND instr(f.folded, ").push_bind(text.to_owned()).push(") > 0");
}

pub(super) fn looks_like(sql: &mut Sql, pattern: &str) {
    sql.push(" AND f.folded GLOB ").push_bind(sqlite_glob(pattern));
}

pub(super) fn word_start(sql: &mut Sql, start: &str) {
    sql.push(" AND instr(f.starts, ").push_bind(marked_start(start)).push(") > 0");
}
