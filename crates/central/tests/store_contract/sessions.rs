use peral_central::store::{
    Refusal,
    sessions::{Basis, MAX_SESSIONS, NewSession},
};
use peral_model::Identity;
use peral_wire::rest::peers::Notice;

use crate::{accounts::api_token, support::*};

pub async fn a_nonce_is_good_once(world: &World) {
    let uses = (0..8).map(|_| world.store.use_nonce(b"nonce", NOW + 1000));
    let good = futures::future::join_all(uses)
        .await
        .into_iter()
        .filter(|used| *used.as_ref().unwrap())
        .count();
    assert_eq!(good, 1);
    assert!(world.store.use_nonce(b"another", NOW + 1000).await.unwrap());
}

pub async fn a_session_needs_what_proved_it(world: &World) {
    let alice = world.account("alice").await;
    assert_eq!(
        refused(world.store.begin_session(login(alice, "other hash", "x", NOW)).await),
        Refusal::BadToken
    );
    let id = world.session(alice, "laptop", NOW).await;
    let session = world.store.session(id, NOW).await.unwrap().unwrap();
    assert_eq!((session.account.id, session.public_key.as_slice()), (alice, b"laptop".as_slice()));
    assert!(world.store.session(id, session.ends_ms).await.unwrap().is_none(), "it has ended");
    assert!(!world.store.renew_session(id, CERTIFICATE, session.ends_ms).await.unwrap());
    let listed = world.store.sessions(alice, NOW).await.unwrap();
    assert_eq!((listed.len(), listed[0].label.as_str()), (1, "laptop"));
}

pub async fn ending_a_session_tells_everybody(world: &World) {
    let (alice, bob) = (world.account("alice").await, world.account("bob").await);
    let peer = world.peer(bob).await;
    let id = world.session(alice, "laptop", NOW).await;
    assert!(world.store.renew_session(id, CERTIFICATE + 77, NOW).await.unwrap());
    assert!(
        world.store.renew_session(id, CERTIFICATE, NOW).await.unwrap(),
        "an older certificate does not end earlier"
    );
    assert!(!world.store.end_session(id, Some(bob), NOW).await.unwrap(), "not bob's");
    assert!(world.store.end_session(id, Some(alice), NOW).await.unwrap());
    assert!(!world.store.end_session(id, Some(alice), NOW).await.unwrap());
    let notices = world.store.notices(peer.peer, 0, NOW).await.unwrap();
    assert_eq!(
        notices.notices,
        [Notice::Revoked { identity: Identity::User(id), until_ms: CERTIFICATE + 77 }]
    );
    let later = world.store.notices(peer.peer, 0, CERTIFICATE + 77).await.unwrap();
    assert_eq!(
        (later.notices.len(), later.obeyed),
        (0, notices.obeyed),
        "its certificates have ended"
    );
}

pub async fn the_oldest_session_makes_room(world: &World) {
    let alice = world.account("alice").await;
    let token =
        world.store.create_api_token(api_token(alice, b"api", NOW + 1_000_000)).await.unwrap();
    let of_token =
        NewSession { basis: Basis::ApiToken(token.id), ..login(alice, "", "job", NOW - 1) };
    let job = world.store.begin_session(of_token).await.unwrap();
    let mut ids = Vec::new();
    for number in 0..=MAX_SESSIONS {
        ids.push(world.session(alice, "s", NOW + i64::from(number)).await);
    }
    let now = NOW + i64::from(MAX_SESSIONS);
    assert!(world.store.session(ids[0], now).await.unwrap().is_none());
    assert!(world.store.session(ids[1], now).await.unwrap().is_some());
    assert!(
        world.store.session(job, now).await.unwrap().is_some(),
        "those of a token count for themselves"
    );
    assert_eq!(world.store.sessions(alice, now).await.unwrap().len(), MAX_SESSIONS as usize + 1);
}
