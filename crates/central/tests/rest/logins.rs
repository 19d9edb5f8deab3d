//! Sessions: how they begin, what they show, how they end.

use std::time::Duration;

use peral_model::Identity;
use peral_runtime::{Clock, tls::peer_of};
use peral_wire::{
    ErrorCode, Sealed,
    rest::{
        accounts::{AccountChange, Role},
        sessions::{Credential, PasswordChange},
    },
};
use rustls_pki_types::{CertificateDer, pem::PemObject};

use crate::support::{NOW, Net, PASSWORD, code};

#[tokio::test(flavor = "multi_thread")]
async fn a_login_gives_a_certificate_and_a_token_for_the_session() {
    let net = Net::start().await;
    let user = net.member("ada").await;
    let certificate =
        CertificateDer::from_pem_slice(user.login.credentials.certificate.as_bytes()).unwrap();
    let shown = peer_of(&certificate).unwrap();
    assert_eq!((shown.identity, shown.account), (user.identity(), Some(user.login.account)));
    assert_eq!(shown.not_after_ms, NOW + 12 * 3_600_000);
    let me = user.api.whoami().await.unwrap();
    assert_eq!((me.name.as_str(), me.role, me.identity), ("ada", Role::Member, user.identity()));
    let sessions = user.api.sessions().await.unwrap().items;
    assert_eq!(
        sessions.iter().map(|session| (session.id, session.current)).collect::<Vec<_>>(),
        [(user.login.session, true)]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_an_unknown_account_look_the_same() {
    let net = Net::start().await;
    net.account("ada", Role::Member).await;
    let with = |account: &str, password: &str| Credential::Password {
        account: account.into(),
        password: password.into(),
    };
    let wrong = net.log_in_with(with("ada", "orchard lantern viscous 73")).await.err().unwrap();
    let unknown = net.log_in_with(with("eve", PASSWORD)).await.err().unwrap();
    assert_eq!(wrong, unknown);
    assert_eq!(wrong.code, ErrorCode::Unauthenticated);
    assert_eq!(
        code(net.log_in_with(Credential::ApiToken { token: "peral_api_x".into() }).await),
        ErrorCode::Unauthenticated
    );
}

/// I7: whatever a remote can grow has a cap.
#[tokio::test(flavor = "multi_thread")]
async fn logins_are_limited_for_each_account() {
    let net = Net::start_with(|config| config.limits.logins_per_account = 3).await;
    let guess = |account: &str| Credential::Password {
        account: account.into(),
        password: "a wrong guess, again".into(),
    };
    for _ in 0..3 {
        assert_eq!(code(net.log_in_with(guess("eve")).await), ErrorCode::Unauthenticated);
    }
    assert_eq!(code(net.log_in_with(guess("eve")).await), ErrorCode::RateLimited);
    assert_eq!(
        code(net.log_in_with(guess("bob")).await),
        ErrorCode::Unauthenticated,
        "another account is not held up"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_kept_out_by_guesses_from_elsewhere() {
    let limits = |config: &mut peral_central::Config| {
        (config.limits.logins_per_account, config.limits.logins_per_account_in_all) = (3, 8);
    };
    let net = Net::start_with(limits).await;
    let with =
        |password: &str| Credential::Password { account: "root".into(), password: password.into() };
    let wrong = || with("a wrong guess, again");
    for _ in 0..3 {
        assert_eq!(
            code(net.log_in_from([127, 0, 0, 2], wrong()).await),
            ErrorCode::Unauthenticated
        );
    }
    for _ in 0..5 {
        assert_eq!(code(net.log_in_from([127, 0, 0, 2], wrong()).await), ErrorCode::RateLimited);
    }
    net.log_in_with(with(PASSWORD)).await.unwrap();
    for host in 3..5 {
        for _ in 0..2 {
            assert_eq!(
                code(net.log_in_from([127, 0, 0, host], wrong()).await),
                ErrorCode::Unauthenticated
            );
        }
    }
    assert_eq!(
        code(net.log_in_from([127, 0, 0, 5], wrong()).await),
        ErrorCode::RateLimited,
        "eight in all, from wherever"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_are_limited_for_each_address() {
    let net = Net::start_with(|config| config.limits.logins_per_address = 2).await;
    let guess = || Credential::ApiToken { token: "peral_api_guess".into() };
    for _ in 0..2 {
        assert_eq!(code(net.log_in_with(guess()).await), ErrorCode::Unauthenticated);
    }
    assert_eq!(code(net.log_in_with(guess()).await), ErrorCode::RateLimited);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_ends_at_once() {
    let net = Net::start().await;
    let (root, user) = (net.root().await, net.member("ada").await);
    let (other, third) = (net.log_in("ada").await.unwrap(), net.log_in("ada").await.unwrap());
    for session in [&user, &other, &third] {
        session.api.whoami().await.unwrap();
    }
    user.api.logout().await.unwrap();
    assert_eq!(code(user.api.whoami().await), ErrorCode::Unauthenticated);
    other.api.end_session(third.login.session).await.unwrap();
    assert_eq!(code(third.api.whoami().await), ErrorCode::Unauthenticated);
    assert_eq!(
        code(other.api.end_session(root.login.session).await),
        ErrorCode::NotFound,
        "another's session"
    );
    let disable = AccountChange { disabled: Some(true), ..AccountChange::default() };
    root.api.change_account(user.login.account, &disable).await.unwrap();
    assert_eq!(code(other.api.whoami().await), ErrorCode::Unauthenticated);
    assert_eq!(code(net.log_in("ada").await), ErrorCode::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_counts_that_the_account_has_now() {
    let net = Net::start().await;
    let (root, user) = (net.root().await, net.member("ada").await);
    assert_eq!(code(user.api.accounts().await), ErrorCode::Forbidden);
    let role = |role| AccountChange { role: Some(role), ..AccountChange::default() };
    root.api.change_account(user.login.account, &role(Role::Admin)).await.unwrap();
    user.api.accounts().await.unwrap();
    root.api.change_account(user.login.account, &role(Role::Member)).await.unwrap();
    assert_eq!(code(user.api.accounts().await), ErrorCode::Forbidden);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_ends_the_other_sessions() {
    let net = Net::start().await;
    let (user, other) = (net.member("ada").await, net.log_in("ada").await.unwrap());
    let change =
        |current: &str, new: &str| PasswordChange { current: current.into(), new: new.into() };
    let good = "granite tulip sentence 9";
    assert_eq!(
        code(user.api.change_password(&change("not the current one", good)).await),
        ErrorCode::Forbidden
    );
    for weak in ["short", "ada ada ada ada", "passwordpassword"] {
        let failure = user.api.change_password(&change(PASSWORD, weak)).await.err().unwrap();
        assert_eq!(failure.code, ErrorCode::WeakPassword, "{weak}: {failure}");
    }
    user.api.change_password(&change(PASSWORD, good)).await.unwrap();
    user.api.whoami().await.unwrap();
    assert_eq!(code(other.api.whoami().await), ErrorCode::Unauthenticated);
    assert_eq!(code(net.log_in("ada").await), ErrorCode::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_renewed_by_its_key_also_after_its_certificate_ended() {
    let net = Net::start().await;
    let user = net.member("ada").await;
    net.clock.advance(Duration::from_hours(48));
    assert_eq!(code(user.api.whoami().await), ErrorCode::Unauthenticated, "the token ended");
    let renewed = net.client().renew(&net.prove(&user.renewal(), &user.key).await).await.unwrap();
    assert_eq!(renewed.certificate_ends_ms, net.clock.now_ms() + 12 * 3_600_000);
    net.client().with_token(&renewed.token).whoami().await.unwrap();
    net.clock.advance(Duration::from_hours(29 * 24));
    let late = net.client().renew(&net.prove(&user.renewal(), &user.key).await).await;
    assert_eq!(
        code(late),
        ErrorCode::Unauthenticated,
        "a session ends after 30 days, whatever is renewed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_token_logs_in_until_it_is_removed() {
    let net = Net::start().await;
    let ada = net.member("ada").await;
    let minted = ada
        .api
        .add_api_token(&peral_wire::rest::accounts::NewApiToken {
            label: "ci".into(),
            account: None,
            ends_ms: None,
        })
        .await
        .unwrap();
    let login = || net.log_in_with(Credential::ApiToken { token: minted.secret.clone() });
    let session = login().await.unwrap();
    assert_eq!(session.login.name, "ada");
    let eve = net.member("eve").await;
    assert_eq!(
        code(eve.api.remove_api_token(minted.token.id).await),
        ErrorCode::NotFound,
        "another's token"
    );
    assert!(eve.api.api_tokens().await.unwrap().items.is_empty());
    ada.api.remove_api_token(minted.token.id).await.unwrap();
    assert_eq!(
        code(session.api.whoami().await),
        ErrorCode::Unauthenticated,
        "its sessions ended with it"
    );
    assert_eq!(code(login().await), ErrorCode::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_with_the_api_token_that_began_it() {
    let net = Net::start().await;
    let ada = net.member("ada").await;
    let ends_ms = ada.login.session_ends_ms - 1_000_000;
    let new = peral_wire::rest::accounts::NewApiToken {
        label: "ci".into(),
        account: None,
        ends_ms: Some(ends_ms),
    };
    let minted = ada.api.add_api_token(&new).await.unwrap();
    let session = net.log_in_with(Credential::ApiToken { token: minted.secret }).await.unwrap();
    assert_eq!(session.login.session_ends_ms, ends_ms);
    assert!(session.login.credentials.certificate_ends_ms <= ends_ms);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_central_signs_verifies_by_its_published_keys() {
    let net = Net::start().await;
    net.account("ada", Role::Member).await;
    let record =
        net.peer("ada").await.share("a", "a", peral_model::Visibility::Public).await.unwrap();
    let sources = net
        .root()
        .await
        .api
        .sources(&peral_wire::rest::files::SourcesRequest {
            name: Some("a".into()),
            ..Default::default()
        })
        .await
        .unwrap();
    let sealed =
        Sealed::<peral_model::Record>::from_text(&sources.record, &net.verifier().await).unwrap();
    assert_eq!(sealed.value, record);
    let ca = net.client().ca().await.unwrap();
    let certificate = CertificateDer::from_pem_slice(ca.certificate.as_bytes()).unwrap();
    assert_eq!(peral_runtime::tls::fingerprint(&certificate), ca.fingerprint);
    assert!(
        peer_of(&certificate).is_err(),
        "the authority is nobody's identity, least of all {}",
        Identity::Central
    );
}
