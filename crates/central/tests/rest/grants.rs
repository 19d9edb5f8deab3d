//! Grants and tickets: for one bearer, renewed only by it.

use std::time::Duration;

use peral_model::{Grant, Identity, PeerId, Ticket, Visibility};
use peral_wire::{
    ErrorCode, Sealed,
    rest::{
        accounts::Role,
        files::{
            Access, FileChange, NewUpload, NewVersion, Publish, PublishResult, Right,
            SourcesRequest,
        },
        peers::PeerState,
    },
};

use crate::support::{NOW, Net, Peer, code};

fn private(name: &str, bearer: Option<Identity>) -> SourcesRequest {
    SourcesRequest { name: Some(name.into()), bearer, ..Default::default() }
}

async fn open(net: &Net, grant: &str) -> Grant {
    Sealed::<Grant>::from_text(grant, &net.verifier().await).unwrap().value
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_names_its_bearer_and_whose_right_it_is() {
    let net = Net::start().await;
    let ada = net.member("ada").await;
    let (holder, other) = (net.peer("ada").await, net.peer("root").await);
    holder.share("p", "p", Visibility::Private).await.unwrap();
    let own = open(&net, &ada.api.sources(&private("p", None)).await.unwrap().grant.unwrap()).await;
    assert_eq!(
        (own.bearer, own.account, own.expires_ms),
        (ada.identity(), ada.login.account, NOW + 3_600_000)
    );
    let for_peer = open(
        &net,
        &ada.api.sources(&private("p", Some(other.identity()))).await.unwrap().grant.unwrap(),
    )
    .await;
    assert_eq!((for_peer.bearer, for_peer.account), (other.identity(), ada.login.account));
    let eve = net.member("eve").await;
    assert_eq!(
        code(ada.api.sources(&private("p", Some(eve.identity()))).await),
        ErrorCode::Forbidden,
        "another user's identity"
    );
    assert_eq!(
        code(ada.api.sources(&private("p", Some(Identity::Central))).await),
        ErrorCode::Forbidden
    );
    assert_eq!(
        code(holder.api.sources(&private("p", Some(other.identity()))).await),
        ErrorCode::Forbidden,
        "a peer can ask for grants only for itself"
    );
    assert_eq!(
        open(&net, &holder.api.sources(&private("p", None)).await.unwrap().grant.unwrap())
            .await
            .bearer,
        holder.identity()
    );
    assert_eq!(
        code(other.api.sources(&private("p", None)).await),
        ErrorCode::NotFound,
        "a peer of an administrator is no administrator"
    );
}

/// A grant for Bob's right, to be shown by this peer.
async fn bobs(net: &Net, by: &Peer) -> String {
    let (ada, bob) = (net.log_in("ada").await.unwrap(), net.log_in("bob").await.unwrap());
    let access = FileChange {
        grant: vec![Access { who: "bob".into(), right: Right::Read }],
        ..Default::default()
    };
    ada.api.change_file(&peral_model::FileName::new("p").unwrap(), &access).await.unwrap();
    bob.api.sources(&private("p", Some(by.identity()))).await.unwrap().grant.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn its_peer_renews_a_grant_for_seven_days_while_the_account_keeps_the_right() {
    let net = Net::start().await;
    for name in ["ada", "bob"] {
        net.account(name, Role::Member).await;
    }
    net.peer("ada").await.share("p", "p", Visibility::Private).await.unwrap();
    let (bearer, thief) = (net.peer("root").await, net.peer("root").await);
    let grant = bobs(&net, &bearer).await;
    let renewal = |grant: &str| SourcesRequest { renew: Some(grant.into()), ..Default::default() };
    assert_eq!(
        code(thief.api.sources(&renewal(&grant)).await),
        ErrorCode::Forbidden,
        "a bearer that was only shown the grant gets nothing"
    );
    assert_eq!(
        code(net.log_in("bob").await.unwrap().api.sources(&renewal(&grant)).await),
        ErrorCode::Forbidden,
        "users ask again"
    );
    let forged = format!("{}AAAA", &grant[..grant.len() - 8]);
    assert!(bearer.api.sources(&renewal(&forged)).await.is_err());
    let day = Duration::from_hours(24);
    net.clock.advance(6 * day);
    let bearer = net.register(bearer.key.clone(), None).await.unwrap();
    let again = bearer.api.sources(&renewal(&grant)).await.unwrap().grant.unwrap();
    let opened = open(&net, &again).await;
    assert_eq!(
        (opened.asked_ms, opened.expires_ms),
        (NOW, NOW + 6 * 24 * 3_600_000 + 3_600_000),
        "a renewal keeps the time of asking"
    );
    net.clock.advance(day);
    let bearer = net.register(bearer.key.clone(), None).await.unwrap();
    assert_eq!(
        code(bearer.api.sources(&renewal(&again)).await),
        ErrorCode::Forbidden,
        "seven days are over"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_right_ends_renewals() {
    let net = Net::start().await;
    for name in ["ada", "bob"] {
        net.account(name, Role::Member).await;
    }
    net.peer("ada").await.share("p", "p", Visibility::Private).await.unwrap();
    let bearer = net.peer("root").await;
    let grant = bobs(&net, &bearer).await;
    let withdraw = FileChange { withdraw: vec!["bob".into()], ..Default::default() };
    net.log_in("ada")
        .await
        .unwrap()
        .api
        .change_file(&peral_model::FileName::new("p").unwrap(), &withdraw)
        .await
        .unwrap();
    let renewal = SourcesRequest { renew: Some(grant), ..Default::default() };
    assert_eq!(code(bearer.api.sources(&renewal).await), ErrorCode::NotFound);
}

fn upload(name: &str, size: u64) -> NewUpload {
    serde_json::from_value(
        serde_json::json!({ "name": name, "size": size, "visibility": "private" }),
    )
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_to_a_live_peer_and_is_published_for_who_asked() {
    let net = Net::start().await;
    let ada = net.member("ada").await;
    assert_eq!(code(ada.api.upload(&upload("u", 3)).await), ErrorCode::Unavailable, "no peer");
    let peer = net.peer("root").await;
    peer.beat(PeerState::Ready, 0).await.unwrap();
    let begun = ada.api.upload(&upload("u", 3)).await.unwrap();
    let ticket = Sealed::<Ticket>::from_text(&begun.ticket, &net.verifier().await).unwrap().value;
    assert_eq!(
        (ticket.peer, ticket.bearer, ticket.account, ticket.max_size),
        (peer.id, ada.identity(), ada.login.account, 3)
    );
    assert_eq!(
        (ticket.visibility, ticket.expires_ms, begun.source.peer),
        (Visibility::Private, NOW + 3_600_000, peer.id)
    );
    let file = NewVersion {
        name: "u".into(),
        hash: peral_model::ContentId::of(b"abc"),
        size: 3,
        visibility: Visibility::Public,
        replaces: None,
        upload: Some(begun.id),
    };
    let publish = Publish { idempotency_key: "k".into(), files: vec![file] };
    let PublishResult::Record(record) = peer.api.publish(&publish).await.unwrap().results.remove(0)
    else {
        panic!("refused")
    };
    let record = crate::support::read_record(&record);
    assert_eq!(
        (record.owner, record.visibility),
        (ada.login.account, Visibility::Private),
        "as it was asked for, not as the peer says"
    );
    assert_eq!(
        code(ada.api.upload(&upload("u", 3)).await),
        ErrorCode::VersionConflict,
        "the name is no longer new"
    );
    let elsewhere = NewUpload { peer: Some(PeerId(uuid::Uuid::nil())), ..upload("v", 3) };
    assert_eq!(code(ada.api.upload(&elsewhere).await), ErrorCode::Unavailable);
    let huge = NewUpload { size: 1 << 63, ..upload("v", 0) };
    assert_eq!(code(ada.api.upload(&huge).await), ErrorCode::InvalidArgument);
}
