//! Key pairs and signing requests.

use std::fmt;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use x509_parser::{
    certification_request::X509CertificationRequest,
    oid_registry::{OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_SIG_ECDSA_WITH_SHA256},
    prelude::FromDer,
    x509::SubjectPublicKeyInfo,
};
use zeroize::Zeroize;

use super::TlsError;

/// A signing request has a few hundred bytes; a longer one is not parsed.
const MAX_REQUEST: usize = 4096;
/// An uncompressed point of P-256: a marker byte and two coordinates.
const POINT_LEN: usize = 65;

/// A P-256 key pair: PKCS#8, DER. Wiped when dropped, never printed.
#[derive(Clone)]
pub struct KeyPkcs8Der(pub Vec<u8>);

impl KeyPkcs8Der {
    /// Reads a key pair in PEM.
    ///
    /// # Errors
    /// [`TlsError::Key`].
    pub fn from_pem(pem: &str) -> Result<Self, TlsError> {
        let pair = KeyPair::from_pem(pem).map_err(|error| TlsError::Key(error.to_string()))?;
        Ok(Self(pair.serialize_der()))
    }

    /// The key pair in PEM.
    ///
    /// # Errors
    /// [`TlsError::Key`], when these bytes are not a P-256 key.
    pub fn to_pem(&self) -> Result<String, TlsError> {
        self.pair().map(|pair| pair.serialize_pem())
    }

    /// The public half: an uncompressed point, 65 bytes.
    ///
    /// # Errors
    /// [`TlsError::Key`], when these bytes are not a P-256 key.
    pub fn public_key(&self) -> Result<Vec<u8>, TlsError> {
        self.pair().map(|pair| pair.public_key_raw().to_vec())
    }

    pub(super) fn pair(&self) -> Result<KeyPair, TlsError> {
        let der = PrivatePkcs8KeyDer::from(self.0.as_slice());
        KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ECDSA_P256_SHA256)
            .map_err(|error| TlsError::Key(error.to_string()))
    }

    pub(super) fn to_rustls(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.0.clone()).into()
    }
}

impl fmt::Debug for KeyPkcs8Der {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyPkcs8Der(…)")
    }
}

impl Drop for KeyPkcs8Der {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Generates a P-256 key pair.
#[expect(
    clippy::expect_used,
    reason = "P-256 is compiled in, and aws-lc aborts the process itself when the system has no \
        randomness"
)]
pub fn new_key() -> KeyPkcs8Der {
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("P-256 keys can be generated");
    KeyPkcs8Der(pair.serialize_der())
}

/// A signing request (DER) for this key. It contains no name: the authority chooses it.
///
/// # Errors
/// [`TlsError::Key`], when the key cannot be used.
pub fn signing_request(key: &KeyPkcs8Der) -> Result<Vec<u8>, TlsError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let request =
        params.serialize_request(&key.pair()?).map_err(|error| TlsError::Key(error.to_string()))?;
    Ok(request.der().to_vec())
}

/// The public key of a signing request: an uncompressed P-256 point, 65 bytes.
///
/// # Errors
/// [`TlsError::Request`]: malformed, another kind of key, or not signed by that key.
pub fn csr_public_key(csr_der: &[u8]) -> Result<Vec<u8>, TlsError> {
    let refuse = |reason: &str| TlsError::Request(reason.into());
    if csr_der.len() > MAX_REQUEST {
        return Err(refuse("it is longer than 4096 bytes"));
    }
    let (rest, request) = X509CertificationRequest::from_der(csr_der)
        .map_err(|_| refuse("it is not a PKCS#10 request"))?;
    if !rest.is_empty() {
        return Err(refuse("it has trailing bytes"));
    }
    let info = &request.certification_request_info;
    let point = p256_point(&info.subject_pki)
        .ok_or_else(|| refuse("its key is not an ECDSA key on P-256"))?;
    if request.signature_algorithm.algorithm != OID_SIG_ECDSA_WITH_SHA256 {
        return Err(refuse("it is not signed by ECDSA with SHA-256"));
    }
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &point);
    if request.signature_value.unused_bits != 0 {
        return Err(refuse("its signature is not a whole number of bytes"));
    }
    key.verify(info.raw, &request.signature_value.data)
        .map_err(|_| refuse("its key did not sign it"))?;
    Ok(point)
}

/// The point of a P-256 key, `None` for any other kind of key.
pub(super) fn p256_point(key: &SubjectPublicKeyInfo<'_>) -> Option<Vec<u8>> {
    let curve = key.algorithm.parameters.as_ref()?.as_oid().ok()?;
    let point = &key.subject_public_key.data;
    let ours = key.algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY && curve == OID_EC_P256;
    (ours && point.len() == POINT_LEN && point.first() == Some(&4)).then(|| point.to_vec())
}

#[cfg(test)]
mod tests {
    use rcgen::{PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

    use super::*;

    #[test]
    fn a_signing_request_carries_its_key_and_no_name() {
        let key = new_key();
        let csr = signing_request(&key).unwrap();
        assert_eq!(csr_public_key(&csr).unwrap(), key.public_key().unwrap());
        let (_, parsed) = X509CertificationRequest::from_der(&csr).unwrap();
        assert_eq!(parsed.certification_request_info.subject.iter().count(), 0);
        assert!(
            parsed.requested_extensions().is_none_or(|mut extensions| extensions.next().is_none())
        );
    }

    #[test]
    fn other_keys_are_refused() {
        for algorithm in [&PKCS_ED25519, &PKCS_ECDSA_P384_SHA384] {
            let pair = KeyPair::generate_for(algorithm).unwrap();
            let csr = CertificateParams::default().serialize_request(&pair).unwrap();
            assert!(matches!(csr_public_key(csr.der()), Err(TlsError::Request(_))));
        }
    }

    #[test]
    fn a_request_with_a_wrong_bit_never_yields_another_key() {
        let key = new_key();
        let csr = signing_request(&key).unwrap();
        let mut refused = 0;
        for (at, bit) in (0..csr.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut bad = csr.clone();
            bad[at] ^= 1 << bit;
            match csr_public_key(&bad) {
                // The parser is lenient about two tags outside what is signed.
                Ok(found) => assert_eq!(found, key.public_key().unwrap(), "byte {at}"),
                Err(_) => refused += 1,
            }
        }
        assert!(refused >= csr.len() * 8 - 2 * 8, "only {refused} changes were noticed");
        assert!(csr_public_key(&[csr.as_slice(), &[0]].concat()).is_err());
        assert!(csr_public_key(&vec![0x30; MAX_REQUEST + 1]).is_err());
    }

    #[test]
    fn a_key_survives_pem_and_is_not_printed() {
        let key = new_key();
        let again = KeyPkcs8Der::from_pem(&key.to_pem().unwrap()).unwrap();
        assert_eq!(again.public_key().unwrap(), key.public_key().unwrap());
        assert_eq!(format!("{key:?}"), "KeyPkcs8Der(…)");
    }
}
