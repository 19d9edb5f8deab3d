use peral_central::store::{
    Paging, Refusal, StoreError, Taken,
    accounts::{AccountChange, NewAccount, PasswordChange},
    sessions::Basis,
    tokens::NewToken,
};
use peral_model::Identity;
use peral_wire::rest::{accounts::Role, peers::Notice};

use crate::support::*;

fn new(name: &str, role: Role) -> NewAccount {
    NewAccount { name: name.into(), role, password: None, now_ms: NOW }
}

pub fn api_token(account: peral_model::AccountId, hash: &[u8], ends_ms: i64) -> NewToken {
    NewToken {
        hash: hash.to_vec(),
        label: "script".into(),
        account,
        uses: None,
        ends_ms,
        now_ms: NOW,
    }
}

pub async fn names_are_unique_and_listed_in_order(world: &World) {
    for name in ["bob", "alice", "carol"] {
        world.account(name).await;
    }
    let taken = world.store.create_account(new("bob", Role::Member)).await;
    assert!(matches!(taken, Err(StoreError::Conflict(Taken::AccountName))), "{taken:?}");
    let first = world.store.accounts(Paging { after: None, limit: 2 }).await.unwrap();
    let second =
        world.store.accounts(Paging { after: first.next.clone(), limit: 2 }).await.unwrap();
    let names: Vec<_> =
        first.items.iter().chain(&second.items).map(|account| account.name.as_str()).collect();
    assert_eq!((names, second.next), (vec!["alice", "bob", "carol"], None));
    let secret = world.store.secret("bob").await.unwrap().unwrap();
    assert_eq!(
        (secret.account.name.as_str(), secret.password.as_deref()),
        ("bob", Some("hash of bob"))
    );
    assert!(world.store.secret("nobody").await.unwrap().is_none());
    assert!(world.store.secret("no\0body").await.unwrap().is_none());
}

pub async fn the_first_administrator_is_made_once(world: &World) {
    let tries = ["a", "b", "c", "d"]
        .map(|name| world.store.create_first_administrator(new(name, Role::Admin)));
    let made: Vec<_> = futures::future::join_all(tries)
        .await
        .into_iter()
        .filter_map(|made| made.unwrap())
        .collect();
    assert_eq!(made.len(), 1);
    assert_eq!(made[0].role, Role::Admin);
}

pub async fn the_last_administrator_stays(world: &World) {
    let (a, b) =
        (world.account_as("a", Role::Admin).await, world.account_as("b", Role::Admin).await);
    let demote = |id| {
        world.store.change_account(
            id,
            AccountChange { role: Some(Role::Member), ..Default::default() },
            NOW,
        )
    };
    let (first, second) = futures::join!(demote(a), demote(b));
    let refusals = [first, second].into_iter().filter_map(Result::err).count();
    assert_eq!(refusals, 1, "exactly one of two goes");
    let left =
        if world.store.account(a).await.unwrap().unwrap().role == Role::Admin { a } else { b };
    let disable = world
        .store
        .change_account(left, AccountChange { disabled: Some(true), ..Default::default() }, NOW)
        .await;
    assert_eq!(refused(disable), Refusal::LastAdministrator);
    assert!(!world.store.account(left).await.unwrap().unwrap().disabled);
}

pub async fn disabling_ends_everything(world: &World) {
    let (alice, bob) = (world.account("alice").await, world.account("bob").await);
    let peer = world.peer(alice).await;
    let watcher = world.peer(bob).await;
    let session = world.session(alice, "laptop", NOW).await;
    world.store.create_api_token(api_token(alice, b"api", NOW + 10)).await.unwrap();
    let join = world.join_token(alice, 5).await;

    let change = AccountChange { disabled: Some(true), ..Default::default() };
    assert!(world.store.change_account(alice, change, NOW).await.unwrap().unwrap().disabled);

    assert!(world.store.session(session, NOW).await.unwrap().is_none());
    assert!(world.store.api_token(b"api", NOW).await.unwrap().is_none());
    assert_eq!(
        refused(world.store.register(world.registering(b"new", Some(join))).await),
        Refusal::BadToken
    );
    assert_eq!(refused(world.publish_all(peer, vec![fresh("a", "1")]).await), Refusal::StaleEpoch);
    assert!(!world.store.peer(peer.peer).await.unwrap().unwrap().active);
    assert_eq!(
        refused(world.store.begin_session(login(alice, "hash of alice", "x", NOW)).await),
        Refusal::Revoked
    );
    let notices = world.store.notices(watcher.peer, 0, NOW).await.unwrap().notices;
    let gone = |identity| Notice::Revoked { identity, until_ms: CERTIFICATE };
    assert!(notices.contains(&gone(Identity::User(session))), "{notices:?}");
    assert!(notices.contains(&gone(Identity::Peer(peer.peer))), "{notices:?}");

    let change = AccountChange { disabled: Some(false), ..Default::default() };
    world.store.change_account(alice, change, NOW).await.unwrap().unwrap();
    world.session(alice, "laptop", NOW).await;
}

