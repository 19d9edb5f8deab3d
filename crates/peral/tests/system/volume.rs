//! A peer's volume: the peer waits for one that it cannot use, and takes no uploads while it is
//! full; it says so and goes on running.

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use peral_testkit::{Process, Said, eventually, metrics::Metrics, net, sample::noise_file};
use serde_json::Value;

use crate::{
    command::peral,
    network::{Network, Node},
};

/// An address for an admin listener that must be known before it answers.
fn free_admin() -> String {
    net::free_address().to_string()
}

fn metric(admin: &str, name: &str) -> Option<f64> {
    Metrics::read(&net::get(admin, "/metrics").ok()?.body).find(name, &[])
}

/// Starts a peer that may be unable to use its folders; `admin` is where its probes are.
fn start(network: &Network, data: &Path, share: &Path, admin: &str) -> (Process, PathBuf) {
    let token = network.path("volume.token");
    if !token.exists() {
        network.ok(&network.admin, &["user", "add", "peers", "--no-password"]);
        network.ok(
            &network.admin,
            &[
                "token",
                "join",
                "--account",
                "peers",
                "--uses",
                "9",
                "--out",
                token.to_str().unwrap(),
            ],
        );
    }
    let address = network.path("volume.address");
    drop(fs::remove_file(&address));
    let flags =
        ["--admin-listen", admin, "--join-token-file", token.to_str().unwrap()].map(str::to_owned);
    (network.start_peer("volume", data, share, &flags, &address), address)
}

/// `peral status` beside it, by what the environment of its pod says.
fn status(network: &Network, data: &Path, admin: &str) -> Said {
    let mut command: Command = peral(&network.admin.home);
    command
        .env("PERAL_DATA", data)
        .env("PERAL_PEER_ADMIN_LISTEN", admin)
        .args(["status", "--output", "json"]);
    Process::start(command, &network.path(&format!("status-{}.log", uuid::Uuid::new_v4()))).finish()
}

/// It is not ready, says why at each place where somebody looks, and stays.
fn waits(network: &Network, process: &mut Process, data: &Path, admin: &str, why: &str) {
    let text = eventually("the peer says that it is not ready", || {
        assert!(!process.ended(), "{}", process.err());
        let answer = net::get(admin, "/readyz").map_err(|error| error.to_string())?;
        let waits = answer.status == 503 && answer.body.contains(why);
        if waits { Ok(answer.body) } else { Err(answer.body) }
    });
    assert_eq!(net::get(admin, "/livez").unwrap().status, 200);
    let checks: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(checks["checks"]["volume"]["ok"], false, "{checks}");
    let said = status(network, data, admin);
    assert_eq!((said.code, said.failed().as_str()), (Some(9), "UNAVAILABLE"), "{said:?}");
    assert!(said.out.contains("not ready") && said.out.contains(why), "{said:?}");
    let told = process
        .err()
        .lines()
        .filter(|line| line.contains("cannot use its volume") && line.contains(why))
        .count();
    assert_eq!(told, 1, "{}", process.err());
}

