//! Central's keys: the authority, the key of tokens and the key of records, in a folder that nobody
//! else may read.
//!
//! Central makes that folder itself, or is given one that somebody else filled, such as a mounted
//! Secret: there root owns folders and files, a group may read them, and the names are links.

mod given;

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use aws_lc_rs::{rand::SystemRandom, signature::Ed25519KeyPair};
use peral_model::NetworkId;
use peral_runtime::tls::Authority;
use peral_wire::{
    Failure, fail,
    keys::{Jwk, Jwks, KeyUse, SigningKey, Verifier},
};
use rustls_pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use zeroize::Zeroizing;

use crate::{config::Config, nonce::Nonces, token::Tokens};

const NETWORK: &str = "network";
pub(crate) const CA: &str = "ca.pem";
const CA_KEY: &str = "ca.key";
const TOKEN_KEY: &str = "token.key";
const RECORD_KEY: &str = "record.key";
/// Public halves of keys that no longer sign: a `jwks.json` of its own, kept by whoever changes
/// keys.
const RETIRED: &str = "retired.json";
/// All files that must be there.
pub(crate) const FILES: [&str; 5] = [NETWORK, CA, CA_KEY, TOKEN_KEY, RECORD_KEY];

/// Central's keys, ready for use.
pub struct Keys {
    /// The network that they make.
    pub network: NetworkId,
    /// Signs certificates.
    pub authority: Authority,
    /// Makes and checks bearer tokens.
    pub tokens: Tokens,
    /// Signs records, grants and tickets.
    pub record: SigningKey,
    /// Checks what the record keys signed, retired ones too.
    pub verifier: Verifier,
    /// Makes and checks nonces.
    pub nonces: Nonces,
    /// The public halves.
    pub jwks: Jwks,
}

impl Keys {
    /// Reads the keys; makes those of `network` first where the folder is not there.
    ///
    /// # Errors
    /// Naming the path: INVALID_ARGUMENT, the folder or a file in it is open to others or somebody
    /// else's; INTERNAL, a file is missing or cannot be read.
    pub fn open_or_make(folder: &Path, network: NetworkId, now_ms: i64) -> Result<Self, Failure> {
        if !folder.exists() {
            make(folder, network, now_ms)?;
        }
        Self::open(folder)
    }

    /// The keys that are there already: those of a given folder, which must be, or central's own,
    /// if they are.
    ///
    /// # Errors
    /// As [`Keys::open`] and [`Keys::open_given`].
    pub fn known(config: &Config) -> Result<Option<Self>, Failure> {
        let own = config.keys();
        match &config.given_keys {
            Some(folder) => Self::open_given(folder).map(Some),
            None if own.exists() => Self::open(&own).map(Some),
            None => Ok(None),
        }
    }

    /// Reads the keys from central's own folder.
    ///
    /// # Errors
    /// As [`Keys::open_or_make`].
    pub fn open(folder: &Path) -> Result<Self, Failure> {
        private(folder)?;
        Self::read(folder, |path, _| private(path))
    }

    /// Reads the keys from a folder that somebody else filled.
    ///
    /// # Errors
    /// Naming the path: INVALID_ARGUMENT, somebody but root and this user could read a key or
    /// change one, or one is missing; INTERNAL, one cannot be read.
    pub fn open_given(folder: &Path) -> Result<Self, Failure> {
        given::folder(folder)?;
        Self::read(folder, given::file)
    }

    fn read(
        folder: &Path,
        safe: impl Fn(&Path, bool) -> Result<(), Failure>,
    ) -> Result<Self, Failure> {
        let text = |name: &str| {
            let path = folder.join(name);
            safe(&path, [CA_KEY, TOKEN_KEY, RECORD_KEY].contains(&name))?;
            fs::read_to_string(&path)
                .map(Zeroizing::new)
                .map_err(|error| at(&path, "cannot be read", &error))
        };
        let bad = |name: &str, error: &dyn std::fmt::Display| {
            at(&folder.join(name), "cannot be used", error)
        };
        let network =
            text(NETWORK)?.trim().parse::<NetworkId>().map_err(|error| bad(NETWORK, &error))?;
        let authority =
            Authority::from_pem(&text(CA)?, &text(CA_KEY)?).map_err(|error| bad(CA, &error))?;
        let pkcs8 = |name: &str| {
            let der = PrivatePkcs8KeyDer::from_pem_slice(text(name)?.as_bytes())
                .map_err(|error| bad(name, &error))?;
            Ok::<_, Failure>(Zeroizing::new(der.secret_pkcs8_der().to_vec()))
        };
        let retired = if folder.join(RETIRED).exists() {
            read_retired(&text(RETIRED)?).map_err(|error| bad(RETIRED, &error))?
        } else {
            vec![]
        };
        Self::assemble(network, authority, &pkcs8(TOKEN_KEY)?, &pkcs8(RECORD_KEY)?, retired)
    }

