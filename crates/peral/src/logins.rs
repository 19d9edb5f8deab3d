//! The user's logins: one file for each network, which nobody else can read.

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use peral_model::{AccountId, Identity, NetworkId, SessionId};
use peral_runtime::tls::KeyPkcs8Der;
use peral_transfer::trust::Network;
use peral_wire::{
    Failure, fail,
    rest::{accounts::Role, sessions::Credentials},
};
use serde::{Deserialize, Serialize};

/// A login file has a few kilobytes; a longer one is not read.
const MAX_FILE: u64 = 256 * 1024;

/// A login to one network: all that a command needs to act for the account.
#[derive(Clone, Serialize, Deserialize)]
pub struct StoredLogin {
    /// Address of central.
    pub central: String,
    /// The network: its authority and its keys.
    pub network: Network,
    /// The session; its certificate identity is `peral:user/<session>`.
    pub session: SessionId,
    pub account: AccountId,
    /// Name of the account.
    pub name: String,
    /// Its role at login.
    pub role: Role,
    /// When the session ends, even if its credentials are renewed.
    pub session_ends_ms: i64,
    /// PEM of the session's key (PKCS#8).
    pub key: String,
    pub credentials: Credentials,
}

impl StoredLogin {
    /// The identity that the session's certificate shows.
    pub fn identity(&self) -> Identity {
        Identity::User(self.session)
    }

    /// The session's key.
    ///
    /// # Errors
    /// The file was damaged.
    pub fn private_key(&self) -> Result<KeyPkcs8Der, Failure> {
        KeyPkcs8Der::from_pem(&self.key).map_err(|error| {
            fail!(Unauthenticated, "could not read the key of the login: {error}; log in again")
        })
    }
}

/// The folder of logins; none if there is no home folder.
#[derive(Debug, Clone)]
pub struct LoginStore {
    folder: Option<PathBuf>,
}

impl LoginStore {
    /// In `logins` below the user's configuration folder.
    pub fn new(config: Option<&Path>) -> Self {
        Self { folder: config.map(|config| config.join("logins")) }
    }

    /// All logins, ordered by the ids of their networks.
    ///
    /// # Errors
    /// A file cannot be read, or others could read it.
    pub fn all(&self) -> Result<Vec<StoredLogin>, Failure> {
        let Some(folder) = &self.folder else { return Ok(Vec::new()) };
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| unusable(folder, &error))?,
        };
        let mut paths =
            entries.collect::<Result<Vec<_>, _>>().map_err(|error| unusable(folder, &error))?;
        paths.sort_by_key(fs::DirEntry::file_name);
        let logins = paths
            .iter()
            .map(fs::DirEntry::path)
            .filter(|path| path.extension().is_some_and(|end| end == "json"));
        logins.map(|path| read(&path)).collect()
    }

    /// The login to this central; without one, the only login there is.
    ///
    /// # Errors
    /// INVALID_ARGUMENT: there are several, and no central was named. As [`LoginStore::all`].
    pub fn find(&self, central: Option<&str>) -> Result<Option<StoredLogin>, Failure> {
        let mut logins = self.all()?;
        if let Some(central) = central {
            return Ok(logins.into_iter().find(|login| login.central == central));
        }
        if logins.len() > 1 {
            let centrals =
                logins.iter().map(|login| login.central.as_str()).collect::<Vec<_>>().join(", ");
            return Err(fail!(
                InvalidArgument,
                "you are logged in to {centrals}: choose one with --central (or PERAL_CENTRAL, or \
                 in peral.toml)"
            ));
        }
        Ok(logins.pop())
    }

    /// Stores a login. It replaces the one to the same network or the same address.
    ///
    /// # Errors
    /// It cannot be written; there is no home folder.
    pub fn save(&self, login: &StoredLogin) -> Result<(), Failure> {
        let homeless = || {
            fail!(
                InvalidArgument,
                "there is no home folder to store the login in: set HOME or PERAL_CONFIG_DIR"
            )
        };
        let folder = self.folder.as_deref().ok_or_else(homeless)?;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| unusable(folder, &error))?;
        write(folder, login).map_err(|error| unusable(folder, &error))?;
        for other in self.all()? {
            if other.network.id != login.network.id && other.central == login.central {
                self.remove(other.network.id)?;
            }
        }
        Ok(())
    }

    /// Deletes the login to a network.
    ///
    /// # Errors
    /// It cannot be deleted.
    pub fn remove(&self, network: NetworkId) -> Result<(), Failure> {
        let Some(folder) = &self.folder else { return Ok(()) };
        match fs::remove_file(place(folder, network)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(unusable(folder, &error)),
            _ => Ok(()),
        }
    }
}

fn place(folder: &Path, network: NetworkId) -> PathBuf {
    folder.join(format!("{network}.json"))
}

