//! The listeners and TLS of a process, over real sockets.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod admin;
mod authority;
mod drain;
mod handshake;
mod limits;
mod support;
mod unix;
