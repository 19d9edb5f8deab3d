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
    /// Where central is; without it, the network that you are logged in to.
    #[arg(long, global = true, value_name = "URL", env = "PERAL_CENTRAL", hide_env_values = true)]
    pub central: Option<String>,
    /// Data folder of the peer that runs here, if one does [env: PERAL_DATA]
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,
    // Apart from --data, so that what the environment or the file says of the peer's folder is
    // never taken for central's. So it is with the others: what they say for all commands is never
    // taken for a flag of one that has such a flag itself.
    #[arg(long, global = true, hide = true, env = "PERAL_DATA")]
    data_default: Option<PathBuf>,
    /// File with an API token: this command logs in with it, for itself alone, and out at its end
    /// [env: PERAL_TOKEN_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
    #[arg(long, global = true, hide = true, env = "PERAL_TOKEN_FILE")]
    token_file_default: Option<PathBuf>,
    /// Certificate of central's authority (PEM), for such a login [env: PERAL_CA_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    #[arg(long, global = true, hide = true, env = "PERAL_CA_FILE")]
    ca_file_default: Option<PathBuf>,
    /// Fingerprint of that certificate [env: PERAL_CA_FINGERPRINT]
    #[arg(long, global = true, value_name = "HEX")]
    ca_fingerprint: Option<String>,
    #[arg(long, global = true, hide = true, env = "PERAL_CA_FINGERPRINT")]
    ca_fingerprint_default: Option<String>,
    /// Configuration file; without it, `peral.toml` in your configuration folder, if it is there.
    #[arg(long, global = true, value_name = "FILE", env = "PERAL_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,
}

impl Global {
    /// The peer's data folder, where anything names it.
    pub fn peer_data(&self) -> Option<PathBuf> {
        self.data.clone().or_else(|| self.data_default.clone())
    }

    /// The file with an API token, where one command is to log in for itself.
    pub fn token_file(&self) -> Option<PathBuf> {
        let named = |path: &&PathBuf| !path.as_os_str().is_empty();
        self.token_file.as_ref().or(self.token_file_default.as_ref()).filter(named).cloned()
    }

    /// How central is known at first contact: by the flags, or else by the environment.
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
