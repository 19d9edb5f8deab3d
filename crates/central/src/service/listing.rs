//! Pages of listings: opaque cursors.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use peral_wire::{Failure, fail, rest::Page};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::store::Paging;

/// Most rows of one page.
pub(super) const MAX_ROWS: u32 = 1000;

/// Which page of a listing.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageQuery {
    /// Where to go on: `next` of the page before.
    pub cursor: Option<String>,
    /// Most rows, at most 1,000, which is also what is given without it.
    pub limit: Option<u32>,
}

impl PageQuery {
    pub(super) fn paging(&self) -> Result<Paging, Failure> {
        let after = self.cursor.as_deref().map(open).transpose()?;
        Ok(Paging { after, limit: rows(self.limit, MAX_ROWS, MAX_ROWS)? })
    }
}

/// How many rows a page may have: what was asked for, up to `most`, or `without` where nothing was.
pub(super) fn rows(asked: Option<u32>, without: u32, most: u32) -> Result<u32, Failure> {
    match asked.unwrap_or(without) {
        0 => Err(fail!(InvalidArgument, "the limit is 0; ask for 1 to {most} rows")),
        limit => Ok(limit.min(most)),
    }
}

/// A page whose `next` says nothing to its reader.
pub(super) fn seal<T>(page: Page<T>) -> Page<T> {
    Page { items: page.items, next: page.next.map(|next| URL_SAFE_NO_PAD.encode(next)) }
}

/// What a cursor says.
pub(super) fn open(cursor: &str) -> Result<String, Failure> {
    let text = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    // Postgres takes no NUL in a text.
    text.filter(|text| !text.contains('\0'))
        .ok_or_else(|| fail!(InvalidArgument, "the cursor is not one of central's"))
}
