//! A network to measure: a central and peers, as a user would start them, on loopback and in a
//! temporary folder.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use peral_testkit::{Process, eventually};
use peral_transfer::trust::Network;
use peral_wire::Catalogue;

use crate::process::{first_line, run};

/// The binary that is measured; PERAL names another one.
fn peral() -> Command {
    let binary = std::env::var_os("PERAL").unwrap_or_else(|| env!("CARGO_BIN_EXE_peral").into());
    let mut command = Command::new(binary);
    command.stdin(Stdio::null());
    command
}

const PASSWORD: &str = "a long phrase for measuring only";

/// A running network; it ends with this value.
pub struct Stand {
    folder: PathBuf,
    central: Process,
    url: String,
    peers: Vec<Process>,
}

impl Stand {
    /// Starts central on SQLite, or on the Postgres of `database`, and logs its administrator in.
    pub fn start(folder: &Path, database: Option<&str>) -> Self {
        fs::create_dir_all(folder).expect("a folder");
        fs::write(folder.join("password"), PASSWORD).expect("a file");
        let on = |command: &mut Command| {
            if let Some(url) = database {
                command.env("PERAL_DATABASE_URL", url);
            }
        };
        let data = folder.join("central");
        let mut init = peral();
        init.args(["central", "init", "--admin", "admin", "--password-file"])
            .arg(folder.join("password"))
            .arg("--data")
            .arg(&data);
        on(&mut init);
        run(&mut init);
        let mut central = peral();
        central.args([
            "central",
            "--listen",
            "127.0.0.1:0",
            "--admin-listen",
            "127.0.0.1:0",
            "--allow-loopback-peers",
            "--proofs-per-address",
            "1000000",
        ]);
        central
            .arg("--data")
            .arg(&data)
            .arg("--address-file")
            .arg(folder.join("central.address"))
            .env("PERAL_LOG", "warn");
        on(&mut central);
        let central = Process::start(central, &folder.join("central.log"));
        let url = first_line(&folder.join("central.address"));
        let stand = Self { folder: folder.to_owned(), central, url, peers: Vec::new() };
        let mut login = stand.command();
        login.args(["login", "--account", "admin", "--password-file"]).arg(folder.join("password"));
        login.arg("--ca-file").arg(data.join("keys/ca.pem"));
        run(&mut login);
        stand
    }

    /// A user's command, with this network's login and without a peer beside it.
    pub fn command(&self) -> Command {
        let mut command = peral();
        command
            .env("PERAL_CENTRAL", &self.url)
            .env("PERAL_CONFIG_DIR", self.folder.join("config"))
            .env("PERAL_LOG", "warn");
        command.env("PERAL_DATA", self.folder.join("nobody")).env_remove("PERAL_CONFIG");
        command
    }

    /// Starts a peer that shares a folder; gives its data folder.
    pub fn peer(&mut self, name: &str, share: &Path) -> PathBuf {
        let data = self.folder.join(name);
        let token = self.folder.join(format!("{name}.token"));
        let mut join = self.command();
        join.args(["token", "join", "--account", "admin", "--uses", "1", "--out"]).arg(&token);
        run(&mut join);
        let mut peer = self.command();
        peer.args([
            "peer",
            "--port",
            "0",
            "--listen-address",
            "127.0.0.1",
            "--admin-listen",
            "127.0.0.1:0",
            "--allow-loopback",
            "--label",
            name,
        ]);
        peer.arg("--share")
            .arg(share)
            .arg("--join-token-file")
            .arg(&token)
            .arg("--data")
            .arg(&data);
        peer.arg("--ca-file").arg(self.folder.join("central/keys/ca.pem"));
        self.peers.push(Process::start(peer, &self.folder.join(format!("{name}.log"))));
        eventually("the peer's socket", || data.join("peral.sock").exists());
        data
    }

    /// Waits until the catalogue has a source for this name.
    pub fn published(&self, name: &str) {
        eventually(&format!("{name} is published"), || {
            let found = self.command().args(["--output", "json", "search", name]).output().ok()?;
            let answer: serde_json::Value = serde_json::from_slice(&found.stdout).ok()?;
            let files = answer["items"].as_array()?;
            files
                .iter()
                .any(|file| file["name"] == name && file["sources"].as_u64() > Some(0))
                .then_some(())
        });
    }

    /// Process of the peer that was started last.
    pub fn last_peer(&self) -> u32 {
        self.peers.last().map_or(0, Process::pid)
    }

    /// Process of central.
    pub fn central(&self) -> u32 {
        self.central.pid()
    }

    /// Ends the peers, so that nothing but what is measured runs.
    pub fn stop_peers(&mut self) {
        self.peers.clear();
    }

    /// Central's database file.
    pub fn sqlite(&self) -> PathBuf {
        self.folder.join("central/central.db")
    }

    /// A client with the administrator's token, on a connection of its own.
    pub fn catalogue(&self) -> Catalogue {
        // Any command renews a token that is about to end.
        run(self.command().arg("whoami"));
        let login = self.login();
        let catalogue =
            self.network().catalogue(&self.url, |_| {}, Duration::from_secs(20)).expect("a client");
        catalogue.with_token(login["credentials"]["token"].as_str().expect("a token"))
    }

    /// The network, for clients that register by themselves.
    pub fn network(&self) -> Network {
        serde_json::from_value(self.login()["network"].clone()).expect("the network")
    }

    fn login(&self) -> serde_json::Value {
        let logins = fs::read_dir(self.folder.join("config/logins")).expect("the folder of logins");
        let login = logins
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|end| end == "json"))
            .expect("a login");
        serde_json::from_slice(&fs::read(login).expect("the login")).expect("JSON")
    }

    /// Makes a join token for some peers; its secret.
    pub fn join_token(&self, uses: usize) -> String {
        let path = self.folder.join("many.token");
        run(self
            .command()
            .args(["token", "join", "--account", "admin", "--uses", &uses.to_string(), "--out"])
            .arg(&path));
        fs::read_to_string(path).expect("the token").trim().to_owned()
    }
}
