//! Central's address, in the one form that is stored and compared.

use std::net::IpAddr;

use peral_wire::{Failure, fail};

/// Central's address: with `https://` where no scheme is given, and without a slash at the end.
///
/// # Errors
/// INVALID_ARGUMENT: it is not an address, or it is plaintext to another machine.
pub fn address(text: &str) -> Result<String, Failure> {
    let given = text.trim();
    let full = if given.contains("://") { given.to_owned() } else { format!("https://{given}") };
    let bad = |reason: &str| {
        fail!(
            InvalidArgument,
            "{text:?} is not an address of central: {reason}; write https://HOST:7070"
        )
    };
    let url = reqwest::Url::parse(&full).map_err(|error| bad(&error.to_string()))?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => {
            return Err(bad("plain http is only allowed to the loopback address of this machine"));
        }
        _ => return Err(bad("it is not an https address")),
    }
    if url.host().is_none()
        || url.path() != "/"
        || url.query().is_some()
        || !url.username().is_empty()
    {
        return Err(bad("write only a host and a port"));
    }
    // The URL rules read a bare number as an IP address. Here it is a mistake.
    let bare = |host: &str| host.parse::<std::net::Ipv4Addr>().is_ok() && !full.contains(host);
    if url.host_str().is_some_and(bare) {
        return Err(bad("a number is not a host"));
    }
    Ok(url.origin().ascii_serialization())
}

/// Whether central is reached through this machine's loopback.
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
    fn addresses_have_one_form() {
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
