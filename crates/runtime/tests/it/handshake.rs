//! Who may talk to whom.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use peral_model::Identity;
use peral_runtime::{
    serve::ServeConfig,
    tls::{
        Alpn, Authority, CertStore, ClientAuth, Expect, Pin, TrustRoots, client_config, explain,
        fingerprint, pinned_client_config, presented_authority, server_config,
    },
};
use peral_testkit::identity::{HOUR, roots};
use rustls_pki_types::ServerName;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::support::{
    Answer, PATIENCE, Running, authority, certified, connect, connect_tls, fetch, peer, renew,
    start, until_closed, user, whoami,
};

fn serve_as(
    authority: &Authority,
    identity: Identity,
    config: ServeConfig,
) -> (Running, Arc<CertStore>) {
    let certs = certified(authority, identity);
    let clients = if identity == Identity::Central {
        ClientAuth::None
    } else {
        ClientAuth::Required(roots(authority))
    };
    (
        start(
            config,
            Some(server_config(Arc::clone(&certs), clients, Alpn::Http2AndHttp1)),
            whoami(),
        ),
        certs,
    )
}

fn expecting(
    authority: &Authority,
    identity: Identity,
    certs: Option<Arc<CertStore>>,
) -> rustls::ClientConfig {
    client_config(roots(authority), Expect::Identity(identity), certs)
}

#[tokio::test]
async fn the_right_identity_is_accepted_and_any_other_refused() {
    let authority = authority();
    let (server, _) = serve_as(&authority, peer(1), ServeConfig::default());
    let me = certified(&authority, user(9));
    let stream = connect_tls(server.address, expecting(&authority, peer(1), Some(Arc::clone(&me))))
        .await
        .unwrap();
    assert_eq!(
        fetch(stream, "/").await.unwrap(),
        Answer::ok(format!("{} 127.0.0.1 encrypted", user(9)))
    );
    for other in [peer(2), Identity::Central] {
        let error =
            connect_tls(server.address, expecting(&authority, other, Some(Arc::clone(&me))))
                .await
                .unwrap_err();
        assert_eq!(
            explain(&error),
            Some(format!("{} answers where {other} was expected", peer(1)))
        );
    }
}

#[tokio::test]
async fn a_server_of_another_authority_is_refused_whatever_it_calls_itself() {
    let (ours, theirs) = (authority(), authority());
    let (server, _) = serve_as(&theirs, Identity::Central, ServeConfig::default());
    let error =
        connect_tls(server.address, expecting(&ours, Identity::Central, None)).await.unwrap_err();
    assert_eq!(
        explain(&error).as_deref(),
        Some("its certificate was not issued by a trusted authority")
    );
}

#[tokio::test]
async fn a_users_certificate_serves_nothing() {
    let authority = authority();
    let certs = certified(&authority, user(9));
    let server = start(
        ServeConfig::default(),
        Some(server_config(certs, ClientAuth::None, Alpn::Http2AndHttp1)),
        whoami(),
    );
    assert!(connect_tls(server.address, expecting(&authority, user(9), None)).await.is_err());
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let authority = authority();
    let (server, certs) = serve_as(&authority, Identity::Central, ServeConfig::default());
    // It began a minute ago and ended half a minute ago.
    renew(&certs, &authority, Identity::Central, Duration::from_secs(30));
    let error = connect_tls(server.address, expecting(&authority, Identity::Central, None))
        .await
        .unwrap_err();
    assert_eq!(explain(&error).as_deref(), Some("its certificate has expired"));
}

#[tokio::test]
async fn a_client_without_our_certificate_is_refused_where_one_is_required() {
    let (authority, strangers) = (authority(), authority());
    let (server, _) = serve_as(&authority, peer(1), ServeConfig::default());
    for certs in [None, Some(certified(&strangers, user(9))), Some(CertStore::shared())] {
        // In TLS 1.3 the client learns of it only after its handshake.
        let refused = match connect_tls(server.address, expecting(&authority, peer(1), certs)).await
        {
            Err(_) => true,
            Ok(stream) => fetch(stream, "/").await.is_err(),
        };
        assert!(refused);
    }
}

