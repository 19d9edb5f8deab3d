//! Generated from proto/peral/v1.
#![expect(
    missing_docs,
    clippy::all,
    clippy::allow_attributes,
    reason = "generated; the proto files document it"
)]

tonic::include_proto!("peral.v1");

/// The compiled descriptors, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
