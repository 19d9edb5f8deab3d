use std::time::Duration;

use peral_central::store::{
    CatalogueCounts, GENERATION, Options, StoreError, Viewer, open, peers::Beat,
};
use peral_testkit::until;
use peral_wire::rest::peers::PeerState;
use rand::RngExt;
use sqlx::{Connection, PgConnection};

use crate::support::*;

pub async fn a_database_keeps_its_network(world: &World) {
    assert_eq!(
        world.store.network(),
        NETWORK,
        "a new one becomes part of the network that is given"
    );
    let other = peral_central::store::Options {
        network: Some(peral_model::NetworkId(uuid::Uuid::from_u128(8))),
        ..world.options.clone()
    };
    let again = open(&other).await.unwrap();
    assert_eq!(again.network(), NETWORK, "and stays there");
    again.ping().await.unwrap();
    again.close().await;
    assert!(again.ping().await.is_err(), "it is closed");
    let both = futures::future::join_all((0..3).map(|_| open(&world.options))).await;
    assert!(
        both.iter().all(|store| store
            .as_ref()
            .is_ok_and(|store| store.network() == world.store.network()))
    );
}

pub async fn an_older_central_is_refused(world: &World) {
    behind(world, "UPDATE meta SET oldest_central = 9").await;
    let refused = open(&world.options).await.err().unwrap();
    assert!(matches!(refused, StoreError::TooOld { needed: 9, own: GENERATION }), "{refused:?}");
    assert!(refused.to_string().contains("start a newer version"));
}

pub async fn what_has_ended_is_dropped(world: &World) {
    let alice = world.account("alice").await;
    let peer = world.peer(alice).await;
    world.store.use_nonce(b"n", NOW + 10).await.unwrap();
    let (ended, session) =
        (world.session(alice, "x", NOW).await, world.session(alice, "y", NOW).await);
    world.store.end_session(ended, None, NOW).await.unwrap();
    world.publish(peer, fresh("a", "one")).await.unwrap();
    assert_eq!(world.store.clean(NOW).await.unwrap(), 0, "nothing has ended yet");
    let month = NOW + 30 * 24 * 3_600_000;
    assert!(
        world.store.clean(month).await.unwrap() >= 6,
        "nonce, session, revocation, join token, key, events"
    );
    assert_eq!(world.store.clean(month).await.unwrap(), 0);
    assert!(world.store.session(session, NOW).await.unwrap().is_none());
    assert!(world.store.use_nonce(b"n", month).await.unwrap(), "long after, it is another one");
    assert_eq!(world.current(&name("a")).await.version, 1, "files stay");
}

/// The bug that this guards against: sqlx 0.9.0, issue 4393.
pub async fn cancelled_calls_leave_no_transaction_open(world: &World) {
    let peer = world.peer(world.account("alice").await).await;
    for round in 0..300 {
        let versions = vec![fresh(&format!("n{round}"), "x"), fresh("shared", "x")];
        let wait = Duration::from_micros(rand::rng().random_range(0..1500));
        let _ = tokio::time::timeout(wait, world.publish_all(peer, versions)).await;
        let beat = Beat {
            writer: peer,
            state: PeerState::Ready,
            room: 1,
            seen_ms: NOW,
            lease_ends_ms: LEASE,
        };
        let _ = tokio::time::timeout(wait / 2, world.store.beat(vec![beat])).await;
    }
    if world.options.url.starts_with("postgres") {
        let mut connection = PgConnection::connect(&world.options.url).await.unwrap();
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND \
            state LIKE 'idle in transaction%'";
        until("no connection stays inside a transaction", async || {
            let open: i64 = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
            if open == 0 { Ok(()) } else { Err(open) }
        })
        .await;
    }
    // Whatever was cut off is whole or not there, and everything goes on.
    let results = world
        .publish_all(peer, (0..300).map(|round| fresh(&format!("n{round}"), "x")).collect())
        .await
        .unwrap();
    assert!(results.iter().all(Result::is_ok));
}

/// As when the database's server was killed and came back.
pub async fn broken_connections_are_replaced(world: &World) {
    let peer = world.peer(world.account("alice").await).await;
    if world.options.url.starts_with("postgres") {
        let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = \
            current_database() AND pid <> pg_backend_pid()";
        behind(world, others).await;
    }
    let mut round = 0;
    let results = until("a call succeeds", async || {
        round += 1;
        let result = world.publish_all(peer, vec![fresh(&format!("n{round}"), "x")]).await;
        if let Err(error) = &result {
            assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        }
        result
    })
    .await;
    assert!(results[0].is_ok());
    world.store.ping().await.unwrap();
}

pub async fn what_there_is_is_counted(world: &World) {
    let alice = world.account("alice").await;
    assert_eq!(
        world.store.counts(NOW).await.unwrap(),
        CatalogueCounts {
            files: Some(0),
            versions: Some(0),
            holdings: Some(0),
            ..CatalogueCounts::default()
        }
    );
    let peers = [
        world.peer(alice).await,
        world.peer(alice).await,
        world.peer(alice).await,
        world.peer(alice).await,
        world.peer(alice).await,
    ];
    let beat = |writer, state| Beat { writer, state, room: 1, seen_ms: NOW, lease_ends_ms: LEASE };
    world
        .store
        .beat(vec![beat(peers[1], PeerState::Full), beat(peers[2], PeerState::Leaving)])
        .await
        .unwrap();
    world.store.log_out_peer(peers[3].peer, None, NOW).await.unwrap();
    world.store.revoke_peer(peers[4].peer, NOW).await.unwrap();
    world.publish(peers[0], fresh("a", "one")).await.unwrap();
    world.publish(peers[0], fresh("b", "two")).await.unwrap();
    let viewer = Viewer { account: alice, admin: false };
    assert!(world.store.delete_file(&name("b"), viewer, NOW).await.unwrap());
    let counts = world.store.counts(NOW).await.unwrap();
    assert_eq!(
        (counts.ready, counts.full, counts.leaving, counts.away),
        (1, 1, 1, 1),
        "the revoked one is counted nowhere"
    );
    assert_eq!((counts.files, counts.holdings), (Some(1), Some(0)));
    let later = world.store.counts(LEASE).await.unwrap();
    assert_eq!(
        (later.ready, later.full, later.leaving, later.away),
        (0, 0, 0, 4),
        "their leases are over"
    );
}

#[test]
fn both_databases_have_the_same_migrations() {
    let versions = |folder: &str| {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder);
        let mut names: Vec<_> = std::fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert!(!versions("sqlite").is_empty());
    assert_eq!(versions("sqlite"), versions("postgres"));
}

/// I8: a call ends before its deadline, in success or a typed error.
#[tokio::test]
async fn a_database_that_is_away_is_unavailable() {
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://nobody:secret@{}/none", nowhere.local_addr().unwrap());
    drop(nowhere);
    let away = open(&Options { url, connections: 2, network: None }).await.err().unwrap();
    assert!(matches!(away, StoreError::Unavailable(_)), "{away:?}");
    let unknown =
        open(&Options { url: "mysql://user:secret@host/db".into(), connections: 2, network: None })
            .await
            .err()
            .unwrap();
    assert!(!unknown.to_string().contains("secret"), "{unknown}");
}