fn unusable(folder: &Path, error: &std::io::Error) -> Failure {
    fail!(Internal, "could not use the folder of logins {}: {error}", folder.display())
}

fn write(folder: &Path, login: &StoredLogin) -> std::io::Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    // Temporary files have mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&serde_json::to_vec_pretty(login)?)?;
    file.as_file().sync_all()?;
    file.persist(place(folder, login.network.id))?;
    fs::File::open(folder)?.sync_all()
}

fn read(path: &Path) -> Result<StoredLogin, Failure> {
    let file_name = path.display();
    let unreadable = |error: &dyn std::fmt::Display| {
        fail!(Unauthenticated, "could not read the login {file_name}: {error}; log in again")
    };
    let file = fs::File::open(path).map_err(|error| unreadable(&error))?;
    let mode = file.metadata().map_err(|error| unreadable(&error))?.mode();
    if mode & 0o077 != 0 {
        return Err(fail!(
            Unauthenticated,
            "other users can read the login {file_name} (mode {:o}): log out and log in again, or \
             set its mode to 600",
            mode & 0o777
        ));
    }
    let mut text = String::new();
    file.take(MAX_FILE).read_to_string(&mut text).map_err(|error| unreadable(&error))?;
    serde_json::from_str(&text).map_err(|error| unreadable(&error))
}

#[cfg(test)]
mod tests {
    use peral_wire::{ErrorCode, keys::Jwks};
    use uuid::Uuid;

    use super::*;

    fn id(network: u128) -> NetworkId {
        NetworkId(Uuid::from_u128(network))
    }

    fn login(network: u128, central: &str) -> StoredLogin {
        let credentials = Credentials {
            certificate: "C".into(),
            certificate_ends_ms: 2,
            token: "T".into(),
            token_ends_ms: 1,
        };
        StoredLogin {
            central: central.into(),
            network: Network {
                id: id(network),
                authority: "A".into(),
                jwks: Jwks::default(),
                public_name: false,
            },
            session: SessionId(Uuid::from_u128(7)),
            account: AccountId(Uuid::from_u128(8)),
            name: "alice".into(),
            role: Role::Member,
            session_ends_ms: 3,
            key: "K".into(),
            credentials,
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn only_their_owner_can_read_logins() {
        let home = tempfile::tempdir().unwrap();
        let store = LoginStore::new(Some(home.path()));
        store.save(&login(1, "https://a")).unwrap();
        assert_eq!(mode(&home.path().join("logins")), 0o700);
        let file = place(&home.path().join("logins"), id(1));
        assert_eq!(mode(&file), 0o600);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = store.find(None).map(|_| ()).unwrap_err();
        assert_eq!(refused.code, ErrorCode::Unauthenticated);
        assert!(refused.detail.contains("640"), "{refused}");
        fs::set_permissions(home.path().join("logins"), fs::Permissions::from_mode(0o755)).unwrap();
        store.save(&login(1, "https://a")).unwrap();
        assert_eq!((mode(&home.path().join("logins")), mode(&file)), (0o700, 0o600));
    }

    #[test]
    fn without_a_home_there_is_no_login_and_none_is_stored() {
        let store = LoginStore::new(None);
        assert!(store.find(None).unwrap().is_none());
        let refused = store.save(&login(1, "https://a")).unwrap_err();
        assert!(
            refused.code == ErrorCode::InvalidArgument && refused.detail.contains("HOME"),
            "{refused}"
        );
        store.remove(id(1)).unwrap();
    }

    #[test]
    fn the_login_that_was_named_is_found() {
        let home = tempfile::tempdir().unwrap();
        let store = LoginStore::new(Some(home.path()));
        assert!(store.find(None).unwrap().is_none());
        store.save(&login(1, "https://a")).unwrap();
        assert_eq!(store.find(None).unwrap().unwrap().central, "https://a");
        store.save(&login(2, "https://b")).unwrap();
        assert_eq!(store.find(None).map(|_| ()).unwrap_err().code, ErrorCode::InvalidArgument);
        assert_eq!(store.find(Some("https://b")).unwrap().unwrap().network.id, id(2));
        assert!(store.find(Some("https://c")).unwrap().is_none());
    }

    #[test]
    fn a_network_made_anew_at_the_same_address_takes_the_place_of_the_old_one() {
        let home = tempfile::tempdir().unwrap();
        let store = LoginStore::new(Some(home.path()));
        store.save(&login(1, "https://a")).unwrap();
        store.save(&login(2, "https://a")).unwrap();
        assert_eq!(store.all().unwrap().len(), 1);
        store.remove(id(2)).unwrap();
        store.remove(id(2)).unwrap();
        assert!(store.find(Some("https://a")).unwrap().is_none());
    }
}
