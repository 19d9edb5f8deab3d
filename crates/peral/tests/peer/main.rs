//! A peer's life with a real central, both in this process: joining, indexing, publishing, holding,
//! and the end.
#![expect(clippy::unwrap_used, reason = "tests")]

mod life;
mod names;
mod pods;
mod support;
mod uploads;
