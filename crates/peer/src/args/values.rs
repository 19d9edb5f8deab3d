//! Values of arguments that have parts.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    str::FromStr,
};

/// A folder to publish, with the prefix of its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareArg {
    pub(super) path: PathBuf,
    pub(super) prefix: String,
}

impl FromStr for ShareArg {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (path, prefix) = text.split_once('=').unwrap_or((text, ""));
        if path.is_empty() {
            Err("expected DIR or DIR=PREFIX".into())
        } else {
            Ok(Self { path: path.into(), prefix: prefix.into() })
        }
    }
}

/// An address to register, with or without a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdvertiseArg {
    pub(super) ip: IpAddr,
    pub(super) port: Option<u16>,
}

impl FromStr for AdvertiseArg {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self { ip: address.ip(), port: Some(address.port()) });
        }
        let ip = text
            .trim_matches(['[', ']'])
            .parse()
            .map_err(|_| "expected an IP address, or IP:PORT such as 10.0.0.7:7071".to_owned())?;
        Ok(Self { ip, port: None })
    }
}
