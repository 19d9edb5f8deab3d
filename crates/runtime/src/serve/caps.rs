//! How many connections there are, in all and per address.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Counts connections. Its map has at most as many entries as there are connections.
#[derive(Debug)]
pub(super) struct Caps {
    total: usize,
    per_source: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_source: HashMap<IpAddr, usize>,
}

/// Which cap is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    Total,
    Source,
}

impl Full {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Source => "source",
        }
    }
}

/// The place of one connection; dropping it frees the place.
#[derive(Debug)]
pub(super) struct Place {
    caps: Arc<Caps>,
    source: IpAddr,
}

impl Caps {
    pub(super) fn new(total: usize, per_source: usize) -> Arc<Self> {
        Arc::new(Self { total, per_source, open: Mutex::default() })
    }

    pub(super) fn enter(self: &Arc<Self>, ip: IpAddr) -> Result<Place, Full> {
        let source = source_of(ip);
        let mut open = self.lock();
        if open.total >= self.total {
            return Err(Full::Total);
        }
        if open.by_source.get(&source).is_some_and(|count| *count >= self.per_source)
            || self.per_source == 0
        {
            return Err(Full::Source);
        }
        open.total += 1;
        *open.by_source.entry(source).or_default() += 1;
        Ok(Place { caps: Arc::clone(self), source })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.caps.lock();
        open.total = open.total.saturating_sub(1);
        if let Some(count) = open.by_source.get_mut(&self.source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.by_source.remove(&self.source);
            }
        }
    }
}

/// Whoever has one IPv6 address has a whole /64 of them.
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
    fn the_newest_is_shed_and_a_place_comes_free_again() {
        let caps = Caps::new(3, 2);
        let first = caps.enter(ip("10.0.0.1")).unwrap();
        let _second = caps.enter(ip("::ffff:10.0.0.1")).unwrap();
        assert_eq!(caps.enter(ip("10.0.0.1")).unwrap_err(), Full::Source);
        let _third = caps.enter(ip("10.0.0.2")).unwrap();
        assert_eq!(caps.enter(ip("10.0.0.3")).unwrap_err(), Full::Total);
        drop(first);
        assert!(caps.enter(ip("10.0.0.1")).is_ok());
        assert_eq!(caps.lock().by_source.len(), 2, "no entry stays without a connection");
    }

    #[test]
    fn one_ipv6_network_counts_as_one() {
        let caps = Caps::new(9, 1);
        let _place = caps.enter(ip("2001:db8::1")).unwrap();
        assert_eq!(caps.enter(ip("2001:db8::2")).unwrap_err(), Full::Source);
        assert!(caps.enter(ip("2001:db8:0:1::1")).is_ok());
    }
}