    fn assemble(
        network: NetworkId,
        authority: Authority,
        token: &Zeroizing<Vec<u8>>,
        record: &[u8],
        retired: Vec<Jwk>,
    ) -> Result<Self, Failure> {
        let record = SigningKey::from_pkcs8(record, KeyUse::Record)?;
        let current = [SigningKey::from_pkcs8(token, KeyUse::Token)?.public(), record.public()];
        let jwks = Jwks { keys: current.into_iter().chain(retired).collect() };
        let tokens = Tokens::new(network, token, &jwks.keys)?;
        Ok(Self {
            network,
            authority,
            tokens,
            record,
            verifier: Verifier::new(&jwks, KeyUse::Record),
            nonces: Nonces::new(token),
            jwks,
        })
    }
}

fn read_retired(text: &str) -> Result<Vec<Jwk>, serde_json::Error> {
    let set: Jwks = serde_json::from_str(text)?;
    Ok(set.keys.into_iter().map(|key| Jwk { retired: true, ..key }).collect())
}

fn at(path: &Path, what: &str, error: &dyn std::fmt::Display) -> Failure {
    fail!(Internal, "{} {what}: {error}", path.display())
}

/// It is this user's, or root's, who can read everything anyway.
fn trusted_owner(path: &Path, meta: &fs::Metadata) -> Result<(), Failure> {
    let (me, owner) = (rustix::process::geteuid().as_raw(), meta.uid());
    if owner == me || owner == 0 {
        return Ok(());
    }
    let shown = path.display();
    Err(fail!(
        InvalidArgument,
        "{shown} belongs to user {owner}, not to user {me} who runs central: whoever owns it \
         could change central's keys"
    ))
}

/// Only this user may read or write it.
fn private(path: &Path) -> Result<(), Failure> {
    let meta = fs::metadata(path).map_err(|error| at(path, "cannot be read", &error))?;
    trusted_owner(path, &meta)?;
    let shown = path.display();
    if meta.mode() & 0o077 != 0 {
        let mode = meta.mode() & 0o777;
        let right = if meta.is_dir() { "700" } else { "600" };
        return Err(fail!(
            InvalidArgument,
            "{shown} is open to other users (mode {mode:03o}); it holds central's keys: chmod \
             {right} {shown}"
        ));
    }
    Ok(())
}

/// New keys of a network: the text of each file.
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

/// Makes all keys in a folder beside, which then takes its name in one step: nobody ever sees half
/// of them.
fn make(folder: &Path, network: NetworkId, now_ms: i64) -> Result<(), Failure> {
    let files = generate(network, now_ms)?;
    let beside = beside(folder);
    let failed = |error: &dyn std::fmt::Display| at(folder, "cannot be made", error);
    if let Some(parent) = folder.parent() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .map_err(|error| failed(&error))?;
    }
    fs::DirBuilder::new().mode(0o700).create(&beside).map_err(|error| failed(&error))?;
    let written = files.iter().try_for_each(|(name, text)| write_secret(&beside.join(name), text));
    let placed = written
        .and_then(|()| fs::rename(&beside, folder))
        .and_then(|()| sync_folder(folder.parent()));
    if let Err(error) = placed {
        drop(fs::remove_dir_all(&beside));
        // Another process may have been quicker: its keys are as good.
        return if folder.join(RECORD_KEY).exists() { Ok(()) } else { Err(failed(&error)) };
    }
    tracing::info!(folder = %folder.display(), %network, "made the keys of a new network");
    Ok(())
}

fn beside(folder: &Path) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(format!(".{}", uuid::Uuid::new_v4().simple()));
    name.into()
}

fn new_ed25519() -> Result<Zeroizing<String>, Failure> {
    let failed = |_| fail!(Internal, "no key can be made: the system gives no randomness");
    let der = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).map_err(failed)?;
    Ok(Zeroizing::new(pem("PRIVATE KEY", der.as_ref())))
}