#[test]
fn a_volume_that_cannot_be_used_is_waited_for() {
    let network = Network::start(None);
    let admin = free_admin();
    let volume = network.path("volume");
    let (data, share) = (volume.join("data"), volume.join("files"));
    // Not mounted, as it were.
    fs::write(&volume, "").unwrap();
    let (mut peer, address) = start(&network, &data, &share, &admin);
    waits(&network, &mut peer, &data, &admin, "Not a directory");
    fs::remove_file(&volume).unwrap();
    eventually("it goes on by itself", || address.exists());
    assert_eq!(status(&network, &data, &admin).ok()["state"], "ready");
    assert_eq!(peer.terminate().code(), Some(0));
    // A file that is not a database.
    let kept = fs::read(data.join("peer.db")).unwrap();
    for name in ["peer.db-wal", "peer.db-shm"] {
        drop(fs::remove_file(data.join(name)));
    }
    fs::write(data.join("peer.db"), "these are no tables, and never were any".repeat(200)).unwrap();
    let (mut peer, address) = start(&network, &data, &share, &admin);
    waits(&network, &mut peer, &data, &admin, "not a database");
    fs::write(data.join("peer.db"), kept).unwrap();
    eventually("it goes on by itself", || address.exists());
    // Told to end while it waits, it ends.
    assert_eq!(peer.terminate().code(), Some(0));
    let open = network.path("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, Permissions::from_mode(0o755)).unwrap();
    let (mut peer, _) = start(&network, &open, &share, &admin);
    waits(&network, &mut peer, &open, &admin, "chmod 700");
    assert_eq!(peer.terminate().code(), Some(0), "{}", peer.err());
    // A share that cannot be made.
    let blocked = network.path("blocked");
    std::os::unix::fs::symlink(network.path("nowhere"), &blocked).unwrap();
    let (mut peer, address) = start(&network, &data, &blocked.join("files"), &admin);
    waits(&network, &mut peer, &data, &admin, "blocked");
    fs::create_dir(network.path("nowhere")).unwrap();
    eventually("it goes on by itself", || address.exists());
}

#[test]
fn mistakes_end_a_peer_at_once() {
    let network = Network::start(None);
    let (data, share) = (network.path("data"), network.path("share"));
    let (_first, address) = start(&network, &data, &share, "127.0.0.1:0");
    eventually("the first one is ready", || address.exists());
    let (second, _) = start(&network, &data, &network.path("other"), "127.0.0.1:0");
    let said = second.finish();
    assert!(
        said.code == Some(6) && said.err.contains("another peer uses the data folder"),
        "{said:?}"
    );
    // Also where the data folder cannot be used yet.
    let nowhere = network.path("share/file/data");
    fs::write(share.join("file"), "").unwrap();
    for (data, share) in [(&data.join("below"), &data), (&nowhere, &share)] {
        let said = start(&network, data, share, "127.0.0.1:0").0.finish();
        assert!(said.code == Some(2) && said.err.contains("overlap"), "{said:?}");
    }
    // Without a peer, `peral status` says how there would be one.
    let said = status(&network, &network.path("no-peer"), &free_admin());
    assert!(
        said.failed() == "UNAVAILABLE"
            && said.out.contains("peral peer --central")
            && said.out.contains("--data"),
        "{said:?}"
    );
}

/// A network with a peer whose volume nobody else writes to, where this machine has such a one.
fn on_its_own_volume(network: &Network) -> (Process, PathBuf, String, tempfile::TempDir) {
    let shared = Path::new("/dev/shm");
    let free = free_bytes(shared).unwrap_or(0);
    let folder = if free > 1 << 30 {
        tempfile::tempdir_in(shared).unwrap()
    } else {
        tempfile::tempdir_in(network.root.path()).unwrap()
    };
    let (data, admin) = (folder.path().join("data"), free_admin());
    let (process, address) = start(network, &data, &folder.path().join("files"), &admin);
    eventually("the peer is ready", || address.exists());
    (process, data, admin, folder)
}

fn free_bytes(path: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(path).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

#[test]
fn a_full_volume_stays_ready_refuses_uploads_and_says_so() {
    let network = Network::start(None);
    let (peer, data, admin, _folder) = on_its_own_volume(&network);
    let ana = network.user("ana");
    let state = || status(&network, &data, &admin).ok();
    let room = state()["room"].as_u64().unwrap();
    eventually("the room is shown", || {
        metric(&admin, "peral_room_bytes").filter(|shown| *shown > 0.0)
    });
    assert_eq!(metric(&admin, "peral_full"), Some(0.0));
    // An upload that has all the room but a little promised to it, and takes long.
    let source = network.path("huge.bin");
    File::create(&source).unwrap().set_len(room - (100 << 20)).unwrap();
    let mut running = network.begin(&ana, None, &["upload", source.to_str().unwrap()]);
    eventually("the peer is full", || {
        assert!(!running.ended(), "{}", running.err());
        state()["state"] == "full" && metric(&admin, "peral_full") == Some(1.0)
    });
    assert_eq!(net::get(&admin, "/readyz").unwrap().status, 200, "a full peer is ready");
    let small = network.path("small.bin");
    noise_file(&small, "small", 1000);
    let nobody = network.stranger("nobody");
    let node = Node {
        process: peer,
        data: data.clone(),
        share: PathBuf::new(),
        label: String::new(),
        id: String::new(),
        flags: Vec::new(),
    };
    for args in [&["upload", small.to_str().unwrap()][..], &["upload", "-", "--name", "piped"]] {
        let said = network.at(&node, &nobody, args);
        assert_eq!((said.code, said.failed().as_str()), (Some(8), "NO_SPACE"), "{said:?}");
    }
    running.kill();
    eventually("there is room again", || {
        state()["state"] == "ready" && metric(&admin, "peral_full") == Some(0.0)
    });
    network.at(&node, &nobody, &["upload", small.to_str().unwrap()]).ok();
    let lines = |text: &str| node.process.err().lines().filter(|line| line.contains(text)).count();
    eventually("both are said once", || {
        (lines("the volume is full"), lines("the volume has room again")) == (1, 1)
    });
}
