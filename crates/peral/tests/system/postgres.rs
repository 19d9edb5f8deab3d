//! Postgres that dies without a word, again and again, while peers and users work.

use std::{
    collections::HashMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use peral_testkit::{eventually, net, sample::noise_file};
use serde_json::Value;
use tempfile::TempDir;

use crate::network::{Network, Node, User};

/// Files that the peer finds in its share in each round: more than one publish takes.
const FILES: usize = 1500;

/// When in a round Postgres is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    UploadAcknowledged,
    FirstFileFound,
    HalfOfTheFilesFound,
}

/// I1: an acknowledged publish is durable and findable.
#[test]
fn an_acknowledged_publish_survives_postgres_being_killed() {
    let postgres = Server::start();
    let probes = net::free_address().to_string();
    let mut network = Network::start_with(Some(&postgres.url), &["--admin-listen", &probes]);
    network.ok(&network.admin, &["user", "add", "peers", "--no-password"]);
    let (ana, one) = (network.user("ana"), network.peer("one", "peers", &[]));
    let uploads = Uploads::default();
    thread::scope(|scope| {
        let _end = End(&uploads.over);
        scope.spawn(|| uploads.go_on(&network, &ana, Some(&one), "beside"));
        scope.spawn(|| uploads.go_on(&network, &ana, None, "alone"));
        for (round, moment) in
            [Moment::UploadAcknowledged, Moment::FirstFileFound, Moment::HalfOfTheFilesFound]
                .into_iter()
                .enumerate()
        {
            let before = uploads.count();
            share(&one, round);
            eventually(&format!("{moment:?}"), || match moment {
                Moment::UploadAcknowledged => (uploads.count().done > before.done).then_some(()),
                Moment::FirstFileFound => {
                    (!listed(&network, &format!("round-{round}/")).is_empty()).then_some(())
                }
                Moment::HalfOfTheFilesFound => {
                    (listed(&network, &format!("round-{round}/")).len() >= FILES / 2).then_some(())
                }
            });
            postgres.run("crash");
            without_postgres(&network, &probes);
            eventually("an upload was refused meanwhile", || {
                uploads.count().refused > before.refused
            });
            postgres.run("restart");
            eventually("central is ready by itself", || readyz(&probes).is_ok());
        }
    });
    all_is_found(&network, &uploads);
    assert!(!network.central.ended());
}

/// Central says why it is not ready, and what it is asked meanwhile ends in time with an error that
/// says so.
fn without_postgres(network: &Network, probes: &str) {
    let said = eventually("central is not ready", || readyz(probes).err());
    assert!(said.contains("the database is not available"), "{said}");
    let away = network.said(&network.admin, &["search", "round"]);
    assert_eq!((away.code, away.failed().as_str()), (Some(9), "UNAVAILABLE"), "{away:?}");
    assert!(away.json()["error"]["trace"].is_string(), "central answers by itself: {away:?}");
}

/// What was acknowledged is what it was; and what waited in the peer arrived.
fn all_is_found(network: &Network, uploads: &Uploads) {
    let rounds = eventually("all that lies in the share is found", || {
        let rounds = listed(network, "round-");
        (rounds.len() == 3 * FILES && rounds.values().all(|file| file["sources"] == 1))
            .then_some(rounds)
    });
    for (name, file) in rounds {
        assert_eq!(file["hash"], blake3::hash(name.as_bytes()).to_string(), "{name}");
    }
    let found = listed(network, "upload-");
    let done = uploads.done.lock().unwrap();
    for said in &*done {
        let name = said["name"].as_str().unwrap();
        let file = found
            .get(name)
            .unwrap_or_else(|| panic!("{name} was acknowledged and is gone: {said}"));
        for (known, answered) in
            [("id", "file"), ("version", "version"), ("hash", "hash"), ("size", "size")]
        {
            assert_eq!(file[known], said[answered], "{name}");
        }
        assert_eq!(file["sources"], 1, "{name}");
    }
}

/// Puts the files of a round into the share of a peer; each holds its name.
fn share(node: &Node, round: usize) {
    fs::create_dir(node.share.join(format!("round-{round}"))).unwrap();
    for number in 0..FILES {
        let name = format!("round-{round}/{number}");
        fs::write(node.share.join(&name), &name).unwrap();
    }
}

/// All files whose names begin so, by search.
fn listed(network: &Network, prefix: &str) -> HashMap<String, Value> {
    let found = network.ok(&network.admin, &["search", "--all", &format!("prefix:{prefix}")]);
    let files = found["items"].as_array().unwrap();
    files.iter().map(|file| (file["name"].as_str().unwrap().to_owned(), file.clone())).collect()
}

/// Nothing when central is ready, else what it says.
fn readyz(probes: &str) -> Result<(), String> {
    let answer = net::get(probes, "/readyz").unwrap();
    if answer.status == 200 { Ok(()) } else { Err(answer.body) }
}

/// Uploads by users, one after another until it is over.
#[derive(Default)]
struct Uploads {
    over: AtomicBool,
    /// What the commands said that succeeded.
    done: Mutex<Vec<Value>>,
    /// Codes of those that did not.
    refused: Mutex<Vec<String>>,
}

/// How many uploads succeeded, and how many did not.
struct Count {
    done: usize,
    refused: usize,
}

/// Ends the uploads, also when the test fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Uploads {
    fn go_on(&self, network: &Network, user: &User, node: Option<&Node>, how: &str) {
        for number in 0.. {
            if self.over.load(Ordering::Relaxed) {
                return;
            }
            let name = format!("upload-{how}-{number}");
            let path = network.path(&name);
            noise_file(&path, &name, 5000);
            let said = network
                .begin(user, node, &["upload", path.to_str().unwrap(), "--name", &name])
                .finish();
            if said.code == Some(0) {
                self.done.lock().unwrap().push(said.json());
                continue;
            }
            let code = said.failed();
            assert!(["UNAVAILABLE", "DEADLINE_EXCEEDED"].contains(&code.as_str()), "{said:?}");
            self.refused.lock().unwrap().push(code);
        }
    }

    fn count(&self) -> Count {
        Count { done: self.done.lock().unwrap().len(), refused: self.refused.lock().unwrap().len() }
    }
}

/// A Postgres of the test's own that waits for its disk, unlike the one that tests share.
struct Server {
    folder: TempDir,
    url: String,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("peral-postgres-").tempdir().unwrap();
        // Root starts it as somebody else, who must get in.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let mut server = Self { folder, url: String::new() };
        server.url = server.run("start");
        server
    }

    fn run(&self, verb: &str) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/postgres");
        let done = Command::new(script).arg(verb).arg(self.folder.path()).output().unwrap();
        assert!(done.status.success(), "{verb}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.run("stop");
    }
}