/// PEM of some bytes.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn sync_folder(folder: Option<&Path>) -> io::Result<()> {
    folder
        .filter(|path| !path.as_os_str().is_empty())
        .map_or(Ok(()), |path| fs::File::open(path)?.sync_all())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use peral_wire::ErrorCode;

    use super::*;

    const NOW: i64 = 1_800_000_000_000;
    const NETWORK_ID: NetworkId = NetworkId(uuid::Uuid::from_u128(7));

    #[test]
    fn keys_are_made_once_and_read_back() {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join("a/keys");
        let made = Keys::open_or_make(&folder, NETWORK_ID, NOW).unwrap();
        let again = Keys::open_or_make(&folder, NETWORK_ID, NOW + 1).unwrap();
        assert_eq!(
            (made.network, &made.jwks, made.authority.fingerprint()),
            (again.network, &again.jwks, again.authority.fingerprint())
        );
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
        for file in fs::read_dir(&folder).unwrap() {
            assert_eq!(file.unwrap().metadata().unwrap().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_folder_or_key_that_others_can_read_is_refused_by_its_path() {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join("keys");
        Keys::open_or_make(&folder, NETWORK_ID, NOW).unwrap();
        for (path, mode) in [
            (folder.clone(), 0o755),
            (folder.clone(), 0o750),
            (folder.join(CA_KEY), 0o644),
            (folder.join(TOKEN_KEY), 0o640),
        ] {
            let right = fs::metadata(&path).unwrap().permissions();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let failure = Keys::open(&folder).err().unwrap();
            assert!(
                failure.detail.contains(&format!("{} is open to other users", path.display())),
                "{}",
                failure.detail
            );
            fs::set_permissions(&path, right).unwrap();
        }
        Keys::open(&folder).unwrap();
    }

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// As the kubelet mounts a Secret for a pod with a group of its own: links into a folder, all
    /// of it root's, readable by the group.
    fn mounted(at: &Path) -> (PathBuf, PathBuf) {
        let (folder, real) = (at.join("keys"), at.join("keys/..2027_01_15_08_00_00.1"));
        fs::create_dir_all(&real).unwrap();
        for (name, text) in generate(NETWORK_ID, NOW).unwrap() {
            fs::write(real.join(name), text.as_bytes()).unwrap();
            mode(&real.join(name), 0o440);
            symlink(Path::new("..data").join(name), folder.join(name)).unwrap();
        }
        symlink(real.file_name().unwrap(), folder.join("..data")).unwrap();
        mode(&real, 0o2755);
        mode(&folder, 0o3777);
        (folder, real)
    }

    #[test]
    fn a_mounted_secret_is_taken_and_central_adds_nothing_to_it() {
        let data = tempfile::tempdir().unwrap();
        let (folder, real) = mounted(data.path());
        let config =
            Config { given_keys: Some(folder.clone()), ..Config::new(data.path().join("data")) };
        assert_eq!(
            (config.keys(), Keys::known(&config).unwrap().unwrap().network),
            (folder.clone(), NETWORK_ID)
        );
        mode(&real.join(CA), 0o444);
        mode(&real.join(NETWORK), 0o644);
        mode(&folder, 0o755);
        Keys::open_given(&folder).unwrap();
        assert!(Keys::open(&folder).is_err(), "central's own folder is nobody else's to read");
        fs::remove_file(folder.join(RECORD_KEY)).unwrap();
        let missing = Keys::known(&config).err().unwrap();
        assert!(
            missing.detail.contains("record.key") && missing.detail.contains("peral central keys"),
            "{missing}"
        );
        let nowhere = Config { given_keys: Some(data.path().join("no")), ..config };
        let missing = Keys::known(&nowhere).err().unwrap();
        assert!(
            missing.detail.contains("peral central keys") && !data.path().join("no").exists(),
            "{missing}"
        );
        assert_eq!(missing.code, ErrorCode::InvalidArgument, "no defect of ours");
    }

    #[test]
    fn a_given_key_that_others_can_read_or_change_is_refused_by_its_path() {
        let data = tempfile::tempdir().unwrap();
        let (folder, real) = mounted(data.path());
        for (path, shown, wrong) in [
            (real.join(CA_KEY), folder.join(CA_KEY), 0o444),
            (real.join(TOKEN_KEY), folder.join(TOKEN_KEY), 0o644),
            (real.join(RECORD_KEY), folder.join(RECORD_KEY), 0o460),
            (real.join(CA), folder.join(CA), 0o664),
            (real.join(NETWORK), folder.join(NETWORK), 0o646),
            (folder.clone(), folder.clone(), 0o777),
            (real.clone(), real.canonicalize().unwrap(), 0o757),
        ] {
            let right = fs::metadata(&path).unwrap().permissions();
            mode(&path, wrong);
            let failure = Keys::open_given(&folder).err().unwrap();
            assert!(
                failure.detail.starts_with(&format!("{} ", shown.display())),
                "{wrong:o}: {failure}"
            );
            assert_eq!(failure.code, ErrorCode::InvalidArgument, "no defect of ours");
            fs::set_permissions(&path, right).unwrap();
        }
        Keys::open_given(&folder).unwrap();
    }

    #[test]
    fn a_missing_or_broken_key_is_named() {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join("keys");
        Keys::open_or_make(&folder, NETWORK_ID, NOW).unwrap();
        fs::write(folder.join(RECORD_KEY), "nonsense").unwrap();
        let failure = Keys::open(&folder).err().unwrap();
        assert!(failure.detail.contains("record.key"), "{}", failure.detail);
        fs::remove_file(folder.join(RECORD_KEY)).unwrap();
        let failure = Keys::open(&folder).err().unwrap();
        assert!(failure.detail.contains("record.key"), "{}", failure.detail);
    }

    #[test]
    fn retired_keys_are_published_as_such() {
        let data = tempfile::tempdir().unwrap();
        let (old, new) = (data.path().join("old"), data.path().join("new"));
        let old = Keys::open_or_make(&old, NETWORK_ID, NOW).unwrap();
        Keys::open_or_make(&new, NETWORK_ID, NOW).unwrap();
        write_secret(&new.join(RETIRED), &serde_json::to_string(&old.jwks).unwrap()).unwrap();
        let keys = Keys::open(&new).unwrap().jwks.keys;
        assert_eq!(
            keys.iter().map(|key| key.retired).collect::<Vec<_>>(),
            [false, false, true, true]
        );
        assert_eq!(keys[3].kid, old.record.id());
    }
}
