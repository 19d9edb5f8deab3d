//! Bodies of central's REST interface, shared by its server and its clients. Times are milliseconds
//! since 1970, sizes bytes.

pub mod accounts;
pub mod files;
pub mod holdings;
pub mod peers;
pub mod sessions;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One page of a listing.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next page begins; nothing on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// An answer that says no more than that it is done.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
pub struct Done {}
