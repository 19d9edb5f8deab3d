//! Central as its callers see it: a real server in this process, on a free port, with a SQLite
//! file, driven through the typed client.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod accounts;
mod cluster;
mod connections;
mod documents;
mod files;
mod grants;
mod logins;
mod matrix;
mod names;
mod peers;
mod pods;
mod proofs;
mod provision;
mod setup;
mod support;
