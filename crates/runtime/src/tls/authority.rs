//! Central's certificate authority.

use std::{net::IpAddr, time::Duration};

use peral_model::{AccountId, Identity, NetworkId};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SerialNumber,
    SignatureAlgorithm,
};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use time::OffsetDateTime;
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::{KeyPkcs8Der, TlsError, csr_public_key, key::p256_point, new_key};

const CA_LIFETIME: Duration = Duration::from_hours(24 * 3652);

/// What a certificate may be used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// To call others: a user's commands.
    Client,
    /// Both ends of a connection: a peer.
    Peer,
    /// To be called: central. The names are for browsers; commands and peers look at the identity
    /// alone.
    Server {
        /// Host names.
        dns_names: Vec<String>,
        /// Addresses.
        ips: Vec<IpAddr>,
    },
}

/// A certificate authority: it signs certificates for the identities of one network.
#[derive(Debug)]
pub struct Authority {
    certificate: CertificateDer<'static>,
    key: KeyPkcs8Der,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Generates one, valid for ten years from `now_ms` (milliseconds since 1970). It cannot sign
    /// other authorities.
    ///
    /// # Errors
    /// [`TlsError::Issue`].
    pub fn generate(network: NetworkId, now_ms: i64) -> Result<Self, TlsError> {
        let failed = |reason: &dyn ToString| TlsError::Issue {
            identity: "the authority".into(),
            reason: reason.to_string(),
        };
        let key = new_key();
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, format!("Peral network {network}"));
        (params.not_before, params.not_after) =
            validity(now_ms, CA_LIFETIME).ok_or_else(|| failed(&"its dates are out of range"))?;
        params.serial_number = Some(
            random_serial().ok_or_else(|| failed(&"the system does not provide random bytes"))?,
        );
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key.pair()?).map_err(|error| failed(&error))?;
        Self::from_der(certificate.der().clone(), key)
    }

    /// Reads one from its certificate and key (PKCS#8), both PEM.
    ///
    /// # Errors
    /// [`TlsError::Certificate`]: unreadable, or not an authority. [`TlsError::Key`]: unreadable,
    /// or the key of another certificate.
    pub fn from_pem(cert_pem: &str, key_pem: &str) -> Result<Self, TlsError> {
        let certificate = CertificateDer::from_pem_slice(cert_pem.as_bytes())
            .map_err(|error| TlsError::Certificate(error.to_string()))?;
        Self::from_der(certificate, KeyPkcs8Der::from_pem(key_pem)?)
    }

    fn from_der(certificate: CertificateDer<'static>, key: KeyPkcs8Der) -> Result<Self, TlsError> {
        let refuse = |reason: &str| TlsError::Certificate(reason.into());
        let (_, parsed) = X509Certificate::from_der(&certificate)
            .map_err(|_| refuse("it is not an X.509 certificate"))?;
        if !parsed.is_ca() {
            return Err(refuse("it is not the certificate of an authority"));
        }
        let pair = key.pair()?;
        if p256_point(parsed.public_key()).is_none_or(|point| point != pair.public_key_raw()) {
            return Err(TlsError::Key("it does not belong to the authority's certificate".into()));
        }
        let issuer = Issuer::from_ca_cert_der(&certificate, pair)
            .map_err(|error| TlsError::Certificate(error.to_string()))?;
        Ok(Self { certificate, key, issuer })
    }

    /// Its certificate and its private key, both PEM. Keep the key secret: it can issue every
    /// certificate of the network.
    ///
    /// # Errors
    /// [`TlsError::Key`].
    pub fn to_pem(&self) -> Result<(String, String), TlsError> {
        Ok((self.certificate_pem(), self.key.to_pem()?))
    }

    /// Its certificate (DER), which every member of the network trusts.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Its certificate, PEM.
    pub fn certificate_pem(&self) -> String {
        super::certificate_pem(&self.certificate)
    }

    /// Its certificate's fingerprint: what `central init` prints.
    pub fn fingerprint(&self) -> String {
        super::fingerprint(&self.certificate)
    }

    /// A leaf with the authority behind it: what a server sends, so that first contact by
    /// fingerprint can work.
    pub fn chain(&self, leaf: CertificateDer<'static>) -> Vec<CertificateDer<'static>> {
        vec![leaf, self.certificate.clone()]
    }

    /// Issues a certificate for the key of a signing request (DER), after checking its signature;
    /// names in the request are ignored. `account` is the account of a user or peer. Times are
    /// milliseconds since 1970; for clocks that differ a little, let it begin some minutes ago.
    ///
    /// # Errors
    /// [`TlsError::Request`]: the request is refused. [`TlsError::Issue`]: a name for browsers is
    /// invalid, or the time is out of range.
    pub fn issue(
        &self,
        csr_der: &[u8],
        identity: &Identity,
        account: Option<AccountId>,
        purpose: Purpose,
        not_before_ms: i64,
        lifetime: Duration,
    ) -> Result<CertificateDer<'static>, TlsError> {
        let key = RequestKey(csr_public_key(csr_der)?);
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(identity, account)?;
        params.extended_key_usages = usages(&purpose);
        params.subject_alt_names = names(identity, purpose)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        (params.not_before, params.not_after) = validity(not_before_ms, lifetime)
            .ok_or_else(|| TlsError::issue(identity, &"its dates are out of range"))?;
        params.serial_number = Some(random_serial().ok_or_else(|| {
            TlsError::issue(identity, &"the system does not provide random bytes")
        })?);
        let certificate = params
            .signed_by(&key, &self.issuer)
            .map_err(|error| TlsError::issue(identity, &error))?;
        Ok(certificate.into())
    }
}

