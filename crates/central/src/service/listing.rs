//! Pages of listings: opaque cursors.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use peral_wire::{Failure, fail, rest::Page};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::store::Paging;

/// Maximum number of rows of a page.
pub(super) const MAX_ROWS: u32 = 1000;

/// Which page of a listing.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageQuery {
    /// Where to continue: `next` of the previous page.
    pub cursor: Option<String>,
    /// Maximum number of rows, at least 1 [default: 1,000]. More than 1,000 count as 1,000.
    pub limit: Option<u32>,
}

impl PageQuery {
    pub(super) fn paging(&self) -> Result<Paging, Failure> {
        let after = self.cursor.as_deref().map(open).transpose()?;
        Ok(Paging { after, limit: rows(self.limit, MAX_ROWS, MAX_ROWS)? })
    }
}

/// The number of rows of a page: as many as asked for, up to `most`, or `default`.
pub(super) fn rows(asked: Option<u32>, default: u32, most: u32) -> Result<u32, Failure> {
    match asked.unwrap_or(default) {
        0 => Err(fail!(InvalidArgument, "the limit is 0; use 1 to {most}")),
        limit => Ok(limit.min(most)),
    }
}

/// A page with an opaque cursor.
pub(super) fn seal<T>(page: Page<T>) -> Page<T> {
    Page { items: page.items, next: page.next.map(|next| URL_SAFE_NO_PAD.encode(next)) }
}

/// The content of a cursor.
pub(super) fn open(cursor: &str) -> Result<String, Failure> {
    let text = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    // Postgres refuses NUL in a text.
    text.filter(|text| !text.contains('\0')).ok_or_else(|| {
        fail!(InvalidArgument, "the cursor is not valid; use `next` of the previous page")
    })
}
