//! What the authority signs, and what it refuses.

use std::{net::IpAddr, time::Duration};

use peral_model::Identity;
use peral_runtime::tls::{
    Authority, CertStore, Purpose, TlsError, fingerprint, new_key, peer_of, signing_request,
};
use peral_testkit::identity::{HOUR, now_ms};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose, SanType};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer};

use crate::support::{account, authority, peer, user};

fn parse(der: &[u8]) -> X509Certificate<'_> {
    X509Certificate::from_der(der).unwrap().1
}

fn names<'a>(certificate: &'a X509Certificate<'_>) -> Vec<&'a GeneralName<'a>> {
    certificate.subject_alternative_name().unwrap().unwrap().value.general_names.iter().collect()
}

#[test]
fn no_signing_request_chooses_a_name() {
    let pair = KeyPair::generate().unwrap();
    let mut greedy =
        CertificateParams::new(vec!["central.example".to_owned(), "10.0.0.1".to_owned()]).unwrap();
    greedy.subject_alt_names.push(SanType::URI("peral:central".try_into().unwrap()));
    greedy.subject_alt_names.push(SanType::URI(peer(666).to_string().try_into().unwrap()));
    greedy.distinguished_name.push(DnType::CommonName, "root");
    greedy.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    greedy.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let csr = greedy.serialize_request(&pair).unwrap();

    let der = authority()
        .issue(csr.der(), &peer(1), Some(account()), Purpose::Peer, now_ms(), HOUR)
        .unwrap();
    let certificate = parse(&der);
    assert_eq!(names(&certificate), [&GeneralName::URI(&peer(1).to_string())]);
    assert_eq!(certificate.subject().to_string(), format!("CN={}", account()));
    assert!(!certificate.is_ca());
    assert!(!certificate.key_usage().unwrap().unwrap().value.key_cert_sign());
    let read = peer_of(&der).unwrap();
    assert_eq!(
        (read.identity, read.account, read.public_key.as_slice()),
        (peer(1), Some(account()), pair.public_key_raw())
    );
}

#[test]
fn centrals_certificate_has_one_identity_and_names_for_browsers() {
    let ip: IpAddr = "192.0.2.7".parse().unwrap();
    let purpose = Purpose::Server { dns_names: vec!["peral.example".into()], ips: vec![ip] };
    let der = authority()
        .issue(
            &signing_request(&new_key()).unwrap(),
            &Identity::Central,
            None,
            purpose,
            now_ms(),
            HOUR,
        )
        .unwrap();
    let certificate = parse(&der);
    let expected = [
        GeneralName::URI("peral:central"),
        GeneralName::DNSName("peral.example"),
        GeneralName::IPAddress(&[192, 0, 2, 7]),
    ];
    assert_eq!(names(&certificate), expected.iter().collect::<Vec<_>>());
    assert_eq!(peer_of(&der).unwrap().account, None);
    let usage = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.server_auth && !usage.client_auth);
}

#[test]
fn purposes_and_dates_are_as_asked() {
    let csr = signing_request(&new_key()).unwrap();
    for (purpose, server) in [(Purpose::Client, false), (Purpose::Peer, true)] {
        let der = authority()
            .issue(
                &csr,
                &user(3),
                Some(account()),
                purpose,
                1_900_000_000_999,
                Duration::from_secs(43_200),
            )
            .unwrap();
        let certificate = parse(&der);
        let usage = certificate.extended_key_usage().unwrap().unwrap().value;
        assert_eq!((usage.client_auth, usage.server_auth), (true, server));
        assert_eq!(certificate.validity().not_before.timestamp(), 1_900_000_000);
        assert_eq!(peer_of(&der).unwrap().not_after_ms, 1_900_043_200_000);
    }
}

