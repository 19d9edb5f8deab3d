//! Contents: immutable bytes, named by their plain BLAKE3 hash and a size.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The plain BLAKE3 hash of a content: what `b3sum` prints.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentId(pub [u8; 32]);

/// A text or bytes that are not a content hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a content hash is 64 hexadecimal digits (32 bytes), not {0}")]
pub struct InvalidContentId(String);

impl ContentId {
    /// Reads the 32 bytes that stand for it on the wire.
    ///
    /// # Errors
    /// Any other number of bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidContentId> {
        bytes.try_into().map(Self).map_err(|_| InvalidContentId(format!("{} bytes", bytes.len())))
    }

    /// The hash of bytes that are all in memory.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The 32 bytes that stand for it on the wire.
    pub fn to_vec(self) -> Vec<u8> {
        self.0.to_vec()
    }
}

impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentId({self})")
    }
}

impl FromStr for ContentId {
    type Err = InvalidContentId;
    fn from_str(text: &str) -> Result<Self, InvalidContentId> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| {
            InvalidContentId(format!("{:?}", text.chars().take(70).collect::<String>()))
        })?;
        Ok(Self(bytes))
    }
}

impl Serialize for ContentId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ContentId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Largest size of a content in bytes: what a signed 64-bit column and an `off_t` hold.
pub const MAX_SIZE: u64 = i64::MAX as u64;

/// A content: which bytes, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Content {
    /// BLAKE3 hash of all bytes.
    pub hash: ContentId,
    /// Number of bytes, at most [`MAX_SIZE`].
    pub size: u64,
}