/// The key that a signing request asks a certificate for.
struct RequestKey(Vec<u8>);

impl PublicKeyData for RequestKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

fn subject(identity: &Identity, account: Option<AccountId>) -> Result<DistinguishedName, TlsError> {
    let common_name = match (identity, account) {
        (Identity::Central, None) => "Peral central".to_owned(),
        (Identity::Peer(_) | Identity::User(_), Some(account)) => account.to_string(),
        (Identity::Central, Some(_)) => {
            return Err(TlsError::issue(identity, &"central does not have an account"));
        }
        (_, None) => return Err(TlsError::issue(identity, &"a user or peer needs an account")),
    };
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    Ok(name)
}

fn names(identity: &Identity, purpose: Purpose) -> Result<Vec<SanType>, TlsError> {
    let ia5 = |text: String| {
        text.try_into().map_err(|error: rcgen::Error| TlsError::issue(identity, &error))
    };
    let mut names = vec![SanType::URI(ia5(identity.to_string())?)];
    if let Purpose::Server { dns_names, ips } = purpose {
        for name in dns_names {
            names.push(SanType::DnsName(ia5(name)?));
        }
        names.extend(ips.into_iter().map(SanType::IpAddress));
    }
    Ok(names)
}

fn usages(purpose: &Purpose) -> Vec<ExtendedKeyUsagePurpose> {
    match purpose {
        Purpose::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
        Purpose::Peer => {
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth]
        }
        Purpose::Server { .. } => vec![ExtendedKeyUsagePurpose::ServerAuth],
    }
}

/// X.509 counts whole seconds: the begin is rounded down.
fn validity(not_before_ms: i64, lifetime: Duration) -> Option<(OffsetDateTime, OffsetDateTime)> {
    let begin = not_before_ms.div_euclid(1000);
    let end = begin.checked_add_unsigned(lifetime.as_secs())?;
    Some((
        OffsetDateTime::from_unix_timestamp(begin).ok()?,
        OffsetDateTime::from_unix_timestamp(end).ok()?,
    ))
}

/// By default the serial would be a hash of the key, the same at each renewal.
fn random_serial() -> Option<SerialNumber> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    // Positive and never zero, as RFC 5280 wants it.
    bytes[0] = (bytes[0] & 0x7f) | 0x40;
    Some(SerialNumber::from_slice(&bytes))
}
