//! The address that others reach this peer by.

use std::net::{IpAddr, SocketAddr};

use peral_wire::{Failure, fail};

/// How the registered address is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advertise {
    /// As configured; found out where it is not.
    pub ip: Option<IpAddr>,
    pub port: u16,
    /// Where this peer listens.
    pub listen: IpAddr,
}

impl Advertise {
    /// The address to register: as given, or where this peer listens, or from where this machine
    /// talks to central.
    ///
    /// # Errors
    /// UNAVAILABLE, when there is no route to central.
    pub async fn address(self, central: &str) -> Result<SocketAddr, Failure> {
        let ip = match self.ip {
            Some(ip) => ip,
            None if !self.listen.is_unspecified() => self.listen,
            None => source_ip(central).await?,
        };
        Ok(SocketAddr::new(ip, self.port))
    }
}

/// The address that this machine would use to talk to central. Nothing is sent.
async fn source_ip(central: &str) -> Result<IpAddr, Failure> {
    let unknown = |error: &dyn std::fmt::Display| {
        fail!(
            Unavailable,
            "cannot tell which address of this machine reaches central at {central} ({error}); set \
             one with --advertise"
        )
    };
    let url = reqwest::Url::parse(central)
        .map_err(|error| fail!(InvalidArgument, "--central {central:?} is not a URL: {error}"))?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default().unwrap_or(443);
    let mut found = tokio::net::lookup_host((host, port)).await.map_err(|error| unknown(&error))?;
    let to = found.next().ok_or_else(|| unknown(&"its host name has no address"))?;
    let any: SocketAddr =
        if to.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let probe = async {
        let socket = tokio::net::UdpSocket::bind(any).await?;
        socket.connect(to).await?;
        socket.local_addr()
    };
    probe.await.map(|address| address.ip()).map_err(|error| unknown(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_address_is_the_given_one_or_leads_to_central() {
        let given =
            Advertise { ip: Some([10, 1, 2, 3].into()), port: 7, listen: [0, 0, 0, 0].into() };
        assert_eq!(
            given.address("https://127.0.0.1:7070").await.unwrap().to_string(),
            "10.1.2.3:7"
        );
        let found = Advertise { ip: None, ..given };
        assert_eq!(
            found.address("https://127.0.0.1:7070").await.unwrap().to_string(),
            "127.0.0.1:7"
        );
        let bound = Advertise { listen: [127, 0, 0, 2].into(), ..found };
        assert_eq!(
            bound.address("https://127.0.0.1:7070").await.unwrap().to_string(),
            "127.0.0.2:7"
        );
    }
}
