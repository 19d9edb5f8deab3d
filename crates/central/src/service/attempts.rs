//! How often somebody may try to log in or to prove a key.

use std::net::IpAddr;

use peral_wire::Failure;

use crate::{
    config::Limits,
    limit::{PerMinute, address_key},
};

/// Maximum number of characters of an account's name that count.
const MAX_NAME: usize = 64;

/// Limits per minute. Each method counts one attempt and fails with RATE_LIMITED.
pub(super) struct Attempts {
    logins: PerMinute<(String, IpAddr)>,
    logins_in_all: PerMinute<String>,
    logins_from: PerMinute<IpAddr>,
    proofs_from: PerMinute<IpAddr>,
    nonces_from: PerMinute<IpAddr>,
}

impl Attempts {
    pub fn new(limits: &Limits) -> Self {
        Self {
            logins: PerMinute::new(
                "logins for this account from this address",
                limits.logins_per_account,
            ),
            logins_in_all: PerMinute::new(
                "logins for this account",
                limits.logins_per_account_in_all,
            ),
            logins_from: PerMinute::new("logins from this address", limits.logins_per_address),
            proofs_from: PerMinute::new("proofs from this address", limits.proofs_per_address),
            nonces_from: PerMinute::new("nonces for this address", limits.nonces_per_address),
        }
    }

    pub fn login(&self, remote: IpAddr) -> Result<(), Failure> {
        self.logins_from.take(&address_key(remote))
    }

    /// A try of a password. The strict limit is for one address, so that nobody else can keep the
    /// account's owner out.
    pub fn password(&self, account: &str, remote: IpAddr) -> Result<(), Failure> {
        let account: String = account.chars().take(MAX_NAME).collect();
        self.logins.take(&(account.clone(), address_key(remote)))?;
        self.logins_in_all.take(&account)
    }

    pub fn proof(&self, remote: IpAddr) -> Result<(), Failure> {
        self.proofs_from.take(&address_key(remote))
    }

    pub fn nonce(&self, remote: IpAddr) -> Result<(), Failure> {
        self.nonces_from.take(&address_key(remote))
    }

    /// Forgets those who have not tried for a while.
    pub fn tidy(&self) {
        self.logins.tidy();
        self.logins_in_all.tidy();
        self.logins_from.tidy();
        self.proofs_from.tidy();
        self.nonces_from.tidy();
    }
}
