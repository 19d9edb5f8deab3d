//! Administration: accounts, groups, tokens.

use peral_wire::{
    ErrorCode,
    rest::accounts::{AccountChange, NewAccount, NewApiToken, NewGroup, NewJoinToken, Role},
};

use crate::support::{Net, PASSWORD, code};

fn account(name: &str, password: Option<&str>) -> NewAccount {
    NewAccount { name: name.into(), role: Role::Member, password: password.map(Into::into) }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_passwords_follow_their_rules() {
    let net = Net::start().await;
    let root = net.root().await;
    for name in ["", "Ada", "-a", ".a", "a b", "a/b", "ä", &"a".repeat(65), "a\0", "group:x"] {
        assert_eq!(
            code(root.api.add_account(&account(name, None)).await),
            ErrorCode::InvalidArgument,
            "{name:?}"
        );
    }
    for (password, reason) in
        [("short", "12"), ("qwertyuiopasdf", "guess"), ("margarita1234", "guess")]
    {
        let failure =
            root.api.add_account(&account("margarita", Some(password))).await.err().unwrap();
        assert!(
            failure.code == ErrorCode::WeakPassword && failure.detail.contains(reason),
            "{failure}"
        );
    }
    for name in ["a", "0", "ada.b_c-d", &"a".repeat(64)] {
        root.api.add_account(&account(name, Some(PASSWORD))).await.unwrap();
    }
    assert_eq!(code(root.api.add_account(&account("a", None)).await), ErrorCode::AlreadyExists);
    let names: Vec<_> =
        root.api.accounts().await.unwrap().items.into_iter().map(|account| account.name).collect();
    assert_eq!(
        names,
        ["0".to_owned(), "a".into(), "a".repeat(64), "ada.b_c-d".into(), "root".into()]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_administrator_stays_one() {
    let net = Net::start().await;
    let root = net.root().await;
    let disable = AccountChange { disabled: Some(true), ..AccountChange::default() };
    let demote = AccountChange { role: Some(Role::Member), ..AccountChange::default() };
    for change in [&disable, &demote] {
        assert_eq!(
            code(root.api.change_account(root.login.account, change).await),
            ErrorCode::AlreadyExists
        );
    }
    net.account("second", Role::Admin).await;
    root.api.change_account(root.login.account, &demote).await.unwrap();
    assert_eq!(code(root.api.accounts().await), ErrorCode::Forbidden);
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_have_members() {
    let net = Net::start().await;
    let (root, ada) = (net.root().await, net.member("ada").await);
    let group = root.api.add_group(&NewGroup { name: "crew".into() }).await.unwrap();
    assert_eq!(
        code(root.api.add_group(&NewGroup { name: "crew".into() }).await),
        ErrorCode::AlreadyExists
    );
    root.api.add_member(group.id, ada.login.account).await.unwrap();
    assert_eq!(root.api.groups().await.unwrap().items[0].members, ["ada"]);
    assert_eq!(ada.api.whoami().await.unwrap().groups, ["crew"]);
    root.api.remove_member(group.id, ada.login.account).await.unwrap();
    assert_eq!(
        code(root.api.remove_member(group.id, ada.login.account).await),
        ErrorCode::NotFound
    );
    root.api.remove_group(group.id).await.unwrap();
    assert_eq!(code(root.api.remove_group(group.id).await), ErrorCode::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_have_an_end_and_a_purpose() {
    let net = Net::start().await;
    let (root, ada) = (net.root().await, net.member("ada").await);
    let api = |account: Option<&str>, ends_ms| NewApiToken {
        label: "l".into(),
        account: account.map(Into::into),
        ends_ms,
    };
    assert_eq!(code(ada.api.add_api_token(&api(Some("root"), None)).await), ErrorCode::Forbidden);
    assert_eq!(
        code(ada.api.add_api_token(&api(Some("nobody"), None)).await),
        ErrorCode::Forbidden,
        "members do not learn names so"
    );
    assert_eq!(code(root.api.add_api_token(&api(Some("nobody"), None)).await), ErrorCode::NotFound);
    for ends in [0, i64::MAX] {
        assert_eq!(
            code(ada.api.add_api_token(&api(None, Some(ends))).await),
            ErrorCode::InvalidArgument
        );
    }
    let long = NewApiToken { label: "x".repeat(101), ..api(None, None) };
    assert_eq!(code(ada.api.add_api_token(&long).await), ErrorCode::InvalidArgument);
    let minted = root.api.add_api_token(&api(Some("ada"), None)).await.unwrap();
    assert_eq!(minted.token.account, "ada");
    assert_eq!(ada.api.api_tokens().await.unwrap().items.len(), 1);
    let join =
        |uses| NewJoinToken { label: "l".into(), account: "ada".into(), uses, ends_ms: None };
    assert_eq!(code(root.api.add_join_token(&join(0)).await), ErrorCode::InvalidArgument);
    let minted = root.api.add_join_token(&join(3)).await.unwrap();
    assert_eq!(root.api.join_tokens().await.unwrap().items[0].uses_left, Some(3));
    root.api.remove_join_token(minted.token.id).await.unwrap();
    assert_eq!(code(root.api.remove_join_token(minted.token.id).await), ErrorCode::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn listings_are_read_to_their_end() {
    use futures::StreamExt;
    let net = Net::start().await;
    let root = net.root().await;
    let names: Vec<_> = (0..1003).map(|n| format!("g{n:04}")).collect();
    let add = |name: &String| {
        let (api, group) = (root.api.clone(), NewGroup { name: name.clone() });
        async move { drop(api.add_group(&group).await.unwrap()) }
    };
    futures::stream::iter(names.iter().map(add)).buffer_unordered(16).collect::<()>().await;
    let found: Vec<_> =
        root.api.groups().await.unwrap().items.into_iter().map(|group| group.name).collect();
    assert_eq!(found, names);
}
