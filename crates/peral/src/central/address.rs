//! Central's address, in the one form that is stored and compared.

use std::net::IpAddr;

use peral_wire::{Failure, fail};

/// Central's address as it is kept and compared: `https://` where no scheme is given, no slash at
/// the end.
///
/// # Errors
/// INVALID_ARGUMENT: no address of central, or plaintext to another machine.
pub fn address(text: &str) -> Result<String, Failure> {
    let given = text.trim();
    let full = if given.contains("://") { given.to_owned() } else { format!("https://{given}") };
    let bad = |reason: &str| {
        fail!(
            InvalidArgument,
            "{text:?} is no address of central: {reason}; write https://HOST:7070"
        )
    };
    let url = reqwest::Url::parse(&full).map_err(|error| bad(&error.to_string()))?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => return Err(bad("plaintext is for this machine's loopback only")),
        _ => return Err(bad("it is not https")),
    }
    if url.host().is_none()
        || url.path() != "/"
        || url.query().is_some()
        || !url.username().is_empty()
    {
        return Err(bad("it has more than a host and a port"));
    }
    // A bare number is an address by the rules of the web, and a mistake by ours.
    let bare = |host: &str| host.parse::<std::net::Ipv4Addr>().is_ok() && !full.contains(host);
    if url.host_str().is_some_and(bare) {
        return Err(bad("a number is no host"));
    }
    Ok(url.origin().ascii_serialization())
}

/// Is central on this machine, or reached through it?
pub fn is_local(base: &str) -> bool {
    reqwest::Url::parse(base).is_ok_and(|url| is_loopback(&url))
}

pub(super) fn is_loopback(url: &reqwest::Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_kept_in_one_form() {
        assert_eq!(address("https://central:7070/").unwrap(), "https://central:7070");
        assert_eq!(address(" 10.0.0.7:7070 ").unwrap(), "https://10.0.0.7:7070");
        assert_eq!(address("http://127.0.0.1:7070").unwrap(), "http://127.0.0.1:7070");
        assert_eq!(address("http://[::1]:7070").unwrap(), "http://[::1]:7070");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "http://10.0.0.7:7070",
            "http://localhost.evil:1",
            "ftp://x",
            "https://a/b",
            "https://a?b",
            "https://u@a",
            "https://",
            "5",
            "https://0x7f000001",
        ] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
