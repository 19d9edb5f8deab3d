//! The statements that both databases read alike. A module of each database is made from this file
//! and those beside it; `store.rs` says why.

mod access;
mod accounts;
mod begin;
mod counts;
mod database;
mod detail;
mod epochs;
mod events;
mod files;
mod groups;
mod holdings;
mod manage;
mod notices;
mod peers;
mod prepare;
mod principals;
mod publication;
mod publish;
mod register;
mod search;
mod sessions;
mod tokens;
mod upkeep;
mod uploads;

use super::{
    bulk,
    driver::{BEGIN, Conn, Dialect, Sql, TRIES},
    reports, terms,
};

pub(super) use database::Database;
pub(super) use prepare::prepare;
