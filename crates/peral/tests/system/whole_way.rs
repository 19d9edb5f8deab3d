//! What a newcomer does, from an empty folder to the last logout; on both databases.

use std::fs;

use peral_testkit::{
    eventually,
    sample::{hash_of, noise_file},
};
use serde_json::Value;

use crate::network::{Network, Node, User};

const SIZE: usize = (5 << 20) + 12_345;

#[test]
fn the_whole_way_on_sqlite() {
    the_whole_way(None);
}

#[test]
fn the_whole_way_on_postgres() {
    let postgres = Postgres::new();
    the_whole_way(Some(&postgres.url));
}

fn the_whole_way(database: Option<&str>) {
    let network = Network::start(database);
    network.ok(&network.admin, &["user", "add", "peers", "--no-password"]);
    let ana = network.user("ana");
    let mut nodes = ["one", "two", "three"].map(|label| network.peer(label, "peers", &[]));
    assert_eq!(network.ok(&ana, &["peers", "--live"])["items"].as_array().unwrap().len(), 3);
    let hash = up_find_and_down(&network, &ana, &nodes);
    without_a_peer(&network, &ana, &nodes, &hash);
    versions(&network, &ana, &nodes);
    shares(&network, &ana, &nodes[1]);
    beside_a_peer_without_a_login(&network, &nodes);
    removing(&network, &ana, &nodes[2]);
    the_end(&network, &ana, &mut nodes);
}

/// Upload beside peer one, search, download beside peer three: the same bytes, and two sources from
/// then on.
fn up_find_and_down(network: &Network, ana: &User, nodes: &[Node; 3]) -> String {
    let (source, target) = (network.path("library.so"), network.path("fetched.so"));
    let hash = noise_file(&source, "library", SIZE);
    let up = network
        .at(
            &nodes[0],
            ana,
            &[
                "upload",
                source.to_str().unwrap(),
                "--name",
                "toolchain/library.so",
                "--tag",
                "rust",
            ],
        )
        .ok();
    assert_eq!(
        (up["schema"].as_str(), up["hash"].as_str(), up["peer"].as_str()),
        (Some("peral.upload/1"), Some(hash.as_str()), Some(nodes[0].id.as_str()))
    );
    // Acknowledged means: it can be found, by whatever is known of it, and there is a source.
    for args in [
        &["search", "LIBRARY"][..],
        &["search", "--tag", "rust"],
        &["search", &hash],
        &["search", "--owner", "ana"],
        &["ls", "toolchain/"],
    ] {
        let found = network.ok(ana, args);
        assert_eq!(
            (found["items"][0]["name"].as_str(), found["items"][0]["sources"].as_u64()),
            (Some("toolchain/library.so"), Some(1)),
            "{args:?}: {found}"
        );
    }
    let down = network
        .at(&nodes[2], ana, &["download", "toolchain/library.so", "-o", target.to_str().unwrap()])
        .ok();
    assert_eq!(
        (down["fetched"].as_u64(), down["hash"].as_str()),
        (Some(SIZE as u64), Some(hash.as_str()))
    );
    assert_eq!(down["by"], format!("peer {}", nodes[2].id));
    assert_eq!(hash_of(&target), hash);
    network.sources("toolchain/library.so", 2);
    hash
}

/// A laptop: the command does the work itself, both ways.
fn without_a_peer(network: &Network, ana: &User, nodes: &[Node; 3], hash: &str) {
    let target = network.path("by-hash.so");
    let down = network.ok(ana, &["download", hash, "-o", target.to_str().unwrap()]);
    assert_eq!((down["by"].as_str(), hash_of(&target).as_str()), (Some("this command"), hash));
    let again = network.said(ana, &["download", hash, "-o", target.to_str().unwrap()]);
    assert_eq!((again.code, again.failed().as_str()), (Some(6), "ALREADY_EXISTS"));
    let source = network.path("notes.txt");
    let small = noise_file(&source, "notes", 10);
    let up = network.ok(ana, &["upload", source.to_str().unwrap(), "--peer", "two"]);
    assert_eq!(
        (up["name"].as_str(), up["hash"].as_str(), up["peer"].as_str()),
        (Some("notes.txt"), Some(small.as_str()), Some(nodes[1].id.as_str()))
    );
    let held = network.ok(ana, &["ls", "--peer", "two", "notes"]);
    assert_eq!(
        (held["items"][0]["name"].as_str(), held["items"][0]["held"].as_u64()),
        (Some("notes.txt"), Some(10))
    );
    let echo = network.ok(ana, &["echo", "two", "--size", "3M"]);
    assert_eq!(
        (echo["bytes"].as_u64(), echo["by"].as_str()),
        (Some(3 << 20), Some("this command"))
    );
}

