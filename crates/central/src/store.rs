//! What central keeps: the catalogue behind one interface, on Postgres or on SQLite.
//!
//! Each method is one transaction, because its rules (who may write, which version is current,
//! whose epoch counts) must be checked where they are acted on. A transaction runs in a task of its
//! own: a request that is dropped cannot leave a connection inside one. Not there is `Option`, a
//! rule that says no is [`StoreError::Refused`], and everything else is a fault of the database.
//!
//! Why the files of `shared` are compiled twice: nearly all statements are the same text in both
//! databases, but a query of sqlx has the type of one driver. Functions that are generic over the
//! driver would need a page of bounds each, and two copies by hand drift apart. So each database is
//! a module that has `shared` as a child. Around it stand the few words that differ, as macros, and
//! beside it what differs as a whole: opening, the terms of a search, and statements over many rows.
//! The shared files ask nowhere which database they are for.

/// The condition that the viewer ($1 its account, $2 acts as an administrator) may read the file
/// `f`.
macro_rules! visible {
    () => {
        "(f.public OR $2 OR f.owner = $1 OR EXISTS (SELECT 1 FROM access x WHERE x.file = f.id
          AND (x.principal = $1 OR x.principal IN (SELECT m.grp FROM members m WHERE m.account =
          $1))))"
    };
}
/// The columns of a `FileRow`, of the file `f` with the owner `o`; $3 is now.
macro_rules! file_columns {
    () => {
        concat!(
            "f.id, f.name, o.name AS owner, f.public, f.version, f.hash, f.size, f.published_ms, \
             f.last_seen_ms, (SELECT ",
            joined!("t.tag"),
            " FROM tags t WHERE t.file = f.id) AS tags,
             (SELECT count(*) FROM holdings h JOIN leases l ON l.peer = h.peer
              WHERE h.file = f.id AND h.version = f.version AND h.whole AND l.ends_ms > $3 AND
              l.state <> 2) AS sources,
             (SELECT max(l.seen_ms) FROM holdings h JOIN leases l ON l.peer = h.peer
              WHERE h.file = f.id AND h.version = f.version) AS seen_ms"
        )
    };
}

pub mod accounts;
mod common;
mod decide;
mod error;
pub mod events;
mod fault;
pub mod files;
pub mod holdings;
pub mod notices;
mod open;
pub mod peers;
mod postgres;
pub mod publish;
mod replay;
mod rows;
pub mod sessions;
mod sqlite;
mod text;
pub mod tokens;
mod types;
mod upkeep;

pub use accounts::{Accounts, Groups};
pub use error::{Refusal, Result, StoreError, Taken};
pub use files::{Files, Searches};
pub use holdings::Holdings;
pub use notices::Notices;
pub use open::open;
pub use peers::Peers;
pub use publish::Publishes;
pub use sessions::Sessions;
pub use tokens::Tokens;
pub use types::{Connections, GENERATION, Options, Paging, Viewer};
pub use upkeep::{CatalogueCounts, Counting, SharedStore, Store};
