//! The flags that every command takes.

use std::path::PathBuf;

use clap::Args;

use crate::{central::FirstContactArgs, output::Format};

/// Flags of every command. Each can also stand in `peral.toml`, by its long name.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// How results are written.
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "FORMAT",
        default_value = "text",
        env = "PERAL_OUTPUT",
        hide_env_values = true
    )]
    pub output: Format,
    /// Address of central [default: the network that you are logged in to]
    #[arg(long, global = true, value_name = "URL", env = "PERAL_CENTRAL", hide_env_values = true)]
    pub central: Option<String>,
    /// Data folder of the local peer: the one that runs on this machine [env: PERAL_DATA]
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,
    // Separate from --data, so that a peer's folder in the environment or in the file is never
    // taken for central's. The others are separate for the same reason: a value for all commands
    // must not set the flag of the same name that one command has for itself.
    #[arg(long, global = true, hide = true, env = "PERAL_DATA")]
    data_default: Option<PathBuf>,
    /// File with an API token: the command logs in with it, only for itself, and logs out when it
    /// ends [env: PERAL_TOKEN_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
    #[arg(long, global = true, hide = true, env = "PERAL_TOKEN_FILE")]
    token_file_default: Option<PathBuf>,
    /// Certificate of central's authority (PEM), for a login with --token-file [env: PERAL_CA_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    #[arg(long, global = true, hide = true, env = "PERAL_CA_FILE")]
    ca_file_default: Option<PathBuf>,
    /// Fingerprint of that certificate [env: PERAL_CA_FINGERPRINT]
    #[arg(long, global = true, value_name = "HEX")]
    ca_fingerprint: Option<String>,
    #[arg(long, global = true, hide = true, env = "PERAL_CA_FINGERPRINT")]
    ca_fingerprint_default: Option<String>,
    /// Configuration file [default: `peral.toml` in your configuration folder, if it exists]
    #[arg(long, global = true, value_name = "FILE", env = "PERAL_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,
}

impl Global {
    /// The local peer's data folder, if it was given.
    pub fn peer_data(&self) -> Option<PathBuf> {
        self.data.clone().or_else(|| self.data_default.clone())
    }

    /// The file with an API token, if the command is to log in for itself.
    pub fn token_file(&self) -> Option<PathBuf> {
        let named = |path: &&PathBuf| !path.as_os_str().is_empty();
        self.token_file.as_ref().or(self.token_file_default.as_ref()).filter(named).cloned()
    }

    /// How to recognise central at first contact: from the flags, or else from the environment.
    pub fn first_contact(&self) -> FirstContactArgs {
        if self.ca_file.is_some() || self.ca_fingerprint.is_some() {
            return FirstContactArgs {
                ca_file: self.ca_file.clone(),
                ca_fingerprint: self.ca_fingerprint.clone(),
            };
        }
        let ca_file = self.ca_file_default.clone().filter(|path| !path.as_os_str().is_empty());
        FirstContactArgs {
            ca_file,
            ca_fingerprint: self.ca_fingerprint_default.clone().filter(|text| !text.is_empty()),
        }
    }
}
