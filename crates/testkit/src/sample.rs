//! Bytes to move.

use std::{fs, path::Path};

/// The size of a piece, as a length.
pub const MIB: usize = 1 << 20;

/// Bytes that look random, the same for each seed; no two pieces are alike.
pub fn noise(seed: &str, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    blake3::Hasher::new().update(seed.as_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// The same; bytes of one size are not the beginning of those of another size.
pub fn sample(size: usize) -> Vec<u8> {
    noise(&format!("{size} bytes"), size)
}

/// Writes a file of noise; gives its BLAKE3.
///
/// # Panics
/// It cannot be written.
pub fn noise_file(path: &Path, seed: &str, size: usize) -> String {
    let bytes = noise(seed, size);
    fs::write(path, &bytes).unwrap();
    blake3::hash(&bytes).to_string()
}

/// BLAKE3 of a file.
///
/// # Panics
/// It cannot be read.
pub fn hash_of(path: &Path) -> String {
    blake3::hash(&fs::read(path).unwrap()).to_string()
}
