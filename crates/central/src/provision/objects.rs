//! The content of the objects.

use std::collections::BTreeMap;

use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Secret},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use peral_wire::{Failure, fail};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::{keys, password::good_enough};

/// 32 letters and digits that are not easily confused: five bits each.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Letters of an administrator's password (120 bits), and of each of its groups.
const LENGTH: usize = 24;
const GROUP: usize = 6;
/// A random password almost never looks like a pattern.
const TRIES: usize = 8;
/// User and name of the database.
const DATABASE: &str = "peral";
const PORT: &str = "5432";

/// Keys of a Secret, with their values.
pub(super) type Values = Vec<(&'static str, Zeroizing<String>)>;

/// A name of an object or a host that Kubernetes accepts.
pub(super) fn object_name(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let part = |part: &str| {
        let ends = part.bytes().next().is_some_and(plain) && part.bytes().last().is_some_and(plain);
        ends && part.bytes().all(|byte| plain(byte) || byte == b'-')
    };
    if text.len() <= 253 && text.split('.').all(part) {
        return Ok(text.to_owned());
    }
    Err("use a name of a-z, 0-9, '-' and '.', such as peral-keys".into())
}

/// `KEY=VALUE`. Kubernetes checks the rest.
pub(super) fn label(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    pair.map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| "use KEY=VALUE".into())
}

fn metadata(name: &str, labels: &[(String, String)]) -> ObjectMeta {
    let own = ("app.kubernetes.io/managed-by".to_owned(), "peral".to_owned());
    let labels: BTreeMap<_, _> = [own].into_iter().chain(labels.iter().cloned()).collect();
    ObjectMeta { name: Some(name.to_owned()), labels: Some(labels), ..ObjectMeta::default() }
}

pub(super) fn secret(name: &str, labels: &[(String, String)], values: Values) -> Secret {
    let data = values
        .into_iter()
        .map(|(key, value)| (key.to_owned(), ByteString(value.as_bytes().to_vec())));
    Secret {
        metadata: metadata(name, labels),
        data: Some(data.collect()),
        type_: Some("Opaque".into()),
        ..Secret::default()
    }
}

pub(super) fn config_map(name: &str, labels: &[(String, String)], ca: &str) -> ConfigMap {
    // A gateway looks for the second name (BackendTLSPolicy).
    let data = [keys::CA, "ca.crt"]
        .into_iter()
        .map(|key| (key.to_owned(), ca.to_owned()))
        .collect::<BTreeMap<_, _>>();
    ConfigMap { metadata: metadata(name, labels), data: Some(data), ..ConfigMap::default() }
}

/// The first administrator, as people and central read it.
pub(super) fn administrator(name: &str) -> Result<Values, Failure> {
    let made = (0..TRIES)
        .map(|_| password())
        .find(|password| good_enough(&SecretString::from(password.as_str()), name).is_ok());
    let password = made.ok_or_else(|| {
        fail!(Internal, "cannot generate a password: the system provides no good randomness")
    })?;
    let bootstrap = Zeroizing::new(format!("{name}:{}", *password));
    Ok(vec![
        ("username", Zeroizing::new(name.to_owned())),
        ("password", password),
        ("bootstrap", bootstrap),
    ])
}

fn password() -> Zeroizing<String> {
    let letters: Vec<char> = rand::random::<[u8; LENGTH]>()
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(byte & 31)]))
        .collect();
    let groups: Vec<Zeroizing<String>> =
        letters.chunks(GROUP).map(|group| Zeroizing::new(group.iter().collect())).collect();
    Zeroizing::new(groups.iter().map(|group| group.as_str()).collect::<Vec<_>>().join("-"))
}

/// A database of central's own. Its password needs no escaping in a URL.
pub(super) fn database(host: &str) -> Values {
    let password = Zeroizing::new(hex::encode(rand::random::<[u8; 24]>()));
    let uri =
        Zeroizing::new(format!("postgres://{DATABASE}:{}@{host}:{PORT}/{DATABASE}", *password));
    let plain = |text: &str| Zeroizing::new(text.to_owned());
    let place = [
        ("username", plain(DATABASE)),
        ("dbname", plain(DATABASE)),
        ("host", plain(host)),
        ("port", plain(PORT)),
    ];
    place.into_iter().chain([("password", password), ("uri", uri)]).collect()
}

/// The certificate in a Secret of keys, if it has all keys.
pub(super) fn whole(name: &str, secret: &Secret) -> Result<String, Failure> {
    let data = secret.data.clone().unwrap_or_default();
    let missing: Vec<_> = keys::FILES
        .into_iter()
        .filter(|file| data.get(*file).is_none_or(|value| value.0.is_empty()))
        .collect();
    if !missing.is_empty() {
        return Err(fail!(
            AlreadyExists,
            "the Secret {name} exists, but has no {}: restore what it had, or delete it to begin a \
             new network, and run this again",
            missing.join(", ")
        ));
    }
    let ca = data
        .get(keys::CA)
        .and_then(|value| String::from_utf8(value.0.clone()).ok())
        .filter(|text| !certificates(text).is_empty());
    ca.ok_or_else(|| {
        fail!(
            AlreadyExists,
            "{} in the Secret {name} is not a certificate: restore what it had, and run this again",
            keys::CA
        )
    })
}

/// Whether all certificates of `wanted` are in `text`.
pub(super) fn holds(text: &str, wanted: &str) -> bool {
    let there = certificates(text);
    certificates(wanted).iter().all(|certificate| there.contains(certificate))
}

fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_long_random_and_good_enough() {
        let (first, second) = (password(), password());
        assert_ne!(*first, *second);
        assert_eq!((first.len(), first.split('-').count()), (LENGTH + 3, 4));
        let values = administrator("admin").unwrap();
        let value = |key: &str| values.iter().find(|(name, _)| *name == key).unwrap().1.to_string();
        assert_eq!(value("bootstrap"), format!("admin:{}", value("password")));
        good_enough(&SecretString::from(value("password")), "admin").unwrap();
    }

    #[test]
    fn names_and_labels_are_read_as_kubernetes_has_them() {
        for good in ["a", "peral-keys", "peral-postgres.apps.svc", "1a"] {
            assert_eq!(object_name(good).as_deref(), Ok(good));
        }
        for bad in ["", "-a", "a-", "A", "a_b", "a/b", "a..b", ".", "ä", &"a".repeat(254)] {
            assert!(object_name(bad).is_err(), "{bad}");
        }
        assert_eq!(label("a/b=c=d"), Ok(("a/b".into(), "c=d".into())));
        assert!(label("=c").is_err() && label("a").is_err());
    }

    #[test]
    fn a_secret_that_lacks_a_key_is_not_whole() {
        let files =
            keys::generate(peral_model::NetworkId(uuid::Uuid::from_u128(7)), 1_800_000_000_000)
                .unwrap();
        let all = secret("k", &[], files.into());
        let ca = whole("k", &all).unwrap();
        assert!(holds(&format!("# a comment\n{ca}\n{ca}"), &ca) && !holds("", &ca));
        for (file, value) in
            [("record.key", None), ("network", Some("")), ("ca.pem", Some("nonsense"))]
        {
            let mut some = all.clone();
            let data = some.data.as_mut().unwrap();
            data.remove(file);
            data.extend(value.map(|value| (file.to_owned(), ByteString(value.into()))));
            let failure = whole("k", &some).unwrap_err();
            assert!(failure.detail.contains(file), "{failure}");
        }
    }
}