#[test]
fn an_account_is_there_exactly_for_users_and_peers() {
    let (authority, csr) = (authority(), signing_request(&new_key()).unwrap());
    assert!(authority.issue(&csr, &peer(1), None, Purpose::Peer, now_ms(), HOUR).is_err());
    assert!(
        authority
            .issue(&csr, &Identity::Central, Some(account()), Purpose::Client, now_ms(), HOUR)
            .is_err()
    );
    assert!(
        authority.issue(&csr, &peer(1), Some(account()), Purpose::Peer, i64::MAX, HOUR).is_err()
    );
}

#[test]
fn two_certificates_of_one_key_have_different_serials() {
    let (authority, csr) = (authority(), signing_request(&new_key()).unwrap());
    let issue =
        || authority.issue(&csr, &peer(1), Some(account()), Purpose::Peer, now_ms(), HOUR).unwrap();
    assert_ne!(parse(&issue()).raw_serial(), parse(&issue()).raw_serial());
}

#[test]
fn certificates_that_name_nobody_or_several_are_refused() {
    let pair = KeyPair::generate().unwrap();
    let with = |uris: &[&str]| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, account().to_string());
        params.subject_alt_names =
            uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())).collect();
        params.self_signed(&pair).unwrap().der().to_vec()
    };
    let identity = peer(1).to_string();
    assert_eq!(peer_of(&with(&[&identity])).unwrap().identity, peer(1));
    for uris in
        [&[][..], &[&identity, "peral:central"], &[&identity, &identity], &["https://example.org/"]]
    {
        assert!(matches!(peer_of(&with(uris)), Err(TlsError::Certificate(_))), "{uris:?}");
    }
    assert!(peer_of(b"no certificate").is_err());
    assert!(peer_of(&[with(&[&identity]), vec![0]].concat()).is_err());
}

#[test]
fn an_authority_survives_pem_and_refuses_anothers_key() {
    let (one, two) = (authority(), authority());
    let ((cert, key), (_, other_key)) = (one.to_pem().unwrap(), two.to_pem().unwrap());
    let again = Authority::from_pem(&cert, &key).unwrap();
    assert_eq!((again.fingerprint(), again.certificate_pem()), (one.fingerprint(), cert.clone()));
    assert!(matches!(Authority::from_pem(&cert, &other_key), Err(TlsError::Key(_))));
    assert!(Authority::from_pem("", &key).is_err());
    assert!(
        parse(one.certificate()).basic_constraints().unwrap().unwrap().value.path_len_constraint
            == Some(0)
    );

    let key = new_key();
    let csr = signing_request(&key).unwrap();
    let leaf = one.issue(&csr, &peer(1), Some(account()), Purpose::Peer, now_ms(), HOUR).unwrap();
    let pem = peral_runtime::tls::certificate_pem(&leaf);
    assert!(
        matches!(Authority::from_pem(&pem, &key.to_pem().unwrap()), Err(TlsError::Certificate(_))),
        "a leaf is not an authority"
    );
}

#[test]
fn a_store_refuses_a_key_that_is_not_the_certificates() {
    let (authority, key) = (authority(), new_key());
    let csr = signing_request(&key).unwrap();
    let leaf =
        authority.issue(&csr, &peer(1), Some(account()), Purpose::Peer, now_ms(), HOUR).unwrap();
    let store = CertStore::default();
    assert!(matches!(store.set(vec![leaf.clone()], &new_key()), Err(TlsError::Key(_))));
    assert!(store.set(Vec::new(), &key).is_err());
    assert_eq!(store.leaf(), None);
    store.set_pem(&peral_runtime::tls::certificate_pem(&leaf), &key.to_pem().unwrap()).unwrap();
    assert_eq!(store.leaf(), Some(leaf));
}

#[test]
fn the_fingerprint_is_what_openssl_prints() {
    // printf abc | openssl dgst -sha256 -c
    let expected = "BA:78:16:BF:8F:01:CF:EA:41:41:40:DE:5D:AE:22:23:\
                    B0:03:61:A3:96:17:7A:9C:B4:10:FF:61:F2:00:15:AD";
    assert_eq!(fingerprint(b"abc"), expected);
}
