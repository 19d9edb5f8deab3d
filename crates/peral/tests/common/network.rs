//! A whole network on this machine: central, peers and users, in one temporary folder.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use peral_testkit::{Process, Said, eventually, session::PASSWORD};
use serde_json::Value;
use tempfile::TempDir;

use super::command::peral;

/// Central and its folder. Dropped, it takes all its processes with it.
pub struct Network {
    pub root: TempDir,
    pub url: String,
    pub central: Process,
    pub admin: User,
    database: Option<String>,
    flags: Vec<String>,
    commands: AtomicU32,
}

/// Somebody with a configuration folder of their own: a laptop, or a shell beside a peer.
#[derive(Debug, Clone)]
pub struct User {
    pub name: String,
    pub home: PathBuf,
}

/// A peer.
pub struct Node {
    pub process: Process,
    pub data: PathBuf,
    pub share: PathBuf,
    pub label: String,
    pub id: String,
    pub flags: Vec<String>,
}

impl Network {
    /// Central on SQLite, or on the database given, with an administrator who is logged in.
    pub fn start(database: Option<&str>) -> Self {
        Self::start_with(database, &[])
    }

    /// The same, with more flags for central.
    pub fn start_with(database: Option<&str>, flags: &[&str]) -> Self {
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect::<Vec<_>>();
        let root = tempfile::Builder::new().prefix("peral-system-").tempdir().unwrap();
        fs::write(root.path().join("password"), PASSWORD).unwrap();
        let home = root.path().join("admin");
        fs::create_dir(&home).unwrap();
        let mut init = peral(&home);
        init.args(["central", "init", "--admin", "admin", "--output", "json", "--password-file"])
            .arg(root.path().join("password"));
        place(&mut init, root.path(), database);
        let made = Process::start(init, &root.path().join("init.log")).finish().ok();
        assert!(made["fingerprint"].as_str().is_some(), "{made}");
        let (central, url) = run_central(root.path(), database, "127.0.0.1:0", &flags);
        let admin = User { name: "admin".into(), home };
        let network = Self {
            root,
            url,
            central,
            admin,
            database: database.map(str::to_owned),
            flags,
            commands: AtomicU32::new(0),
        };
        network.log_in(&network.admin);
        network
    }

    /// Path of a file in the network's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Starts central again where it was, after it was ended or killed.
    pub fn restart_central(&mut self) {
        let address = self.url.trim_start_matches("https://").to_owned();
        let database = self.database.as_deref();
        (self.central, self.url) = run_central(self.root.path(), database, &address, &self.flags);
    }

    /// Somebody with an empty home folder of that name: nobody has logged in there.
    pub fn stranger(&self, home: &str) -> User {
        let stranger = User { name: home.into(), home: self.path(home) };
        fs::create_dir(&stranger.home).unwrap();
        stranger
    }

    /// Makes an account and logs it in.
    pub fn user(&self, name: &str) -> User {
        let user = self.stranger(name);
        self.ok(&self.admin, &["user", "add", name, "--password-file", &self.password()]);
        self.log_in(&user);
        user
    }

    pub fn password(&self) -> String {
        self.path("password").to_str().unwrap().to_owned()
    }

    pub fn authority(&self) -> String {
        self.path("central/keys/ca.pem").to_str().unwrap().to_owned()
    }

    pub fn log_in(&self, user: &User) {
        let args = [
            "login",
            "--central",
            &self.url,
            "--ca-file",
            &self.authority(),
            "--account",
            &user.name,
            "--password-file",
            &self.password(),
        ];
        self.ok(user, &args);
    }

    /// A command of a user, as JSON; without a peer at hand.
    pub fn said(&self, user: &User, args: &[&str]) -> Said {
        self.begin(user, None, args).finish()
    }

    /// The same, which must succeed.
    pub fn ok(&self, user: &User, args: &[&str]) -> Value {
        let said = self.said(user, args);
        assert_eq!(said.code, Some(0), "{args:?}: {said:?}");
        said.json()
    }

    /// A command of a user beside a peer.
    pub fn at(&self, node: &Node, user: &User, args: &[&str]) -> Said {
        self.begin(user, Some(node), args).finish()
    }

    /// Starts a command of a user, perhaps beside a peer.
    pub fn begin(&self, user: &User, node: Option<&Node>, args: &[&str]) -> Process {
        let mut command = peral(&user.home);
        if let Some(node) = node {
            command.env("PERAL_DATA", &node.data);
        }
        command.args(args).args(["--output", "json"]);
        let number = self.commands.fetch_add(1, Ordering::Relaxed);
        Process::start(command, &self.path(&format!("command-{number}-{}.log", args[0])))
    }

