//! `peral upload -`: what comes over a pipe is published whole or not at all, and nothing is left
//! of it.

use std::{
    fs::{self, File},
    io::{Write, pipe},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use peral_testkit::{Process, Said, eventually, files::make_older, sample::noise};

use crate::{
    command::peral,
    network::{Network, Node, User},
};

const SIZE: usize = (5 << 20) + 123;

/// A command that reads standard input, perhaps beside a peer.
fn begin(
    network: &Network,
    user: &User,
    node: Option<&Node>,
    args: &[&str],
    stdin: impl Into<Stdio>,
) -> Process {
    let temp = network.path("tmp");
    fs::create_dir_all(&temp).unwrap();
    let mut command = peral(&user.home);
    if let Some(node) = node {
        command.env("PERAL_DATA", &node.data);
    }
    command.env("TMPDIR", temp).args(args).args(["--output", "json"]).stdin(stdin);
    Process::start(command, &network.path(&format!("stdin-{}.log", uuid::Uuid::new_v4())))
}

fn left(network: &Network, node: Option<&Node>) -> Vec<PathBuf> {
    let folder = node.map_or_else(|| network.path("tmp"), |node| node.data.join("uploads"));
    fs::read_dir(folder)
        .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
        .unwrap_or_default()
}

fn piped(network: &Network, user: &User, node: Option<&Node>, args: &[&str], bytes: &[u8]) -> Said {
    let (reader, mut writer) = pipe().unwrap();
    let running = begin(network, user, node, args, reader);
    let bytes = bytes.to_vec();
    // A command that reads nothing breaks the pipe.
    let feeding = std::thread::spawn(move || drop(writer.write_all(&bytes)));
    let said = running.finish();
    feeding.join().unwrap();
    said
}

fn start(network: &Network) -> (User, Node) {
    network.ok(&network.admin, &["user", "add", "peers", "--no-password"]);
    (network.user("ana"), network.peer("one", "peers", &[]))
}

#[test]
fn what_is_piped_is_published_beside_a_peer_and_without_one() {
    let network = Network::start(None);
    let (ana, one) = start(&network);
    let nobody = network.stranger("nobody");
    let bytes = noise("piped", SIZE);
    let hash = blake3::hash(&bytes).to_string();
    for (user, node, name) in
        [(&nobody, Some(&one), "deep/a"), (&ana, Some(&one), "deep/b"), (&ana, None, "deep/c")]
    {
        let up = piped(
            &network,
            user,
            node,
            &["upload", "-", "--name", name, "--size", &SIZE.to_string()],
            &bytes,
        )
        .ok();
        assert_eq!(
            (up["hash"].as_str(), up["size"].as_u64()),
            (Some(hash.as_str()), Some(SIZE as u64))
        );
        assert_eq!(fs::read(one.share.join(name)).unwrap(), bytes);
        let empty =
            piped(&network, user, node, &["upload", "-", "--name", &format!("{name}-empty")], b"")
                .ok();
        assert_eq!(empty["size"], 0);
    }
    assert!(left(&network, Some(&one)).is_empty() && left(&network, None).is_empty());
    let next = piped(
        &network,
        &nobody,
        Some(&one),
        &["upload", "-", "--name", "deep/a", "--replace"],
        b"next",
    )
    .ok();
    assert_eq!(next["version"], 2);
}

#[test]
fn a_broken_or_unexpected_input_publishes_nothing_and_leaves_nothing() {
    let network = Network::start(None);
    let (ana, one) = start(&network);
    piped(&network, &ana, None, &["upload", "-", "--name", "taken"], b"x").ok();
    for node in [Some(&one), None] {
        let said = |args: &[&str], bytes: &[u8]| {
            let said = piped(&network, &ana, node, args, bytes);
            (said.code.unwrap(), said.failed())
        };
        assert_eq!(said(&["upload", "-"], b"x"), (2, "INVALID_ARGUMENT".into()), "it has no name");
        assert_eq!(
            said(&["upload", "-", "--name", "short", "--size", "5"], b"four"),
            (7, "INTEGRITY".into())
        );
        assert_eq!(
            said(&["upload", "-", "--name", "long", "--size", "5"], b"longer"),
            (7, "INTEGRITY".into())
        );
        assert_eq!(said(&["upload", "-", "--name", "a//b"], b"x"), (2, "INVALID_NAME".into()));
        what_breaks_off(&network, &ana, node);
        for name in ["short", "long", "broken", "ended"] {
            assert!(network.file(name).is_none(), "{name}");
        }
        assert!(left(&network, node).is_empty(), "{:?}", left(&network, node));
    }
}

fn what_breaks_off(network: &Network, ana: &User, node: Option<&Node>) {
    // Reported before anything is read: the pipe is never closed here.
    let (reader, writer) = pipe().unwrap();
    let taken = begin(network, ana, node, &["upload", "-", "--name", "taken"], reader).finish();
    assert_eq!((taken.code, taken.failed().as_str()), (Some(6), "VERSION_CONFLICT"), "{taken:?}");
    drop(writer);
    // Reading a folder fails.
    let folder = File::open(network.root.path()).unwrap();
    let broken = begin(network, ana, node, &["upload", "-", "--name", "broken"], folder).finish();
    assert_eq!(
        (broken.code, broken.failed().as_str()),
        (Some(2), "INVALID_ARGUMENT"),
        "{broken:?}"
    );
    assert!(broken.out.contains("could not read standard input"), "{broken:?}");
    // Ended in its middle.
    let (reader, mut writer) = pipe().unwrap();
    let running = begin(network, ana, node, &["upload", "-", "--name", "ended"], reader);
    writer.write_all(&noise("ended", 3 << 20)).unwrap();
    eventually("it is being written down", || running.err().contains("moving"));
    running.signal("TERM");
    let said = running.finish();
    assert_eq!((said.code, said.failed().as_str()), (Some(130), "CANCELLED"), "{said:?}");
}

#[test]
fn what_a_killed_command_left_goes_when_the_peer_tidies() {
    let network = Network::start(None);
    let (ana, one) = start(&network);
    for node in [Some(&one), None] {
        let (reader, mut writer) = pipe().unwrap();
        let mut running = begin(&network, &ana, node, &["upload", "-", "--name", "killed"], reader);
        writer.write_all(&noise("killed", 3 << 20)).unwrap();
        eventually("it is being written down", || running.err().contains("moving"));
        running.kill();
    }
    assert!(left(&network, None).is_empty(), "without a peer it has no name to be left under");
    let path: PathBuf = left(&network, Some(&one)).remove(0);
    make_older(&path, Duration::from_secs(3600));
    let one = network.restart(one, &[]);
    eventually("the peer has tidied", || left(&network, Some(&one)).is_empty());
    assert!(network.file("killed").is_none());
}
