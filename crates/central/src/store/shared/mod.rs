//! The statements that both databases read alike. A module of each database is made from this file
//! and those beside it; `store.rs` says why.

mod access;
mod accounts;
mod begin;
mod counts;
mod database;
mod detail;
mod events;
mod files;
mod groups;
mod holdings;
mod manage;
mod notices;
mod peers;
mod prepare;
mod principals;
mod publish;
mod search;
mod sessions;
mod tokens;
mod upkeep;

use super::{
    bulk,
    driver::{BEGIN, Conn, Dialect, Sql, TRIES},
    reports, terms,
};

pub(super) use database::Database;
pub(super) use prepare::prepare;