pub async fn a_new_password_ends_the_other_sessions(world: &World) {
    let alice = world.account("alice").await;
    let (kept, other) =
        (world.session(alice, "kept", NOW).await, world.session(alice, "other", NOW).await);
    let change = |expected: &str| PasswordChange {
        expected: expected.into(),
        new: "second".into(),
        keep: Some(kept),
    };
    assert!(!world.store.change_password(alice, change("wrong"), NOW).await.unwrap());
    assert!(world.store.session(other, NOW).await.unwrap().is_some());
    assert!(world.store.change_password(alice, change("hash of alice"), NOW).await.unwrap());
    assert!(world.store.session(kept, NOW).await.unwrap().is_some());
    assert!(world.store.session(other, NOW).await.unwrap().is_none());
    // What was checked against the old password no longer proves anything.
    assert_eq!(
        refused(world.store.begin_session(login(alice, "hash of alice", "late", NOW)).await),
        Refusal::BadToken
    );

    let by_admin = AccountChange { password: Some("third".into()), ..Default::default() };
    world.store.change_account(alice, by_admin, NOW).await.unwrap().unwrap();
    assert!(world.store.session(kept, NOW).await.unwrap().is_none());
}

pub async fn groups_have_members(world: &World) {
    let (alice, bob) = (world.account("alice").await, world.account("bob").await);
    let group = world.store.create_group("team").await.unwrap();
    let taken = world.store.create_group("team").await;
    assert!(matches!(taken, Err(StoreError::Conflict(Taken::GroupName))), "{taken:?}");
    world.store.create_group("empty").await.unwrap();
    for account in [bob, alice, alice] {
        assert!(world.store.add_member(group.id, account).await.unwrap());
    }
    assert!(
        !world.store.add_member(group.id, peral_model::AccountId(uuid::Uuid::nil())).await.unwrap()
    );
    let groups = world.store.groups(Paging::default()).await.unwrap().items;
    let shown: Vec<_> =
        groups.iter().map(|group| (group.name.as_str(), group.members.join(" "))).collect();
    assert_eq!(shown, [("empty", String::new()), ("team", "alice bob".into())]);
    assert_eq!(world.store.groups_of(alice).await.unwrap(), ["team"]);
    assert!(world.store.remove_member(group.id, bob).await.unwrap());
    assert!(!world.store.remove_member(group.id, bob).await.unwrap());
    assert!(world.store.delete_group(group.id).await.unwrap());
    assert!(!world.store.delete_group(group.id).await.unwrap());
    assert!(world.store.groups_of(alice).await.unwrap().is_empty());
}

pub async fn api_tokens_are_found_by_hash(world: &World) {
    let (alice, bob) = (world.account("alice").await, world.account("bob").await);
    let token = world.store.create_api_token(api_token(alice, b"one", NOW + 1000)).await.unwrap();
    world.store.create_api_token(api_token(bob, b"two", NOW + 1000)).await.unwrap();
    assert_eq!((token.account.as_str(), token.uses_left), ("alice", None));
    let found = world.store.api_token(b"one", NOW).await.unwrap().unwrap();
    assert_eq!((found.id, found.account.id), (token.id, alice));
    assert!(world.store.api_token(b"one", NOW + 1000).await.unwrap().is_none(), "it has ended");
    assert!(world.store.api_token(b"none", NOW).await.unwrap().is_none());
    assert_eq!(
        world.store.api_tokens(Some(alice), Paging::default(), NOW).await.unwrap().items.len(),
        1
    );
    let mut all =
        world.store.api_tokens(None, Paging { after: None, limit: 1 }, NOW).await.unwrap();
    all = world.store.api_tokens(None, Paging { after: all.next, limit: 1 }, NOW).await.unwrap();
    assert_eq!(all.items.len(), 1);

    let mut begun = login(alice, "", "by token", NOW);
    begun.basis = Basis::ApiToken(token.id);
    let session = world.store.begin_session(begun.clone()).await.unwrap();
    assert!(!world.store.revoke_api_token(token.id, Some(bob), NOW).await.unwrap(), "not bob's");
    assert!(world.store.revoke_api_token(token.id, Some(alice), NOW).await.unwrap());
    assert!(
        world.store.session(session, NOW).await.unwrap().is_none(),
        "the session ends with its token"
    );
    assert_eq!(refused(world.store.begin_session(begun).await), Refusal::BadToken);
}

pub async fn join_tokens_are_listed_and_removed(world: &World) {
    let alice = world.account("alice").await;
    let hash = world.join_token(alice, 3).await;
    world.store.register(world.registering(b"k", Some(hash.clone()))).await.unwrap();
    let listed = world.store.join_tokens(Paging::default(), NOW).await.unwrap().items;
    assert_eq!(
        (listed.len(), listed[0].account.as_str(), listed[0].uses_left),
        (1, "alice", Some(2))
    );
    assert!(world.store.revoke_join_token(listed[0].id).await.unwrap());
    assert!(!world.store.revoke_join_token(listed[0].id).await.unwrap());
    assert_eq!(
        refused(world.store.register(world.registering(b"l", Some(hash))).await),
        Refusal::BadToken
    );
}
