//! Central's keys: the authority, the key of tokens and the key of records, in a folder that nobody
//! else may read.
//!
//! Central creates that folder itself, or is given one that somebody else filled, such as a mounted
//! Secret: there root owns folders and files, a group may read them, and the names are links.

mod access;
mod files;

use std::{fmt::Display, fs, path::Path};

use peral_model::NetworkId;
use peral_runtime::tls::Authority;
use peral_wire::{
    Failure,
    keys::{Jwk, Jwks, KeyUse, SigningKey, Verifier},
};
use rustls_pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use zeroize::Zeroizing;

pub(crate) use self::files::{CA, FILES, generate, pem};
use self::files::{CA_KEY, NETWORK, RECORD_KEY, RETIRED, TOKEN_KEY, failed};
use crate::{config::Config, nonce::Nonces, token::Tokens};

/// Central's keys, ready for use.
pub struct Keys {
    /// Id of the network.
    pub network: NetworkId,
    /// Signs certificates.
    pub authority: Authority,
    /// Issues and checks bearer tokens.
    pub tokens: Tokens,
    /// Signs records, grants and tickets.
    pub record: SigningKey,
    /// Checks signatures of record keys, including retired ones.
    pub verifier: Verifier,
    /// Issues and checks nonces.
    pub nonces: Nonces,
    /// The public keys.
    pub jwks: Jwks,
}

impl Keys {
    /// Reads the keys; creates those of `network` first if the folder does not exist.
    ///
    /// # Errors
    /// All name the path. INVALID_ARGUMENT: other users can open the folder or a file in it, or own
    /// it. INTERNAL: a file is missing or cannot be read.
    pub fn open_or_create(folder: &Path, network: NetworkId, now_ms: i64) -> Result<Self, Failure> {
        if !folder.exists() {
            files::create(folder, network, now_ms)?;
        }
        Self::open(folder)
    }

    /// The existing keys: those of a given folder, which must exist, or central's own, if they
    /// exist.
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
    /// As [`Keys::open_or_create`].
    pub fn open(folder: &Path) -> Result<Self, Failure> {
        access::private(folder)?;
        Self::read(folder, |path, _| access::private(path))
    }

    /// Reads the keys from a folder that somebody else filled.
    ///
    /// # Errors
    /// All name the path. INVALID_ARGUMENT: users other than root and this one could read or change
    /// a key, or one is missing. INTERNAL: one cannot be read.
    pub fn open_given(folder: &Path) -> Result<Self, Failure> {
        access::given_folder(folder)?;
        Self::read(folder, access::given_file)
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
                .map_err(|error| failed(&path, "cannot be read", &error))
        };
        let bad =
            |name: &str, error: &dyn Display| failed(&folder.join(name), "cannot be used", error);
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

#[cfg(test)]
mod tests {
    use std::{
        os::unix::fs::{MetadataExt, PermissionsExt, symlink},
        path::PathBuf,
    };

    use peral_wire::ErrorCode;

    use super::{files::write_secret, *};

    const NOW: i64 = 1_800_000_000_000;
    const NETWORK_ID: NetworkId = NetworkId(uuid::Uuid::from_u128(7));

    #[test]
    fn keys_are_made_once_and_read_back() {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join("a/keys");
        let made = Keys::open_or_create(&folder, NETWORK_ID, NOW).unwrap();
        let again = Keys::open_or_create(&folder, NETWORK_ID, NOW + 1).unwrap();
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
        Keys::open_or_create(&folder, NETWORK_ID, NOW).unwrap();
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
        assert!(Keys::open(&folder).is_err(), "nobody else may read central's own folder");
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
        assert_eq!(
            missing.code,
            ErrorCode::InvalidArgument,
            "a wrong setting, not an internal error"
        );
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
            assert_eq!(
                failure.code,
                ErrorCode::InvalidArgument,
                "a wrong setting, not an internal error"
            );
            fs::set_permissions(&path, right).unwrap();
        }
        Keys::open_given(&folder).unwrap();
    }

    #[test]
    fn a_missing_or_broken_key_is_named() {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join("keys");
        Keys::open_or_create(&folder, NETWORK_ID, NOW).unwrap();
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
        let old = Keys::open_or_create(&old, NETWORK_ID, NOW).unwrap();
        Keys::open_or_create(&new, NETWORK_ID, NOW).unwrap();
        write_secret(&new.join(RETIRED), &serde_json::to_string(&old.jwks).unwrap()).unwrap();
        let keys = Keys::open(&new).unwrap().jwks.keys;
        assert_eq!(
            keys.iter().map(|key| key.retired).collect::<Vec<_>>(),
            [false, false, true, true]
        );
        assert_eq!(keys[3].kid, old.record.id());
    }
}