    /// Starts a peer of the account, with a folder that it shares, and waits until it is ready.
    pub fn peer(&self, label: &str, account: &str, flags: &[&str]) -> Node {
        let token = self.path(&format!("{label}.token"));
        self.ok(
            &self.admin,
            &["token", "join", "--account", account, "--out", token.to_str().unwrap()],
        );
        let (data, share) =
            (self.path(&format!("{label}-data")), self.path(&format!("{label}-share")));
        fs::create_dir_all(&share).unwrap();
        let flags = flags
            .iter()
            .map(|flag| (*flag).to_owned())
            .chain(["--join-token-file".into(), token.to_str().unwrap().to_owned()])
            .collect::<Vec<_>>();
        self.run_peer(label, data, share, flags)
    }

    /// Starts a peer that was ended or killed, with the flags it had and these.
    pub fn restart(&self, node: Node, more: &[&str]) -> Node {
        let Node { process, data, share, label, mut flags, .. } = node;
        drop(process);
        flags.extend(more.iter().map(|flag| (*flag).to_owned()));
        self.run_peer(&label, data, share, flags)
    }

    fn run_peer(&self, label: &str, data: PathBuf, share: PathBuf, flags: Vec<String>) -> Node {
        let address = self.path(&format!("{label}.address"));
        drop(fs::remove_file(&address));
        let process = self.start_peer(label, &data, &share, &flags, &address);
        let mut node = Node { process, data, share, label: label.into(), id: String::new(), flags };
        eventually("the peer is ready", || {
            assert!(!node.process.ended(), "the peer {label} ended: {}", node.process.err());
            fs::read_to_string(&address).ok()
        });
        node.id =
            self.at(&node, &self.admin, &["status"]).ok()["peer"].as_str().unwrap().to_owned();
        node
    }

    /// Starts the process of a peer, and waits for nothing.
    pub fn start_peer(
        &self,
        label: &str,
        data: &Path,
        share: &Path,
        flags: &[String],
        address: &Path,
    ) -> Process {
        let mut command = peral(self.root.path());
        // Below flags, so that a test can choose.
        command.env_remove("PERAL_DATA").env("PERAL_PEER_ADMIN_LISTEN", "127.0.0.1:0");
        command.args([
            "peer",
            "--central",
            &self.url,
            "--ca-file",
            &self.authority(),
            "--label",
            label,
        ]);
        command
            .arg("--data")
            .arg(data)
            .arg("--share")
            .arg(share)
            .arg("--address-file")
            .arg(address);
        command.args([
            "--listen-address",
            "127.0.0.1",
            "--port",
            "0",
            "--allow-loopback",
            "--rescan",
            "1",
        ]);
        command.args(["--log", "info,peral_peer=debug,peral_runtime=debug"]).args(flags);
        Process::start(command, &self.path(&format!("{label}.log")))
    }

    /// What the catalogue says of a file now.
    pub fn file(&self, name: &str) -> Option<Value> {
        let found = self.ok(&self.admin, &["ls", name]);
        found["items"].as_array().unwrap().iter().find(|file| file["name"] == name).cloned()
    }

    /// Waits until the catalogue lists a file with so many sources.
    pub fn sources(&self, name: &str, count: u64) -> Value {
        eventually(&format!("{name} has {count} sources"), || {
            self.file(name).filter(|file| file["sources"] == count)
        })
    }

    /// State of a peer in the catalogue.
    pub fn state(&self, id: &str) -> String {
        let peers = self.ok(&self.admin, &["peers"]);
        let peer = peers["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|peer| peer["id"] == id)
            .cloned()
            .unwrap_or_else(|| panic!("no peer {id}: {peers}"));
        peer["state"].as_str().unwrap().to_owned()
    }
}

fn place(command: &mut Command, root: &Path, database: Option<&str>) {
    command.arg("--data").arg(root.join("central"));
    if let Some(database) = database {
        command.arg("--database-url").arg(database);
    }
}

fn run_central(
    root: &Path,
    database: Option<&str>,
    listen: &str,
    flags: &[String],
) -> (Process, String) {
    let address = root.join("central.url");
    drop(fs::remove_file(&address));
    let mut command = peral(root);
    command
        .env_remove("PERAL_DATA")
        .env("PERAL_CENTRAL_ADMIN_LISTEN", "127.0.0.1:0")
        .args(["central", "--listen", listen, "--allow-loopback-peers", "--address-file"])
        .arg(&address);
    // Tests log in more often than people do.
    command.args(["--logins-per-address", "10000", "--logins-per-account", "1000"]);
    place(&mut command, root, database);
    command.args(flags);
    let mut process = Process::start(command, &root.join("central.log"));
    let url = eventually("central listens", || {
        assert!(!process.ended(), "central ended: {}", process.err());
        fs::read_to_string(&address).ok()
    });
    (process, url.trim().to_owned())
}
