//! docs/hosts.md, line by line: central and peers as containers on three hosts, and a laptop, each
//! with an address of its own.
//!
//! The hosts are network namespaces, laid out by `world`; `docker` and `scp` there are the scripts
//! beside this file, which run the real binary.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod page;
mod world;

use std::fs;

use page::Page;
use peral_testkit::{eventually, sample::noise};
use world::World;

const CENTRAL: &str = "10.77.0.1";
const SECOND: &str = "10.77.0.2";
const THIRD: &str = "10.77.0.3";
const LAPTOP: &str = "10.77.0.9";
/// More than a few pieces, the last of them short.
const SIZE: usize = 20 * 1024 * 1024 + 77;

#[test]
fn the_page_about_hosts_with_docker_is_true() {
    if world::is_inside() {
        story(&World::lay_out(&[CENTRAL, SECOND, THIRD, LAPTOP]));
    } else {
        world::enter("the_page_about_hosts_with_docker_is_true");
    }
}

fn story(world: &World) {
    let mut page = Page::read("docs/hosts.md");
    let bytes = noise("hosts", SIZE);
    fs::write(world.file(SECOND, "llama.gguf"), &bytes).unwrap();
    fs::write(world.file(LAPTOP, "notes.txt"), "Pears are ripe.").unwrap();

    world.run(CENTRAL, &page.take("central", CENTRAL));
    let invite = page.take("invite", LAPTOP);
    let (login, rest) = invite.split_once("peral user add").unwrap();
    eventually("central answers", || world.command(LAPTOP, login).code == Some(0));
    world.run(LAPTOP, &format!("peral user add{rest}"));
    let peer = page.take("peer", SECOND);
    world.run(THIRD, &peer.replace(SECOND, THIRD));
    world.run(SECOND, &without(&peer, &format!(" --advertise {SECOND}")));
    let before = eventually("two peers are ready", || peers(world));
    assert!(before[0].address.starts_with("172.17.0."), "{before:?}");
    world.run(SECOND, &page.take("upload", SECOND));

    // Its own address on the host's private bridge leads nobody to it.
    let alone = world.command(LAPTOP, "peral download models/llama.gguf --wait 1");
    assert_eq!(alone.code, Some(9), "{alone:?}");

    world.run(SECOND, &page.take("replace", SECOND));
    world.run(SECOND, &peer);
    let after = eventually("it has come back with the address it was told", || {
        peers(world).filter(|peers| peers[0].address == format!("{SECOND}:7071"))
    });
    assert_eq!((&after[0].id, &after[1]), (&before[0].id, &before[1]));
    assert_eq!(after[1].address, format!("{THIRD}:7071"));

    let fetched = world.run(THIRD, &page.take("fetch", THIRD));
    assert!(fetched.contains("models/llama.gguf"), "{fetched}");
    let found = world.run(LAPTOP, &page.take("laptop", LAPTOP));
    assert!(found.contains("notes/today.txt"), "{found}");
    for host in [THIRD, LAPTOP] {
        assert!(
            fs::read(world.file(host, "llama.gguf")).unwrap() == bytes,
            "{host} has other bytes"
        );
    }
    page.is_done();
}

/// A line of the page without a part that it has.
fn without(line: &str, part: &str) -> String {
    assert!(line.contains(part), "{line} has no {part}");
    line.replace(part, "")
}

#[derive(Debug, PartialEq, Eq)]
struct Peer {
    address: String,
    id: String,
}

/// The peers, that of the second host first; none while they are not both ready and have not said
/// how much room they have.
fn peers(world: &World) -> Option<Vec<Peer>> {
    let said = world.run(LAPTOP, "peral peers --output json");
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let mut items = said["items"].as_array().unwrap().clone();
    items.retain(|peer| peer["state"] == "ready" && peer["room"].as_u64() > Some(0));
    items.sort_by_key(|peer| peer["label"].as_str().unwrap().to_owned());
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let labels = items.iter().map(|peer| text(&peer["label"])).collect::<Vec<_>>();
    (labels == ["host-2", "host-3"]).then(|| {
        items
            .iter()
            .map(|peer| Peer { address: text(&peer["address"]), id: text(&peer["id"]) })
            .collect()
    })
}
