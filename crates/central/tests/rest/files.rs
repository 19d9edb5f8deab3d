//! From publish to search to sources, and what stays hidden.

use peral_model::{ContentId, FileName, Visibility};
use peral_wire::{
    Catalogue, ErrorCode,
    catalogue::Search,
    rest::{
        accounts::{NewGroup, Role},
        files::{Access, FileChange, NewVersion, Publish, PublishResult, Right, SourcesRequest},
        holdings::{BUCKETS, Delta, Deltas, Digest, Extent, VersionRef},
        peers::PeerState,
    },
};

use crate::support::{Net, code};

async fn names(api: &Catalogue, q: &str) -> Vec<String> {
    let page = api.search(&Search { q: q.into(), ..Default::default() }).await.unwrap();
    page.items.iter().map(|file| file.name.to_string()).collect()
}

fn by_name(name: &str) -> SourcesRequest {
    SourcesRequest { name: Some(name.into()), ..Default::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_is_found_with_its_holders() {
    let net = Net::start().await;
    let user = net.member("ada").await;
    let peer = net.peer("ada").await;
    let record = peer.share("models/Pear 7.gguf", "pear", Visibility::Public).await.unwrap();
    assert_eq!(
        (record.version, record.owner, record.content.hash),
        (1, user.login.account, ContentId::of(b"pear"))
    );
    let eve = net.member("eve").await;
    assert_eq!(names(&eve.api, "pear gguf").await, ["models/Pear 7.gguf"]);
    let file = &eve.api.search(&Search::default()).await.unwrap().items[0];
    assert_eq!((file.owner.as_str(), file.sources, file.size), ("ada", 1, 4));
    let located = eve.api.locate(&record.name).await.unwrap();
    assert_eq!(
        located
            .peers
            .iter()
            .map(|at| (at.peer, at.address.as_str(), at.port, at.complete))
            .collect::<Vec<_>>(),
        [(peer.id, "127.0.0.1", 7071, true)]
    );
    let sources = eve.api.sources(&by_name("models/Pear 7.gguf")).await.unwrap();
    assert_eq!(
        (sources.sources[0].peer, sources.grant.is_none()),
        (peer.id, true),
        "a public file needs no grant"
    );
    let by_hash = SourcesRequest { hash: Some(record.content.hash), ..Default::default() };
    assert_eq!(eve.api.sources(&by_hash).await.unwrap().record, sources.record);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_nothing_is_refused() {
    let net = Net::start().await;
    let root = net.root().await;
    let search = |limit| Search { limit: Some(limit), ..Default::default() };
    assert_eq!(code(root.api.search(&search(0)).await), ErrorCode::InvalidArgument);
    root.api.search(&search(1)).await.unwrap();
    for listing in ["accounts", "groups", "peers", "tokens", "join-tokens"] {
        let asked = async |limit: u32| {
            let url = format!("{}/v1/{listing}?limit={limit}", net.base);
            reqwest::Client::new()
                .get(url)
                .bearer_auth(&root.login.credentials.token)
                .send()
                .await
                .unwrap()
                .status()
                .as_u16()
        };
        assert_eq!((asked(0).await, asked(1).await), (400, 200), "{listing}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_third_account_sees_nothing_of_a_private_file() {
    let net = Net::start().await;
    let (ada, bob, eve) =
        (net.member("ada").await, net.member("bob").await, net.member("eve").await);
    let peer = net.peer("ada").await;
    let record = peer.share("secret/plan", "the plan", Visibility::Private).await.unwrap();
    let name = &record.name;
    let grant = FileChange {
        grant: vec![Access { who: "bob".into(), right: Right::Read }],
        ..Default::default()
    };
    let detail = ada.api.change_file(name, &grant).await.unwrap();
    assert_eq!(detail.access, grant.grant);
    assert!(
        bob.api.file(name).await.unwrap().access.is_empty(),
        "the list is for those who manage the file"
    );
    assert_eq!(
        code(bob.api.remove_file(name).await),
        ErrorCode::Forbidden,
        "a reader sees it and may not remove it"
    );
    let absent = FileName::new("secret/plam").unwrap();
    let hidden = eve.api.file(name).await.err().unwrap();
    let missing = eve.api.file(&absent).await.err().unwrap();
    assert_eq!(
        (hidden.code, hidden.detail.replace("plan", "plam")),
        (ErrorCode::NotFound, missing.detail)
    );
    assert_eq!(code(eve.api.remove_file(name).await), ErrorCode::NotFound);
    assert_eq!(code(eve.api.change_file(name, &FileChange::default()).await), ErrorCode::NotFound);
    assert_eq!(code(eve.api.locate(name).await), ErrorCode::NotFound);
    let by_hash = SourcesRequest { hash: Some(record.content.hash), ..Default::default() };
    let by_id = SourcesRequest { file: Some(record.file), ..Default::default() };
    for request in [by_name("secret/plan"), by_hash, by_id] {
        assert_eq!(code(eve.api.sources(&request).await), ErrorCode::NotFound);
        assert!(bob.api.sources(&request).await.unwrap().grant.is_some());
    }
    for q in ["", "plan", "secret/*", &record.content.hash.to_string()] {
        assert!(names(&eve.api, q).await.is_empty(), "{q:?}");
        assert_eq!(names(&bob.api, q).await, ["secret/plan"], "{q:?}");
    }
    assert_eq!(
        code(net.peer("eve").await.publish("secret/plan", "mine", Visibility::Public, None).await),
        ErrorCode::NameTaken,
        "names are one space"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_give_rights_until_they_go() {
    let net = Net::start().await;
    let (root, ada, bob) = (net.root().await, net.member("ada").await, net.member("bob").await);
    let record = net.peer("ada").await.share("g", "g", Visibility::Private).await.unwrap();
    let group = root.api.add_group(&NewGroup { name: "crew".into() }).await.unwrap();
    root.api.add_member(group.id, bob.login.account).await.unwrap();
    let access = |right| FileChange {
        grant: vec![Access { who: "group:crew".into(), right }],
        ..Default::default()
    };
    ada.api.change_file(&record.name, &access(Right::Read)).await.unwrap();
    bob.api.file(&record.name).await.unwrap();
    root.api.remove_member(group.id, bob.login.account).await.unwrap();
    assert_eq!(code(bob.api.file(&record.name).await), ErrorCode::NotFound);
    root.api.add_member(group.id, bob.login.account).await.unwrap();
    root.api.remove_group(group.id).await.unwrap();
    assert_eq!(code(bob.api.file(&record.name).await), ErrorCode::NotFound);
    assert_eq!(
        code(ada.api.change_file(&record.name, &access(Right::Read)).await),
        ErrorCode::InvalidArgument,
        "no such group"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_replace_the_one_they_name_and_no_other() {
    let net = Net::start().await;
    net.account("ada", Role::Member).await;
    net.account("eve", Role::Member).await;
    let (ada, eve) = (net.peer("ada").await, net.peer("eve").await);
    let first = ada.publish("f", "one", Visibility::Public, None).await.unwrap();
    let at = |version| Some(VersionRef { file: first.file, version });
    assert_eq!(
        ada.publish("f", "one", Visibility::Public, at(1)).await.unwrap().version,
        1,
        "the same content does not create a version"
    );
    let second = ada.publish("f", "two", Visibility::Public, at(1)).await.unwrap();
    assert_eq!((second.file, second.version), (first.file, 2));
    assert_eq!(
        code(ada.publish("f", "three", Visibility::Public, at(1)).await),
        ErrorCode::VersionConflict
    );
    assert_eq!(
        code(eve.publish("f", "mine", Visibility::Public, at(2)).await),
        ErrorCode::NameTaken
    );
    net.root().await.api.remove_file(&first.name).await.unwrap();
    assert_eq!(
        code(ada.publish("f", "two", Visibility::Public, at(2)).await),
        ErrorCode::Removed,
        "an indexer does not bring back what was removed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_with_the_same_key_gives_the_same_results() {
    let net = Net::start().await;
    let peer = net.peer("root").await;
    let file = |name: &str| NewVersion {
        name: name.into(),
        hash: ContentId::of(b"x"),
        size: 1,
        visibility: Visibility::Public,
        replaces: None,
        upload: None,
    };
    let publish =
        Publish { idempotency_key: "k".into(), files: vec![file("a"), file("../b"), file("c")] };
    let results = peer.api.publish(&publish).await.unwrap().results;
    let [PublishResult::Record(_), PublishResult::Problem(problem), PublishResult::Record(_)] =
        &results[..]
    else {
        panic!("{results:?}")
    };
    assert_eq!(problem.code, ErrorCode::InvalidName);
    let again = peer.api.publish(&publish).await.unwrap().results;
    assert_eq!(serde_json::to_value(&results).unwrap(), serde_json::to_value(&again).unwrap());
    let other = Publish { files: vec![file("d")], ..publish };
    assert_eq!(code(peer.api.publish(&other).await), ErrorCode::AlreadyExists);
    assert_eq!(names(&net.root().await.api, "").await, ["a", "c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_one_another_in_byte_order() {
    let net = Net::start().await;
    let peer = net.peer("root").await;
    let mut all: Vec<String> =
        (0..25).map(|n| format!("dir/{}-{n}", ["Z", "a", "ä", "-"][n % 4])).collect();
    let file = |name: &String| NewVersion {
        name: name.clone(),
        hash: ContentId::of(b"x"),
        size: 1,
        visibility: Visibility::Public,
        replaces: None,
        upload: None,
    };
    peer.api
        .publish(&Publish { idempotency_key: "k".into(), files: all.iter().map(file).collect() })
        .await
        .unwrap();
    all.sort();
    let root = net.root().await;
    let (mut found, mut cursor) = (vec![], None);
    loop {
        let page = root
            .api
            .search(&Search { q: "dir".into(), limit: Some(10), cursor, ..Default::default() })
            .await
            .unwrap();
        assert!(page.items.len() <= 10);
        found.extend(page.items.into_iter().map(|file| file.name.to_string()));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(found, all);
    let bad = Search { cursor: Some("%%%".into()), ..Default::default() };
    assert_eq!(code(root.api.search(&bad).await), ErrorCode::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn holdings_are_numbered_and_a_digest_finds_what_differs() {
    let net = Net::start().await;
    let peer = net.peer("root").await;
    let record = peer.publish("h", "h", Visibility::Public, None).await.unwrap();
    let row = Delta { version: VersionRef { file: record.file, version: 1 }, held: Extent::All };
    assert_eq!(
        code(peer.api.index(&Deltas { first: 2, deltas: vec![row] }).await),
        ErrorCode::IndexGap
    );
    assert_eq!(
        peer.api.index(&Deltas { first: 1, deltas: vec![row] }).await.unwrap().last_delta,
        1
    );
    assert_eq!(peer.beat(PeerState::Ready, 0).await.unwrap().last_delta, 1);
    let digest = |words: &[u64]| {
        use base64::{Engine, engine::general_purpose::STANDARD};
        Digest {
            last_delta: 1,
            buckets: STANDARD
                .encode(words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>()),
        }
    };
    let mut words = vec![0; BUCKETS];
    let (bucket, hash) = peral_wire::rest::holdings::row_hash(&row);
    assert_eq!(peer.api.digest(&digest(&words)).await.unwrap().differing, [bucket]);
    words[usize::from(bucket)] = hash;
    assert!(peer.api.digest(&digest(&words)).await.unwrap().differing.is_empty());
    assert_eq!(code(peer.api.digest(&digest(&words[1..])).await), ErrorCode::InvalidArgument);
    let gone =
        peral_wire::rest::holdings::Bucket { last_delta: 5, bucket, replace: true, rows: vec![] };
    assert_eq!(peer.api.bucket(&gone).await.unwrap().last_delta, 5);
    assert_eq!(
        net.root().await.api.search(&Search::default()).await.unwrap().items[0].sources,
        0,
        "a name without holders stays"
    );
}
