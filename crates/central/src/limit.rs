//! Rate limits.

use std::{hash::Hash, net::IpAddr, num::NonZeroU32};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use peral_wire::{Failure, fail};

/// Maximum number of keys that are remembered; beyond it, new keys are refused.
const MAX_KEYS: usize = 100_000;

/// A bucket for each key, refilled evenly over a minute.
pub struct PerMinute<K: Hash + Eq + Clone> {
    what: &'static str,
    buckets: DefaultKeyedRateLimiter<K>,
}

impl<K: Hash + Eq + Clone> PerMinute<K> {
    /// At most `count` in a minute for each key; 0 counts as 1.
    pub fn new(what: &'static str, count: u32) -> Self {
        let count = NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        Self { what, buckets: RateLimiter::keyed(Quota::per_minute(count)) }
    }

    /// Takes one from the bucket of this key.
    ///
    /// # Errors
    /// RATE_LIMITED.
    pub fn take(&self, key: &K) -> Result<(), Failure> {
        let room = self.buckets.len() < MAX_KEYS || {
            self.buckets.retain_recent();
            self.buckets.len() < MAX_KEYS
        };
        if room && self.buckets.check_key(key).is_ok() {
            return Ok(());
        }
        Err(fail!(RateLimited, "too many {}; try again in a minute", self.what))
    }

    /// Forgets keys whose bucket is full again.
    pub fn tidy(&self) {
        self.buckets.retain_recent();
        self.buckets.shrink_to_fit();
    }
}

/// What counts as one address: IPv6 users have a whole /64 each.
pub fn address_key(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => IpAddr::from((u128::from(v6) & !u128::from(u64::MAX)).to_be_bytes()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_own_bucket() {
        let limit = PerMinute::new("logins", 2);
        assert!(limit.take(&"a").is_ok() && limit.take(&"a").is_ok());
        assert_eq!(
            limit.take(&"a").map_err(|failure| failure.code),
            Err(peral_wire::ErrorCode::RateLimited)
        );
        assert!(limit.take(&"b").is_ok());
    }

    #[test]
    fn addresses_of_one_v6_network_count_as_one() {
        let key = |text: &str| address_key(text.parse().unwrap());
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:1"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("::ffff:10.0.0.1"), key("10.0.0.1"));
        assert_ne!(key("10.0.0.1"), key("10.0.0.2"));
    }
}
