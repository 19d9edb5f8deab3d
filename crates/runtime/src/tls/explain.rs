//! Why a handshake failed, in words for people.

use std::{error::Error, io};

use rustls::{AlertDescription, CertificateError};

/// Finds the TLS failure in the causes of an error (of an HTTP client, of a socket), and says what
/// it means. `None`: it was not TLS.
pub fn explain(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(sentence(tls));
        }
        // An io::Error hides what it wraps from the chain of sources.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = wrapped.map(|wrapped| wrapped as &(dyn Error + 'static)).or_else(|| error.source());
    }
    None
}

fn sentence(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(error) => certificate(error),
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "it requires a certificate, and this process has none: log in or register".into()
        }
        rustls::Error::AlertReceived(AlertDescription::CertificateExpired) => {
            "it says that the certificate of this process has expired".into()
        }
        rustls::Error::AlertReceived(
            AlertDescription::UnknownCA | AlertDescription::DecryptError,
        ) => "it does not know the authority of our certificate; it may belong to another network"
            .into(),
        rustls::Error::InvalidMessage(_) => "it does not speak TLS".into(),
        other => other.to_string(),
    }
}

fn certificate(error: &CertificateError) -> String {
    match error {
        // Ours: `WrongIdentity` and `TlsError` explain themselves.
        CertificateError::Other(inner) => inner.to_string(),
        // An unrelated authority of the same name gives a bad signature.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its certificate was not issued by a trusted authority".into()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired".into()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet: compare the clocks of both machines".into()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for other host names".into()
        }
        other => format!("its certificate is refused: {other}"),
    }
}
