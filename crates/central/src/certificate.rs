//! Central's own certificate: of its own authority and renewed by itself, or a given one that is
//! read again when it changes.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use peral_model::Identity;
use peral_runtime::{
    Lock,
    tls::{CertStore, Purpose, TlsError, new_key, signing_request},
};
use peral_wire::{Failure, fail};

use crate::{
    config::{Config, GivenTls},
    service::{App, BACKDATE_MS},
};

/// How long central's own certificate is valid; it is renewed after half of that.
const LIFE: Duration = Duration::from_hours(48);

/// Central's own certificate.
pub struct Certificate {
    store: Arc<CertStore>,
    origin: Mutex<CertificateOrigin>,
}

enum CertificateOrigin {
    /// Issued by our own authority at this time (milliseconds since 1970).
    Own(i64),
    /// From files, with their times of modification.
    Given(GivenTls, [Option<SystemTime>; 2]),
}

impl Certificate {
    /// The certificate that the configuration asks for.
    ///
    /// # Errors
    /// A given certificate, or a name for it, that cannot be used.
    pub fn new(app: &App) -> Result<Self, Failure> {
        let store = CertStore::shared();
        let origin = match &app.config.tls {
            None => CertificateOrigin::Own(issue(app, &store)?),
            Some(given) => {
                let times = times(given);
                read(given, &store)?;
                CertificateOrigin::Given(given.clone(), times)
            }
        };
        Ok(Self { store, origin: Mutex::new(origin) })
    }

    /// The certificate that the listener presents.
    pub fn store(&self) -> Arc<CertStore> {
        Arc::clone(&self.store)
    }

    /// Renews the certificate after half of its life, or reads it again when its files changed. If
    /// that fails, the old one stays in use.
    ///
    /// # Errors
    /// As [`Certificate::new`].
    pub fn keep_fresh(&self, app: &App) -> Result<(), Failure> {
        let mut origin = self.origin.locked();
        match &mut *origin {
            CertificateOrigin::Own(made) => {
                let half = i64::try_from(LIFE.as_millis() / 2).unwrap_or(i64::MAX);
                if (*made..made.saturating_add(half)).contains(&app.now()) {
                    return Ok(());
                }
                *made = issue(app, &self.store)?;
                tracing::info!("renewed central's certificate");
            }
            CertificateOrigin::Given(given, seen) => {
                let now = times(given);
                if now == *seen {
                    return Ok(());
                }
                read(given, &self.store)?;
                *seen = now;
                tracing::info!(
                    file = %given.certificate.display(),
                    "reloaded central's certificate"
                );
            }
        }
        Ok(())
    }
}

fn issue(app: &App, store: &CertStore) -> Result<i64, Failure> {
    let failed = |error: TlsError| fail!(Internal, "cannot issue central's certificate: {error}");
    let (key, now) = (new_key(), app.now());
    let request = signing_request(&key).map_err(failed)?;
    let authority = &app.keys.authority;
    let leaf = authority
        .issue(&request, &Identity::Central, None, names(&app.config), now - BACKDATE_MS, LIFE)
        .map_err(failed)?;
    store.set(authority.chain(leaf), &key).map_err(failed)?;
    Ok(now)
}

/// The names for browsers: those of loopback, and those configured.
fn names(config: &Config) -> Purpose {
    let mut ips = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let mut dns_names = vec!["localhost".to_owned()];
    for name in &config.names {
        match name.parse() {
            Ok(ip) => ips.push(ip),
            Err(_) => dns_names.push(name.clone()),
        }
    }
    Purpose::Server { dns_names, ips }
}

fn read(given: &GivenTls, store: &CertStore) -> Result<(), Failure> {
    let text = |path: &std::path::Path| {
        fs::read_to_string(path)
            .map_err(|error| fail!(InvalidArgument, "cannot read {}: {error}", path.display()))
    };
    let (chain, key) = (text(&given.certificate)?, zeroize::Zeroizing::new(text(&given.key)?));
    store
        .set_pem(&chain, &key)
        .map_err(|error| fail!(InvalidArgument, "{}: {error}", given.certificate.display()))
}

fn times(given: &GivenTls) -> [Option<SystemTime>; 2] {
    [&given.certificate, &given.key]
        .map(|path| fs::metadata(path).and_then(|meta| meta.modified()).ok())
}
