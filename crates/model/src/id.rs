//! Identifiers: UUIDs (version 7 where central makes them) in types that cannot be mixed up.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An identifier that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}")]
pub struct InvalidId {
    text: String,
    expected: &'static str,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident, $what:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// Reads the 16 bytes that stand for it on the wire.
            ///
            /// # Errors
            /// Any other number of bytes.
            pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidId> {
                Uuid::from_slice(bytes)
                    .map(Self)
                    .map_err(|_| InvalidId { text: hex::encode(bytes), expected: $what })
            }

            /// The 16 bytes that stand for it on the wire.
            pub fn to_vec(self) -> Vec<u8> {
                self.0.as_bytes().to_vec()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Uuid::try_parse(text)
                    .map(Self)
                    .map_err(|_| InvalidId { text: text.into(), expected: $what })
            }
        }
    )*};
}

ids! {
    /// One installation of Peral: the peers of one central.
    NetworkId, "a network id";
    /// A user, or the account that a group of peers works for.
    AccountId, "an account id";
    /// A group of accounts.
    GroupId, "a group id";
    /// One login of an account; its certificate identity.
    SessionId, "a session id";
    /// A node that stores and serves files.
    PeerId, "a peer id";
    /// A name's life in the catalogue, from its first publish to its removal.
    FileId, "a file id";
    /// A folder of a peer, published under a prefix.
    ShareId, "a share id";
    /// One upload, from its grant to its acknowledgement.
    UploadId, "an upload id";
    /// An API token or a join token.
    TokenId, "a token id";
}

/// Who a certificate of central's authority speaks for: the one URI in its subject alternative
/// names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Identity {
    /// The central server.
    Central,
    /// A peer, on both ends of a connection.
    Peer(PeerId),
    /// A user's session, as a client only.
    User(SessionId),
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Central => f.write_str("peral:central"),
            Self::Peer(id) => write!(f, "peral:peer/{id}"),
            Self::User(id) => write!(f, "peral:user/{id}"),
        }
    }
}

impl FromStr for Identity {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid =
            || InvalidId { text: text.into(), expected: "an identity such as peral:peer/<id>" };
        match text.strip_prefix("peral:").ok_or_else(invalid)?.split_once('/') {
            None if text == "peral:central" => Ok(Self::Central),
            Some(("peer", id)) => id.parse().map(Self::Peer),
            Some(("user", id)) => id.parse().map(Self::User),
            _ => Err(invalid()),
        }
    }
}

impl Serialize for Identity {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Identity {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_reads_back_as_it_is_written() {
        let id = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);
        for identity in
            [Identity::Central, Identity::Peer(PeerId(id)), Identity::User(SessionId(id))]
        {
            assert_eq!(identity.to_string().parse(), Ok(identity));
        }
    }

    #[test]
    fn other_uris_are_not_an_identity() {
        for text in [
            "",
            "peral:",
            "peral:peer",
            "peral:peer/",
            "peral:peer/x",
            "peral:central/x",
            "spiffe://peral/central",
            "peral:user/../x",
        ] {
            assert!(text.parse::<Identity>().is_err(), "{text:?}");
        }
    }
}