#[tokio::test]
async fn a_renewed_certificate_shows_at_the_next_handshake_and_running_connections_go_on() {
    let authority = authority();
    let (server, certs) = serve_as(&authority, peer(1), ServeConfig::default());
    let me = certified(&authority, user(9));
    let config = expecting(&authority, peer(1), Some(me));
    let shown = |stream: &tokio_rustls::client::TlsStream<tokio::net::TcpStream>| {
        stream.get_ref().1.peer_certificates().unwrap().first().unwrap().clone().into_owned()
    };
    let first = connect_tls(server.address, config.clone()).await.unwrap();
    assert_eq!(Some(shown(&first)), certs.leaf());
    renew(&certs, &authority, peer(1), HOUR);
    let second = connect_tls(server.address, config).await.unwrap();
    assert_eq!(Some(shown(&second)), certs.leaf());
    assert_ne!(shown(&first), shown(&second));
    for stream in [first, second] {
        assert_eq!(fetch(stream, "/").await.unwrap().status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_public_certificate_is_checked_by_its_host_name() {
    let authority = authority();
    let (server, _) = serve_as(&authority, Identity::Central, ServeConfig::default());
    let config = Arc::new(client_config(roots(&authority), Expect::PublicName, None));
    for (name, fits) in [("central.example", true), ("elsewhere.example", false)] {
        let name = ServerName::try_from(name).unwrap();
        let stream = TlsConnector::from(Arc::clone(&config))
            .connect(name, connect(server.address).await)
            .await;
        let why = stream.err().map(|error| explain(&error).unwrap());
        assert_eq!(why.as_deref(), (!fits).then_some("its certificate is for other host names"));
    }
}

#[tokio::test]
async fn first_contact_by_fingerprint_reaches_that_network_alone() {
    let (ours, theirs) = (authority(), authority());
    let (server, _) = serve_as(&ours, Identity::Central, ServeConfig::default());
    let pin = |authority: &Authority| {
        Pin::new(&authority.fingerprint().to_lowercase().replace(':', "")).unwrap()
    };
    let stream = connect_tls(server.address, pinned_client_config(pin(&ours))).await.unwrap();
    assert_eq!(fetch(stream, "/").await.unwrap().status, StatusCode::OK);
    assert!(connect_tls(server.address, pinned_client_config(pin(&theirs))).await.is_err());
    // A peer of the network is not its central.
    let (impostor, _) = serve_as(&ours, peer(1), ServeConfig::default());
    assert!(connect_tls(impostor.address, pinned_client_config(pin(&ours))).await.is_err());
    assert!(Pin::new("12:34").is_err() && Pin::new("x").is_err());
}

#[tokio::test]
async fn an_unknown_network_shows_its_authority_and_gets_nothing_else() {
    let ours = authority();
    let (server, _) = serve_as(&ours, Identity::Central, ServeConfig::default());
    let shown = presented_authority(connect(server.address).await, PATIENCE).await.unwrap();
    assert_eq!(fingerprint(&shown), ours.fingerprint());
    let (other, _) = serve_as(&ours, peer(1), ServeConfig::default());
    assert!(presented_authority(connect(other.address).await, PATIENCE).await.is_err());
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = connect(silent.local_addr().unwrap()).await;
    let shown = timeout(PATIENCE, presented_authority(stream, Duration::from_millis(200)));
    assert!(shown.await.expect("a silent server is waited for").is_err());
}

#[tokio::test]
async fn plaintext_over_loopback_and_tls_share_a_port_where_that_is_allowed() {
    let authority = authority();
    let lenient = ServeConfig { plaintext_on_loopback: true, ..ServeConfig::default() };
    let (server, _) = serve_as(&authority, Identity::Central, lenient);
    assert_eq!(
        fetch(connect(server.address).await, "/").await.unwrap().text,
        "nobody 127.0.0.1 plain"
    );
    let stream =
        connect_tls(server.address, expecting(&authority, Identity::Central, None)).await.unwrap();
    assert_eq!(fetch(stream, "/").await.unwrap().text, "nobody 127.0.0.1 encrypted");

    let (strict, _) = serve_as(&authority, Identity::Central, ServeConfig::default());
    assert!(fetch(connect(strict.address).await, "/").await.is_err());
}

#[tokio::test]
async fn a_caller_that_never_speaks_is_closed_and_holds_up_nobody() {
    let authority = authority();
    let serve = |handshake_timeout, plaintext_on_loopback| {
        let config =
            ServeConfig { handshake_timeout, plaintext_on_loopback, ..ServeConfig::default() };
        serve_as(&authority, Identity::Central, config).0
    };
    for plaintext in [false, true] {
        // This one waits for the silent caller for longer than the test does for the other.
        let server = serve(HOUR, plaintext);
        let _silent = connect(server.address).await;
        let other = expecting(&authority, Identity::Central, None);
        let stream = connect_tls(server.address, other).await.unwrap();
        assert_eq!(fetch(stream, "/").await.unwrap().status, StatusCode::OK);

        let server = serve(Duration::from_millis(300), plaintext);
        assert!(until_closed(connect(server.address).await).await.is_empty());
    }
}

#[test]
fn there_is_always_somebody_to_trust() {
    assert!(TrustRoots::authority_pem("no certificate in here").is_err());
    assert!(TrustRoots::authority_pem(&authority().certificate_pem()).is_ok());
    assert!(TrustRoots::authority(b"nonsense".to_vec().into()).is_err());
}
