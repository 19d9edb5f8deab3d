//! The binary under test.

use std::{
    path::Path,
    process::{Command, Stdio},
};

/// `peral`, in an environment of its own.
pub fn peral(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peral"));
    command
        .env_clear()
        .env("HOME", home)
        .env("PERAL_CONFIG_DIR", home.join("config"))
        .env("PERAL_DATA", home.join("no-peer"));
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command.current_dir(home).stdin(Stdio::null());
    command
}
