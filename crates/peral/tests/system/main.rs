//! The whole system: the real binary as central, peers and users, on this machine.
//!
//! Each test has a network of its own in a temporary folder. What is waited for is a condition with
//! a deadline, never a time.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

#[path = "../common/command.rs"]
mod command;
mod dashboard;
mod drain;
mod faults;
mod metrics;
mod names;
#[path = "../common/network.rs"]
mod network;
mod pod;
mod postgres;
mod raw;
mod resume;
mod rights;
mod sessions;
mod stdin;
mod token;
mod trace;
mod volume;
mod whole_way;
mod words;
