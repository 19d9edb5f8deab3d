//! Which addresses a peer may register: other peers and users will connect there.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use peral_wire::{Failure, fail};

/// Addresses of metadata services, where clouds give machines their secrets; the first is also
/// link-local.
const METADATA: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V6(std::net::Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// Reads the address under which a peer wants to be reached.
///
/// # Errors
/// INVALID_ADDRESS, when it is not an `IP:port`, or may not be registered.
pub fn check(text: &str, loopback: bool) -> Result<SocketAddr, Failure> {
    let refused = |why| refused(text, why);
    let given = parse(text)?;
    let address = SocketAddr::new(given.ip().to_canonical(), given.port());
    match fault(address.ip(), loopback) {
        _ if address.port() == 0 => Err(refused("has port 0")),
        Some(why) => Err(refused(why)),
        None => Ok(address),
    }
}

/// Reads only the port of such an address: Kubernetes knows the rest of a pod's.
///
/// # Errors
/// As [`check`].
pub fn port(text: &str) -> Result<u16, Failure> {
    parse(text).map(|address| address.port())
}

fn parse(text: &str) -> Result<SocketAddr, Failure> {
    text.parse().map_err(|_| {
        refused(text, "is not an IP address with a port, such as 10.0.0.7:7071 or [fd00::7]:7071")
    })
}

fn refused(text: &str, why: &str) -> Failure {
    fail!(InvalidAddress, "the address {:?} {why}", text.chars().take(80).collect::<String>())
}

fn fault(ip: IpAddr, loopback: bool) -> Option<&'static str> {
    if METADATA.contains(&ip) {
        return Some("belongs to a cloud's metadata service");
    }
    if ip.is_loopback() {
        return (!loopback).then_some(
            "is a loopback address, which other machines cannot reach; start central with \
             --allow-loopback-peers if all peers run on this machine",
        );
    }
    let (local, odd) = match ip {
        IpAddr::V4(v4) => (v4.is_link_local(), v4.octets()[0] == 0 || v4.octets()[0] >= 240),
        IpAddr::V6(v6) => (v6.is_unicast_link_local(), embeds_v4(v6)),
    };
    match ip {
        _ if ip.is_unspecified() => {
            Some("is unspecified; give the one under which others reach this peer (--advertise)")
        }
        _ if local => Some("is link-local"),
        _ if ip.is_multicast() => Some("is a multicast address"),
        _ if odd => Some("is reserved and cannot be the address of a peer"),
        _ => None,
    }
}

/// Old or translating forms that hide an IPv4 address: `::a.b.c.d`, `64:ff9b::/96`, `2002::/16`.
fn embeds_v4(ip: std::net::Ipv6Addr) -> bool {
    let parts = ip.segments();
    parts[..6] == [0; 6] || parts[..6] == [0x64, 0xff9b, 0, 0, 0, 0] || parts[0] == 0x2002
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_lead_elsewhere_are_refused() {
        let bad = "0.0.0.0:1 [::]:1 127.0.0.1:1 127.1.2.3:1 [::1]:1 [::ffff:127.0.0.1]:1 \
            169.254.169.254:80 169.254.1.1:1 [::ffff:169.254.169.254]:80 \
                   [fe80::1]:1 224.0.0.1:1 [ff02::1]:1 255.255.255.255:1 240.0.0.1:1 0.1.2.3:1 \
            [::127.0.0.1]:1 [64:ff9b::a9fe:a9fe]:80 [2002:7f00:1::]:1 \
                   [fd00:ec2::254]:80 100.100.100.200:80 10.0.0.1:0 10.0.0.1 0x7f000001:1 127.1:1 \
            2130706433:1 peer.example:7071 :7071 10.0.0.1:70710";
        for text in bad.split_whitespace().chain(["", " 10.0.0.1:1", "10.0.0.1:1\n"]) {
            let code = check(text, false).map_err(|failure| failure.code);
            assert_eq!(code, Err(peral_wire::ErrorCode::InvalidAddress), "{text:?}");
        }
    }

    #[test]
    fn others_are_taken_and_written_plainly() {
        for (text, plain) in [
            ("10.0.0.7:7071", "10.0.0.7:7071"),
            ("[fd00::7]:7071", "[fd00::7]:7071"),
            ("[::ffff:10.0.0.7]:7071", "10.0.0.7:7071"),
            ("[2001:DB8::1]:1", "[2001:db8::1]:1"),
        ] {
            assert_eq!(check(text, false).map(|address| address.to_string()), Ok(plain.to_owned()));
        }
    }

    #[test]
    fn loopback_is_taken_when_central_was_started_so() {
        for text in ["127.0.0.1:7071", "[::1]:7071", "[::ffff:127.0.0.1]:7071"] {
            assert!(check(text, true).is_ok(), "{text}");
        }
        assert!(check("169.254.169.254:80", true).is_err() && check("0.0.0.0:1", true).is_err());
    }
}
