//! Results of a publish as they are kept under its idempotency key: small, because a first index
//! makes a million of them.

use peral_model::FileId;
use peral_wire::rest::holdings::VersionRef;
use uuid::Uuid;

use super::{
    Refusal,
    publish::{NewVersion, Publishing},
};

/// Which version was published, or why none was.
pub(super) type VersionResult = Result<VersionRef, Refusal>;

const VERSION: u8 = 0;

/// The refusals that a single version can get, each with its byte.
const REFUSALS: [(u8, Refusal); 6] = [
    (1, Refusal::NameTaken),
    (2, Refusal::VersionConflict),
    (3, Refusal::Removed),
    (4, Refusal::BadUpload),
    (5, Refusal::TooLarge),
    (6, Refusal::Revoked),
];

/// Packs results: one byte each, and 24 more for a version.
pub(super) fn pack(results: &[VersionResult]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(results.len() * 25);
    for result in results {
        match result {
            Ok(version) => {
                bytes.push(VERSION);
                bytes.extend(version.file.0.as_bytes());
                bytes.extend(version.version.to_le_bytes());
            }
            Err(refusal) => bytes.push(
                REFUSALS.iter().find(|(_, known)| known == refusal).map_or(4, |(byte, _)| *byte),
            ),
        }
    }
    bytes
}

/// Unpacks results; none if [`pack`] did not make the bytes.
pub(super) fn unpack(mut bytes: &[u8]) -> Option<Vec<VersionResult>> {
    let mut results = Vec::new();
    while let Some((kind, rest)) = bytes.split_first() {
        bytes = rest;
        if *kind == VERSION {
            let (file, rest) = bytes.split_first_chunk::<16>()?;
            let (version, rest) = rest.split_first_chunk::<8>()?;
            bytes = rest;
            results.push(Ok(VersionRef {
                file: FileId(Uuid::from_bytes(*file)),
                version: u64::from_le_bytes(*version),
            }));
        } else {
            let (_, refusal) = REFUSALS.iter().find(|(byte, _)| byte == kind)?;
            results.push(Err(refusal.clone()));
        }
    }
    Some(results)
}

/// Hash of what a publish asks for, by which the same request is known again.
pub(super) fn fingerprint(publishing: &Publishing) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new();
    for version in &publishing.versions {
        let NewVersion { name, content, visibility, replaces, upload } = version;
        // Debug texts of plain values, each ended by NUL, which no name holds.
        hasher
            .update(name.as_str().as_bytes())
            .update(&[0])
            .update(&content.hash.0)
            .update(&content.size.to_le_bytes());
        hasher.update(format!("{visibility:?} {replaces:?} {upload:?}\0").as_bytes());
    }
    hasher.finalize().as_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_read_back_as_they_were_kept() {
        let version = VersionRef { file: FileId(Uuid::from_u128(7)), version: u64::MAX };
        let mut results: Vec<VersionResult> =
            REFUSALS.iter().map(|(_, refusal)| Err(refusal.clone())).collect();
        results.push(Ok(version));
        assert_eq!(unpack(&pack(&results)), Some(results));
        assert_eq!(unpack(&[0, 1]), None);
        assert_eq!(unpack(&[99]), None);
    }
}
