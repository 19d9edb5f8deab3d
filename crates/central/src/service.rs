//! The use cases of central, apart from HTTP.

mod accounts;
mod app;
mod attempts;
mod authenticate;
mod beats;
mod caller;
mod check;
mod credentials;
mod files;
mod grants;
mod heartbeats;
mod holdings;
mod listing;
mod live;
mod metrics;
mod own_account;
mod peers;
mod pods;
mod proofs;
mod publish;
mod renewals;
mod search;
mod sessions;
mod tokens;

pub(crate) use app::App;
pub(crate) use caller::{Caller, PeerCaller};
pub(crate) use check::account_name;
pub(crate) use credentials::BACKDATE_MS;
pub(crate) use listing::PageQuery;
pub(crate) use search::SearchQuery;
