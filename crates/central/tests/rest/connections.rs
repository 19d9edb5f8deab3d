//! The listener: TLS by identity, plaintext over loopback, and no patience for the slow.

use std::time::Duration;

use peral_central::GivenTls;
use peral_model::Identity;
use peral_runtime::{
    Clock, SystemClock,
    tls::{Expect, Pin, TrustRoots, client_config, pinned_client_config},
};
use peral_testkit::PATIENCE;
use peral_wire::Catalogue;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::Net;

fn over_tls(net: &Net, tls: rustls::ClientConfig) -> Catalogue {
    let http = reqwest::Client::builder().tls_backend_preconfigured(tls).build().unwrap();
    Catalogue::new(&net.base.replace("http://", "https://"), http, |_| {}, Duration::from_secs(10))
}

#[tokio::test(flavor = "multi_thread")]
async fn central_is_known_by_its_identity_or_its_fingerprint() {
    // TLS checks dates by the machine's clock.
    let net = Net::start_at(SystemClock::new().now_ms()).await;
    let ca = net.client().ca().await.unwrap();
    let roots = TrustRoots::authority_pem(&ca.certificate).unwrap();
    let by_identity =
        over_tls(&net, client_config(roots.clone(), Expect::Identity(Identity::Central), None));
    assert_eq!(by_identity.ca().await.unwrap().network, ca.network);
    let pinned = over_tls(&net, pinned_client_config(Pin::new(&ca.fingerprint).unwrap()));
    assert_eq!(pinned.ca().await.unwrap().network, ca.network);
    let by_name = over_tls(&net, client_config(roots, Expect::PublicName, None));
    assert_eq!(by_name.ca().await.unwrap().network, ca.network, "browsers go by the names in it");
    let other = over_tls(&net, pinned_client_config(Pin::new(&"00".repeat(32)).unwrap()));
    assert_eq!(other.ca().await.err().unwrap().code, peral_wire::ErrorCode::Untrusted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_header_is_cut_off() {
    let net = Net::start().await;
    for start in ["", "G", "GET /v1/ca HTTP/1.1\r\nhost: x\r\nx-slow: "] {
        let mut stream = TcpStream::connect(net.base.trim_start_matches("http://")).await.unwrap();
        stream.write_all(start.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "{start:?} is still open");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_given_certificate_is_shown_in_place_of_an_own_one() {
    let (certificate, key) = given("central.example");
    let folder = tempfile::tempdir().unwrap();
    let given =
        GivenTls { certificate: folder.path().join("tls.crt"), key: folder.path().join("tls.key") };
    std::fs::write(&given.certificate, &certificate).unwrap();
    std::fs::write(&given.key, key).unwrap();
    let net = Net::start_with(|config| config.tls = Some(given)).await;
    let tls =
        client_config(TrustRoots::authority_pem(&certificate).unwrap(), Expect::PublicName, None);
    let address = net.base.trim_start_matches("http://").parse().unwrap();
    let http = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .resolve("central.example", address)
        .build()
        .unwrap();
    let by_name = Catalogue::new(
        &format!("https://central.example:{}", address.port()),
        http,
        |_| {},
        Duration::from_secs(10),
    );
    assert_eq!(by_name.ca().await.unwrap().network, net.network().await);
}

/// A certificate that signs itself, for this name.
fn given(name: &str) -> (String, String) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}
