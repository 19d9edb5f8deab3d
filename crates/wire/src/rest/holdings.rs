//! Holdings: what a peer has verified on its disk.

use peral_model::FileId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Most rows of one call.
pub const MAX_ROWS: usize = 1000;
/// Buckets of a digest.
pub const BUCKETS: usize = 4096;

/// `POST /v1/index`: the next deltas of a peer, without a gap.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Deltas {
    /// Number of the first one; they count up by one.
    pub first: u64,
    /// At most 1,000.
    pub deltas: Vec<Delta>,
}

/// One change of what a peer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Delta {
    /// The file version.
    #[serde(flatten)]
    pub version: VersionRef,
    /// What is held of it now.
    pub held: Extent,
}

/// A version of a file.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
pub struct VersionRef {
    /// The file.
    #[schema(value_type = String, format = "uuid")]
    pub file: FileId,
    /// Number of the version.
    pub version: u64,
}

/// How much of a version a peer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Extent {
    /// All of it.
    All,
    /// Some pieces.
    Part,
    /// Nothing any more.
    None,
}

/// The answer to deltas and buckets.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
pub struct DeltaAnswer {
    /// Number of the last delta that central has now.
    pub last_delta: u64,
}

/// `POST /v1/index/digest`: what a peer holds, in short.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Digest {
    /// Number of the last delta that is in it.
    pub last_delta: u64,
    /// 4,096 little-endian 64-bit words, base64: word `b` is the XOR of the row hashes in bucket
    /// `b` (see [`row_hash`]).
    pub buckets: String,
}

/// The answer to a digest.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DigestAnswer {
    /// Buckets that differ, in order; to be sent again by `POST /v1/index/buckets`.
    pub differing: Vec<u16>,
}

/// `POST /v1/index/buckets`: replaces all rows of one bucket, or adds to it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Bucket {
    /// Number of the last delta that is in it.
    pub last_delta: u64,
    /// Which bucket.
    pub bucket: u16,
    /// Begin the bucket anew; false for the second and later thousand rows of it.
    pub replace: bool,
    /// Its rows, at most 1,000; `None` does not occur.
    pub rows: Vec<Delta>,
}

/// Hash of a holding row, and its bucket: the first 8 bytes (little-endian) of BLAKE3 over file id,
/// version (8 bytes, little-endian) and 1 for all, 2 for part.
pub fn row_hash(row: &Delta) -> (u16, u64) {
    let mut key = key_of(row.version);
    key.push(match row.held {
        Extent::None => 0,
        Extent::All => 1,
        Extent::Part => 2,
    });
    (bucket_of(row.version), word_of(&key))
}

/// The bucket of a version's row: the hash modulo 4,096 of what [`row_hash`] hashes without its last
/// byte, so that a row stays in its bucket.
pub fn bucket_of(version: VersionRef) -> u16 {
    u16::try_from(word_of(&key_of(version)) % BUCKETS as u64).unwrap_or_default()
}

fn key_of(version: VersionRef) -> Vec<u8> {
    let mut key = version.file.to_vec();
    key.extend(version.version.to_le_bytes());
    key
}

fn word_of(bytes: &[u8]) -> u64 {
    let hash = peral_model::ContentId::of(bytes).0;
    u64::from_le_bytes([hash[0], hash[1], hash[2], hash[3], hash[4], hash[5], hash[6], hash[7]])
}