/// A new version takes the place of the old one, which can still be had.
fn versions(network: &Network, ana: &User, nodes: &[Node; 3]) {
    let source = network.path("notes.txt");
    let first = hash_of(&source);
    let second = noise_file(&source, "notes, again", 3 << 20);
    let up = network
        .at(
            &nodes[0],
            ana,
            &["upload", source.to_str().unwrap(), "--name", "notes.txt", "--replace"],
        )
        .ok();
    assert_eq!((up["version"].as_u64(), up["hash"].as_str()), (Some(2), Some(second.as_str())));
    for (version, hash) in [("1", first), ("2", second)] {
        let target = network.path(&format!("notes-{version}"));
        network.ok(
            ana,
            &["download", "notes.txt", "--version", version, "-o", target.to_str().unwrap()],
        );
        assert_eq!(hash_of(&target), hash, "version {version}");
    }
    let detail = network.ok(ana, &["access", "notes.txt"]);
    assert_eq!(detail["versions"].as_array().unwrap().len(), 2, "{detail}");
}

/// A folder is published in place, under a prefix, and as it changes.
fn shares(network: &Network, ana: &User, node: &Node) {
    let folder = network.path("models");
    fs::create_dir(&folder).unwrap();
    noise_file(&folder.join("a.bin"), "a", 100);
    fs::write(folder.join(".hidden"), "x").unwrap();
    network.at(node, ana, &["share", folder.to_str().unwrap(), "--prefix", "models"]).ok();
    let file = network.sources("models/a.bin", 1);
    assert_eq!(file["owner"], "peers");
    noise_file(&folder.join("b c.bin"), "b", 2 << 20);
    network.sources("models/b c.bin", 1);
    assert_eq!(network.ok(ana, &["ls", "models/"])["items"].as_array().unwrap().len(), 2);
    let listed = network.at(node, ana, &["share"]).ok();
    assert!(
        listed["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|share| share["prefix"] == "models" && share["files"] == 2),
        "{listed}"
    );
    network.at(node, ana, &["share", "--remove", folder.to_str().unwrap()]).ok();
    network.sources("models/a.bin", 0);
    assert!(folder.join("a.bin").exists());
}

/// In a pod nobody has logged in: the peer's account looks round, and can do no more.
fn beside_a_peer_without_a_login(network: &Network, nodes: &[Node; 3]) {
    let nobody = network.stranger("nobody");
    let who = network.at(&nodes[0], &nobody, &["whoami"]).ok();
    assert_eq!(
        (who["by"].as_str(), who["name"].as_str(), who["role"].as_str()),
        (Some("peer"), Some("peers"), Some("member"))
    );
    for args in [
        &["search", "library"][..],
        &["ls"],
        &["peers"],
        &["access", "notes.txt"],
        &["echo", "two", "--size", "1M"],
    ] {
        network.at(&nodes[0], &nobody, args).ok();
    }
    for args in
        [&["rm", "notes.txt"][..], &["user", "ls"], &["token", "join", "--account", "peers"]]
    {
        let said = network.at(&nodes[0], &nobody, args);
        assert_eq!((said.code, said.failed().as_str()), (Some(4), "UNAUTHENTICATED"), "{args:?}");
    }
}

fn removing(network: &Network, ana: &User, node: &Node) {
    network.ok(ana, &["rm", "toolchain/library.so"]);
    assert!(network.file("toolchain/library.so").is_none());
    for said in [
        network.said(ana, &["download", "toolchain/library.so"]),
        network.at(node, ana, &["download", "toolchain/library.so"]),
    ] {
        assert_eq!((said.code, said.failed().as_str()), (Some(3), "NOT_FOUND"));
    }
}

/// Logouts: of a user, who can do nothing any more, and of the peers, who are gone.
fn the_end(network: &Network, ana: &User, nodes: &mut [Node; 3]) {
    network.ok(ana, &["logout"]);
    assert_eq!(network.said(ana, &["ls"]).failed(), "UNAUTHENTICATED");
    for node in nodes.iter_mut() {
        assert_eq!(node.process.terminate().code(), Some(0), "{}", node.process.err());
        let state = eventually("the peer is gone", || {
            Some(network.state(&node.id)).filter(|state| state != "ready")
        });
        assert_eq!(state, "away");
    }
    let file: Value = network.file("notes.txt").unwrap();
    assert_eq!(file["sources"], 0);
}

/// A database of its own on the server that `PERAL_TEST_POSTGRES` names, dropped at the end.
struct Postgres {
    url: String,
    admin: String,
    name: String,
}

impl Postgres {
    fn new() -> Self {
        let admin = std::env::var("PERAL_TEST_POSTGRES")
            .expect("PERAL_TEST_POSTGRES names no server: run `make test`, which brings one up");
        let name = format!("peral_system_{}", uuid::Uuid::new_v4().simple());
        run(&admin, &format!("CREATE DATABASE {name}"));
        let mut url = reqwest::Url::parse(&admin).unwrap();
        url.set_path(&name);
        Self { url: url.into(), admin, name }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        run(&self.admin, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
    }
}

fn run(url: &str, sql: &str) {
    use sqlx::{Connection, Executor};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
        connection.execute(sqlx::AssertSqlSafe(sql.to_owned())).await.unwrap();
        connection.close().await.unwrap();
    });
}
