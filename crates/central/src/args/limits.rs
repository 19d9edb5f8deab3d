//! Arguments that limit the load of central.

use std::time::Duration;

use clap::Args;

use crate::config::Limits;

/// Limits of central.
#[derive(Debug, Args)]
pub struct LoadArgs {
    /// Maximum number of open connections
    #[arg(
        long, env = "PERAL_CENTRAL_MAX_CONNECTIONS", value_name = "COUNT",
        default_value_t = Limits::default().connections
    )]
    pub max_connections: usize,
    /// Maximum number of open connections from one address
    #[arg(
        long, env = "PERAL_CENTRAL_MAX_CONNECTIONS_PER_ADDRESS", value_name = "COUNT",
        default_value_t = Limits::default().connections_per_address
    )]
    pub max_connections_per_address: usize,
    /// Maximum number of requests handled at the same time
    #[arg(
        long, env = "PERAL_CENTRAL_MAX_REQUESTS", value_name = "COUNT",
        default_value_t = Limits::default().requests
    )]
    pub max_requests: usize,
    /// Maximum number of login attempts per minute for one account from one address
    #[arg(
        long, env = "PERAL_CENTRAL_LOGINS_PER_ACCOUNT", value_name = "COUNT",
        default_value_t = Limits::default().logins_per_account
    )]
    pub logins_per_account: u32,
    /// Maximum number of login attempts per minute for one account from all addresses
    #[arg(
        long, env = "PERAL_CENTRAL_LOGINS_PER_ACCOUNT_IN_ALL", value_name = "COUNT",
        default_value_t = Limits::default().logins_per_account_in_all
    )]
    pub logins_per_account_in_all: u32,
    /// Maximum number of login attempts per minute from one address
    #[arg(
        long, env = "PERAL_CENTRAL_LOGINS_PER_ADDRESS", value_name = "COUNT",
        default_value_t = Limits::default().logins_per_address
    )]
    pub logins_per_address: u32,
    /// Maximum number of logins, registrations and renewals per minute from one address; increase
    /// it if many peers share an address
    #[arg(
        long, env = "PERAL_CENTRAL_PROOFS_PER_ADDRESS", value_name = "COUNT",
        default_value_t = Limits::default().proofs_per_address
    )]
    pub proofs_per_address: u32,
    /// Minimum seconds between two counts of the catalogue for the metrics
    #[arg(
        long, env = "PERAL_CENTRAL_COUNT_SECONDS", value_name = "SECONDS",
        default_value_t = Limits::default().count.as_secs(),
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    pub count_seconds: u64,
    /// Seconds that running requests get to finish when central stops
    #[arg(
        long, env = "PERAL_CENTRAL_DRAIN_SECONDS", value_name = "SECONDS",
        default_value_t = Limits::default().drain.as_secs()
    )]
    pub drain_seconds: u64,
}

impl LoadArgs {
    pub(super) fn limits(&self) -> Limits {
        Limits {
            connections: self.max_connections,
            connections_per_address: self.max_connections_per_address,
            requests: self.max_requests,
            logins_per_account: self.logins_per_account,
            logins_per_account_in_all: self.logins_per_account_in_all,
            logins_per_address: self.logins_per_address,
            proofs_per_address: self.proofs_per_address,
            // Each proof uses a nonce, and some nonces stay unused.
            nonces_per_address: self.proofs_per_address.saturating_mul(2),
            count: Duration::from_secs(self.count_seconds),
            drain: Duration::from_secs(self.drain_seconds),
            ..Limits::default()
        }
    }
}
