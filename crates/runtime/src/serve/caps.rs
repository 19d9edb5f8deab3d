//! How many connections there are, in all and per address.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex},
};

use crate::Lock;

/// Counts connections. Its map has at most as many entries as there are connections.
#[derive(Debug)]
pub(super) struct Caps {
    total: usize,
    per_source: usize,
    open: Mutex<OpenConnections>,
}

#[derive(Debug, Default)]
struct OpenConnections {
    total: usize,
    by_source: HashMap<IpAddr, usize>,
}

/// Which cap is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CapReached {
    Total,
    Source,
}

impl CapReached {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Source => "source",
        }
    }
}

/// Counts one connection until it is dropped.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    caps: Arc<Caps>,
    source: IpAddr,
}

impl Caps {
    pub(super) fn new(total: usize, per_source: usize) -> Arc<Self> {
        Arc::new(Self { total, per_source, open: Mutex::default() })
    }

    pub(super) fn enter(self: &Arc<Self>, ip: IpAddr) -> Result<ConnectionPermit, CapReached> {
        let source = source_of(ip);
        let mut open = self.open.locked();
        if open.total >= self.total {
            return Err(CapReached::Total);
        }
        if open.by_source.get(&source).is_some_and(|count| *count >= self.per_source)
            || self.per_source == 0
        {
            return Err(CapReached::Source);
        }
        open.total += 1;
        *open.by_source.entry(source).or_default() += 1;
        Ok(ConnectionPermit { caps: Arc::clone(self), source })
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut open = self.caps.open.locked();
        open.total = open.total.saturating_sub(1);
        if let Some(count) = open.by_source.get_mut(&self.source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.by_source.remove(&self.source);
            }
        }
    }
}

/// The address that a cap counts. The holder of one IPv6 address usually has its whole /64.
fn source_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_newest_is_shed_until_another_one_ends() {
        let caps = Caps::new(3, 2);
        let first = caps.enter(ip("10.0.0.1")).unwrap();
        let _second = caps.enter(ip("::ffff:10.0.0.1")).unwrap();
        assert_eq!(caps.enter(ip("10.0.0.1")).unwrap_err(), CapReached::Source);
        let _third = caps.enter(ip("10.0.0.2")).unwrap();
        assert_eq!(caps.enter(ip("10.0.0.3")).unwrap_err(), CapReached::Total);
        drop(first);
        assert!(caps.enter(ip("10.0.0.1")).is_ok());
        assert_eq!(caps.open.locked().by_source.len(), 2, "no entry stays without a connection");
    }

    #[test]
    fn one_ipv6_network_counts_as_one() {
        let caps = Caps::new(9, 1);
        let _first = caps.enter(ip("2001:db8::1")).unwrap();
        assert_eq!(caps.enter(ip("2001:db8::2")).unwrap_err(), CapReached::Source);
        assert!(caps.enter(ip("2001:db8:0:1::1")).is_ok());
    }
}
