//! Two and more peers over loopback, with real certificates and signatures: what moves between
//! them, and what does not.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod arriving;
mod downloads;
mod jobs;
mod kit;
mod liars;
mod malformed;
mod rights;
mod targets;
mod uploads;
