//! Central as a process: its listeners, its database, its own certificate, and its shutdown.

use std::{net::SocketAddr, ops::ControlFlow, sync::Arc, time::Duration};

use peral_model::NetworkId;
use peral_runtime::{
    Backoff, SharedClock, Shutdown,
    admin::{Check, Checks, serve_admin},
    serve::{Listener, ServeConfig, serve},
    tls::{Alpn, CertStore, ClientAuth, server_config},
    work,
};
use peral_wire::{Failure, fail};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    certificate::Certificate,
    config::Config,
    database::{create_data_folder, open_store},
    http,
    keys::Keys,
    secret::secret_line,
    service::App,
    store::{SharedStore, StoreError},
    worker::Worker,
};

/// First and longest pause between two attempts to reach the database.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The central server: its ports are bound, but it does not run yet.
pub struct Central {
    config: Config,
    clock: SharedClock,
    metrics: prometheus::Registry,
    listener: Listener,
    admin: Listener,
}

impl Central {
    /// Binds central's ports. The admin listener exposes `metrics`.
    ///
    /// # Errors
    /// UNAVAILABLE, when a port is taken.
    pub fn bind(
        config: Config,
        clock: SharedClock,
        metrics: prometheus::Registry,
    ) -> Result<Self, Failure> {
        let bind = |what: &str, at: SocketAddr, flag: &str| {
            let taken = |error| {
                fail!(Unavailable, "the {what} {error}; choose another with {flag} IP:PORT")
            };
            Listener::bind(at.ip(), at.port()).map_err(taken)
        };
        let listener = bind("listener for peers and commands", config.listen, "--listen")?;
        let admin =
            bind("admin listener (probes and metrics)", config.admin_listen, "--admin-listen")?;
        Ok(Self { config, clock, metrics, listener, admin })
    }

    /// Where the REST interface listens.
    pub fn addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// Where probes and metrics are served.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin.local_addr()
    }

    /// Runs until the shutdown is complete. Waits for the database as long as it takes, and is not
    /// ready until then.
    ///
    /// # Errors
    /// Unusable keys or certificates, a database of another network, an invalid bootstrap file.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Failure> {
        let checks = Checks::new();
        let ready = checks.register("database");
        let grace = self.config.limits.drain;
        tokio::spawn(serve_admin(self.admin, checks, self.metrics, shutdown.clone()));
        let serving =
            Serving { config: self.config, clock: self.clock, ready, shutdown: shutdown.clone() };
        let served = Box::pin(serving.run(self.listener)).await;
        shutdown.finish(grace).await;
        tracing::info!("stopped");
        served
    }
}

struct Serving {
    config: Config,
    clock: SharedClock,
    ready: Check,
    shutdown: Shutdown,
}

impl Serving {
    async fn run(self, listener: Listener) -> Result<(), Failure> {
        create_data_folder(&self.config)?;
        // Without keys the database comes first: it gives the network its id. With keys, central
        // listens at once and answers that the database is not available.
        let mut store = None;
        let keys = match Keys::known(&self.config)? {
            Some(keys) => keys,
            None => {
                let Some(opened) = self.database(None).await? else { return Ok(()) };
                let keys = Keys::open_or_create(
                    &self.config.keys(),
                    opened.network(),
                    self.clock.now_ms(),
                )?;
                store = Some(opened);
                keys
            }
        };
        let app = App::new(self.config.clone(), keys, self.clock.clone())?;
        let certificate = Certificate::new(&app)?;
        let (address, shutdown) = (listener.local_addr(), self.shutdown.clone());
        shutdown.spawn(serve(
            listener,
            self.limits(),
            Some(tls(certificate.store())),
            http::router(&app),
            shutdown.clone(),
        ));
        tracing::info!(%address, network = %app.keys.network, "listening");
        let store = match store {
            Some(store) => store,
            None => match self.database(Some(app.keys.network)).await? {
                Some(store) => store,
                None => return Ok(()),
            },
        };
        same_network(&app, &store)?;
        app.open(Arc::clone(&store));
        self.bootstrap(&app).await?;
        self.ready.ok();
        Worker { app, store, certificate, ready: self.ready }.run(&self.shutdown).await;
        Ok(())
    }

    fn limits(&self) -> ServeConfig {
        let limits = &self.config.limits;
        ServeConfig {
            max_connections: limits.connections,
            max_connections_per_ip: limits.connections_per_address,
            plaintext_on_loopback: true,
            ..ServeConfig::default()
        }
    }

    /// Waits for the database; gives nothing if central shuts down before.
    ///
    /// # Errors
    /// An invalid URL of the database.
    async fn database(&self, network: Option<NetworkId>) -> Result<Option<SharedStore>, Failure> {
        let attempt = || async {
            match open_store(&self.config, network).await {
                Ok(store) => ControlFlow::Break(Ok(store)),
                Err(error @ StoreError::Database(sqlx::Error::Configuration(_))) => {
                    ControlFlow::Break(Err(fail!(InvalidArgument, "{error}")))
                }
                Err(error) => {
                    self.ready.err(error.to_string());
                    ControlFlow::Continue(error)
                }
            }
        };
        let log = |error: &StoreError| tracing::warn!(reason = %error, "waiting for the database");
        let opened = work::retry(Backoff::new(FIRST_PAUSE, LONGEST_PAUSE), attempt, log);
        self.shutdown.draining().run_until_cancelled(opened).await.transpose()
    }

    /// Creates the first administrator from a file, if there is none.
    async fn bootstrap(&self, app: &App) -> Result<(), Failure> {
        let Some(path) = &self.config.bootstrap_file else { return Ok(()) };
        if app.store()?.has_administrator().await? {
            return Ok(());
        }
        let line = secret_line(path)?;
        let (name, password) = line.expose_secret().split_once(':').ok_or_else(|| {
            fail!(InvalidArgument, "{} does not contain NAME:PASSWORD", path.display())
        })?;
        app.create_first_administrator(name, &SecretString::from(password.to_owned()))
            .await
            .map(drop)
    }
}

fn tls(certificates: Arc<CertStore>) -> Arc<rustls::ServerConfig> {
    server_config(certificates, ClientAuth::None, Alpn::Http2AndHttp1)
}

fn same_network(app: &App, store: &SharedStore) -> Result<(), Failure> {
    let (ours, its) = (app.keys.network, store.network());
    if ours == its {
        return Ok(());
    }
    let keys = app.config.keys();
    Err(fail!(
        InvalidArgument,
        "the keys in {} belong to network {ours}, but the database belongs to network {its}: use \
         keys and a database of the same network",
        keys.display()
    ))
}
