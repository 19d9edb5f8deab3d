//! Commands as a user types them, and how long the tests wait for what becomes of them.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use peral_testkit::{Look, Patience, Process, Said};

/// Longest that a command may take which has no deadline of its own.
const PATIENCE: Duration = Duration::from_secs(240);
/// Between two looks at the cluster: each costs it a request.
const LOOK_AT_CLUSTER: Duration = Duration::from_millis(500);

/// Looks at the cluster until the condition holds.
///
/// # Panics
/// It does not hold in time.
pub fn eventually<L: Look>(what: &str, patience: Duration, look: impl FnMut() -> L) -> L::Found {
    Patience::most(patience).looking_every(LOOK_AT_CLUSTER).eventually(what, look)
}

/// Runs a command to its end, without standard input.
pub fn run(mut command: Command) -> Said {
    command.stdin(Stdio::null());
    Process::spawn(command).finish_within(PATIENCE)
}
