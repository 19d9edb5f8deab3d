//! The files of the keys, and how new ones are created.

use std::{
    fmt::Display,
    fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use aws_lc_rs::{rand::SystemRandom, signature::Ed25519KeyPair};
use base64::{Engine, engine::general_purpose::STANDARD};
use peral_model::NetworkId;
use peral_runtime::tls::Authority;
use peral_wire::{Failure, fail};
use zeroize::Zeroizing;

pub(super) const NETWORK: &str = "network";
pub(crate) const CA: &str = "ca.pem";
pub(super) const CA_KEY: &str = "ca.key";
pub(super) const TOKEN_KEY: &str = "token.key";
pub(super) const RECORD_KEY: &str = "record.key";
/// Public keys that no longer sign: a `jwks.json`, maintained by whoever replaces keys.
pub(super) const RETIRED: &str = "retired.json";
/// All files that must exist.
pub(crate) const FILES: [&str; 5] = [NETWORK, CA, CA_KEY, TOKEN_KEY, RECORD_KEY];

/// A failure that names a file of a key, or the folder of the keys.
pub(super) fn failed(path: &Path, what: &str, error: &dyn Display) -> Failure {
    fail!(Internal, "{} {what}: {error}", path.display())
}

/// Generates the keys of a new network: the text of each file.
pub(crate) fn generate(
    network: NetworkId,
    now_ms: i64,
) -> Result<[(&'static str, Zeroizing<String>); FILES.len()], Failure> {
    let authority =
        Authority::generate(network, now_ms).map_err(|error| fail!(Internal, "{error}"))?;
    let (ca, ca_key) = authority.to_pem().map_err(|error| fail!(Internal, "{error}"))?;
    Ok([
        (NETWORK, Zeroizing::new(network.to_string())),
        (CA, Zeroizing::new(ca)),
        (CA_KEY, Zeroizing::new(ca_key)),
        (TOKEN_KEY, new_ed25519()?),
        (RECORD_KEY, new_ed25519()?),
    ])
}

/// Creates all keys in a temporary folder next to `folder`, which is then renamed: nobody ever sees
/// only some of them.
pub(super) fn create(folder: &Path, network: NetworkId, now_ms: i64) -> Result<(), Failure> {
    let files = generate(network, now_ms)?;
    let temporary = temporary(folder);
    let failed = |error: &dyn Display| failed(folder, "cannot be created", error);
    if let Some(parent) = folder.parent() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .map_err(|error| failed(&error))?;
    }
    fs::DirBuilder::new().mode(0o700).create(&temporary).map_err(|error| failed(&error))?;
    let written =
        files.iter().try_for_each(|(name, text)| write_secret(&temporary.join(name), text));
    let placed = written
        .and_then(|()| fs::rename(&temporary, folder))
        .and_then(|()| sync_folder(folder.parent()));
    if let Err(error) = placed {
        drop(fs::remove_dir_all(&temporary));
        // Another process may have been faster: its keys are as good.
        return if folder.join(RECORD_KEY).exists() { Ok(()) } else { Err(failed(&error)) };
    }
    tracing::info!(folder = %folder.display(), %network, "created the keys of a new network");
    Ok(())
}

fn temporary(folder: &Path) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(format!(".{}", uuid::Uuid::new_v4().simple()));
    name.into()
}

fn new_ed25519() -> Result<Zeroizing<String>, Failure> {
    let failed = |_| fail!(Internal, "cannot generate a key: the system provides no randomness");
    let der = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).map_err(failed)?;
    Ok(Zeroizing::new(pem("PRIVATE KEY", der.as_ref())))
}

/// PEM of some bytes.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

pub(super) fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn sync_folder(folder: Option<&Path>) -> io::Result<()> {
    folder
        .filter(|path| !path.as_os_str().is_empty())
        .map_or(Ok(()), |path| fs::File::open(path)?.sync_all())
}
