//! Central's address as an argument.

use std::net::{IpAddr, Ipv4Addr};

use peral_wire::{Failure, fail};

/// Central's URL, with `https://` where no scheme is given. Plaintext would expose tokens, so it is
/// allowed for loopback only.
pub(super) fn address(text: &str) -> Result<String, Failure> {
    let full = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let url = reqwest::Url::parse(&full).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https") && url.path() == "/" && url.query().is_none()
    });
    let host = url.as_ref().and_then(reqwest::Url::host_str);
    // URLs allow a bare number as an IPv4 address; here it is a typing mistake.
    let number = host.is_some_and(|host| host.parse::<Ipv4Addr>().is_ok() && !full.contains(host));
    if host.is_none() || number {
        return Err(fail!(
            InvalidArgument,
            "{text:?} is not a URL of central; write https://HOST:7070"
        ));
    }
    if url.as_ref().is_some_and(|url| url.scheme() == "http") && !host.is_some_and(is_loopback) {
        return Err(fail!(
            InvalidArgument,
            "{text:?}: plain HTTP is allowed for loopback addresses only; write https://HOST:7070"
        ));
    }
    Ok(full)
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
