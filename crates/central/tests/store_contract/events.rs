use std::collections::BTreeSet;

use peral_central::store::{Refusal, events::StoredEvent};
use peral_model::{
    FileId,
    event::{Event, FileChanged, FilePublished, FileRemoved, PeerJoined, PeerLeft, PeerRevoked},
};
use peral_wire::rest::files::{FileChange, Right};
use sqlx::{Connection, PgConnection, SqliteConnection};

use crate::support::*;

/// The events of the outbox, in the order in which they were written.
async fn outbox(world: &World) -> Vec<Event> {
    let sql = "SELECT kind, file, payload FROM outbox ORDER BY id";
    let rows: Vec<(String, Option<uuid::Uuid>, String)> =
        if let Some(path) = world.options.url.strip_prefix("sqlite:") {
            let mut connection = SqliteConnection::connect(path).await.unwrap();
            sqlx::query_as(sql).fetch_all(&mut connection).await.unwrap()
        } else {
            let mut connection = PgConnection::connect(&world.options.url).await.unwrap();
            sqlx::query_as(sql).fetch_all(&mut connection).await.unwrap()
        };
    let event = |(kind, file, payload): (String, Option<uuid::Uuid>, String)| {
        StoredEvent { kind, file: file.map(FileId), payload }.event().unwrap()
    };
    rows.into_iter().map(event).collect()
}

pub async fn every_kind_reads_back_as_it_was_written(world: &World) {
    let alice = world.account("alice").await;
    world.account("bob").await;
    let writer = world.peer(alice).await;
    let (peer, epoch) = (writer.peer, writer.epoch);
    let text = "dir/quoted \"ü\".bin";
    let one = world.published(writer, private(text, "one")).await;
    let tags = FileChange { tags: Some(vec!["t".into()]), ..FileChange::default() };
    world.change(text, alice, tags).await;
    world.grant(text, alice, "bob", Right::Read).await;
    assert!(world.store.delete_file(&name(text), member(alice), NOW).await.unwrap());
    assert!(world.store.log_out_peer(peer, Some(epoch), NOW).await.unwrap());
    assert!(world.store.revoke_peer(peer, NOW).await.unwrap());

    let (file, name) = (one.file, name(text));
    let changed = |rights| FileChanged { file, name: name.clone(), public: false, rights };
    let written = outbox(world).await;
    assert_eq!(
        written,
        [
            PeerJoined { peer, epoch }.into(),
            FilePublished { file, version: 1 }.into(),
            changed(false).into(),
            changed(true).into(),
            FileRemoved { file, name: name.clone(), public: false, serial: 3 }.into(),
            PeerLeft { peer }.into(),
            PeerRevoked { peer }.into(),
        ]
    );
    let kinds: BTreeSet<&str> = written.iter().map(Event::kind).collect();
    assert_eq!(kinds, Event::KINDS.iter().copied().collect(), "no kind is left out");
}

pub async fn each_version_of_a_publish_has_an_event_in_its_order(world: &World) {
    let writer = world.peer(world.account("alice").await).await;
    let one = world.published(writer, fresh("b", "one")).await;
    let before = outbox(world).await.len();
    let versions = vec![
        fresh("c", "new"),
        after(one, "b", "two"),
        fresh("b", "refused, because it replaces nothing"),
        fresh("a", "new"),
    ];
    let results = world.publish_all(writer, versions).await.unwrap();
    assert_eq!(results[2], Err(Refusal::VersionConflict));
    let mut expected = Vec::new();
    for text in ["c", "b", "a"] {
        let made = world.current(&name(text)).await;
        expected.push(FilePublished { file: made.file, version: made.version }.into());
    }
    assert_eq!(outbox(world).await.split_off(before), expected);
}

pub async fn what_is_refused_leaves_no_event(world: &World) {
    let (alice, bob) = (world.account("alice").await, world.account("bob").await);
    let writer = world.peer(alice).await;
    world.publish(writer, fresh("a", "one")).await.unwrap();
    let before = outbox(world).await;
    let by_bob = world.store.delete_file(&name("a"), member(bob), NOW).await;
    assert_eq!(refused(by_bob), Refusal::Forbidden);
    let stale = world.store.log_out_peer(writer.peer, Some(writer.epoch + 1), NOW).await;
    assert_eq!(refused(stale), Refusal::StaleEpoch);
    let again = world.publish(writer, fresh("a", "one")).await;
    assert!(again.is_ok(), "the same content makes no version");
    assert_eq!(outbox(world).await, before);
}
