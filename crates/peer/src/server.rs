//! A peer as a process: its listeners, its parts, and its end.

use std::{net::SocketAddr, sync::Arc};

use axum::Router;
use peral_runtime::{
    SharedClock, Shutdown,
    admin::{Checks, serve_admin},
    propagate::{self, Kind, traced},
    serve::{Listener, ServeConfig, serve, serve_unix},
    tls::{Alpn, ClientAuth, server_config},
    work,
};
use peral_transfer::{
    dial::{Dialer, OutboundPolicy},
    limits::Limits,
    metrics::Metrics,
    trust::Network,
};
use peral_wire::{
    Failure, fail,
    pb::{
        self, control_service_server::ControlServiceServer, peer_service_server::PeerServiceServer,
    },
};
use tonic::service::Routes;

use crate::{
    config::Config,
    control::{Control, Engine},
    grpc::PeerService,
    holdings,
    identity::PeerKey,
    index::Indexer,
    jobs::{Jobs, JobsDeps},
    library::{Library, apart},
    membership::{About, Advertise, Membership},
    publish,
    volume::{self, Opened},
};

/// How often abandoned uploads and stale records are cleaned up.
const TIDY: std::time::Duration = std::time::Duration::from_secs(3600);

/// A peer, bound and not running yet.
pub struct Peer {
    config: Config,
    clock: SharedClock,
    metrics: prometheus::Registry,
    /// Its volume, or why it cannot be used yet.
    volume: Result<Opened, Failure>,
    listener: Listener,
    admin: Listener,
}

/// The parts of a running peer.
struct Parts {
    library: Library,
    membership: Membership,
    control: Control,
    shutdown: Shutdown,
}

impl Peer {
    /// Opens what is in the data folder and shares what the configuration names, if that is possible
    /// yet, and binds the ports. The admin listener shows `metrics`.
    ///
    /// # Errors
    /// ALREADY_EXISTS when another process uses the data folder; INVALID_ARGUMENT or INVALID_NAME
    /// for shares that overlap or are invalid; UNAVAILABLE when a port is taken.
    pub async fn bind(
        config: Config,
        clock: SharedClock,
        metrics: prometheus::Registry,
    ) -> Result<Self, Failure> {
        config.shares.iter().try_for_each(|share| apart(&share.path, &config.data))?;
        let volume = match volume::open(&config, &clock).await {
            Err(failure) if volume::is_mistake(&failure) => return Err(failure),
            volume => volume,
        };
        let listener = Listener::bind(config.listen_address, config.ports).map_err(|error| {
            fail!(
                Unavailable,
                "the listener for other peers {error}; choose another with --listen-address \
                 IP and --port PORTS"
            )
        })?;
        let admin = Listener::bind(config.admin_listen.ip(), config.admin_listen.port()).map_err(
            |error| {
                fail!(
                    Unavailable,
                    "the admin listener (probes and metrics) {error}; choose another with \
                     --admin-listen IP:PORT"
                )
            },
        )?;
        Ok(Self { config, clock, metrics, volume, listener, admin })
    }

    /// Where other peers reach it.
    pub fn addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// Where probes and metrics are served.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin.local_addr()
    }

    /// Runs until the drain is over: the lease given up, transfers ended, logged out. Waits for a
    /// volume that cannot be used yet.
    ///
    /// # Errors
    /// What does not pass by waiting: shares that overlap, a control socket that cannot be created,
    /// a data folder of another network.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Failure> {
        let Self { config, clock, metrics, volume, listener, admin } = self;
        let checks = Checks::new();
        let (network, usable) = (checks.register("network"), checks.register("volume"));
        tokio::spawn(serve_admin(admin, checks, metrics, shutdown.clone()));
        let opened = match volume {
            Ok(opened) => Some(opened),
            Err(failure) => {
                volume::wait(&config, &clock, failure, &usable, shutdown.draining()).await?
            }
        };
        let Some(Opened { library, key }) = opened else {
            tracing::info!("stopped");
            return Ok(());
        };
        shutdown.spawn(volume::watch(library.clone(), usable, shutdown.draining().clone()));
        let membership = Membership::new(
            about(&config, &listener),
            key.clone(),
            library.clone(),
            clock.clone(),
            propagate::inject,
            network,
        );
        let control = Control::new(library.clone(), membership.clone());
        let parts = Parts { library, membership, control, shutdown: shutdown.clone() };
        let served = parts.serve(&config, &key, listener, &clock).await;
        let Parts { library, membership, .. } = parts;
        membership.leave().await;
        shutdown.finish(config.drain).await;
        membership.log_out().await;
        library.db().close().await;
        tracing::info!("stopped");
        served
    }
}

fn about(config: &Config, listener: &Listener) -> About {
    let ip = config.advertise_ip;
    let port = config.advertise_port;
    let listens = listener.local_addr();
    About {
        advertise: Advertise { ip, port: port.unwrap_or(listens.port()), listen: listens.ip() },
        label: config.label.clone(),
        node: config.node.clone(),
        zone: config.zone.clone(),
        join_token: config.join_token.clone(),
        pod_token: config.pod_token.clone(),
        first_contact: config.first_contact.clone(),
        heartbeat: config.heartbeat,
    }
}

impl Parts {
    /// Serves until the drain begins.
    async fn serve(
        &self,
        config: &Config,
        key: &PeerKey,
        listener: Listener,
        clock: &SharedClock,
    ) -> Result<(), Failure> {
        // The socket comes first: it says what the peer waits for.
        let control =
            Routes::new(ControlServiceServer::new(self.control.clone())).into_axum_router();
        let socket = self.library.data().socket();
        let bound = serve_unix(&socket, traced(control, Kind::Grpc), self.shutdown.clone()).await;
        bound.map_err(|error| fail!(Internal, "{error}"))?;
        let draining = self.shutdown.draining().clone();
        let address = listener.local_addr();
        tracing::info!(%address, data = %self.library.data().root().display(), central = config.central, "listening");
        let (control, until) = (self.control.clone(), draining.clone());
        self.shutdown.spawn(async move { control.measure(until).await });
        let Some(network) = self.membership.meet(&draining).await? else { return Ok(()) };
        let service = self.start_engine(config, key, &network, clock).await?;
        self.listen(config, key, &network, listener, &service)?;
        self.start_work(config, service, clock);
        draining.cancelled().await;
        Ok(())
    }

    /// Starts downloads and makes the service for other peers.
    async fn start_engine(
        &self,
        config: &Config,
        key: &PeerKey,
        network: &Network,
        clock: &SharedClock,
    ) -> Result<PeerService, Failure> {
        let dialer = Dialer::new(
            key.certs(),
            network.roots()?,
            OutboundPolicy { allow_loopback: config.allow_loopback },
        );
        let (limits, metrics) = (Limits::new(config.rates), Metrics::new());
        let jobs = Jobs::new(JobsDeps {
            library: self.library.clone(),
            dialer: dialer.clone(),
            limits: limits.clone(),
            metrics: metrics.clone(),
            clock: clock.clone(),
            shutdown: self.shutdown.clone(),
        });
        jobs.resume_all().await?;
        self.control.start(Engine { jobs, dialer });
        Ok(PeerService::new(self.library.clone(), limits, metrics))
    }

    fn listen(
        &self,
        config: &Config,
        key: &PeerKey,
        network: &Network,
        listener: Listener,
        service: &PeerService,
    ) -> Result<(), Failure> {
        let tls = server_config(key.certs(), ClientAuth::Required(network.roots()?), Alpn::Http2);
        let limits = ServeConfig { max_connections: config.max_connections, ..ServeConfig::peer() };
        let router = service.router().merge(more_services(config.reflection)?);
        self.shutdown.spawn(serve(
            listener,
            limits,
            Some(tls),
            traced(router, Kind::Grpc),
            self.shutdown.clone(),
        ));
        Ok(())
    }

    /// Starts the background work, until the drain.
    fn start_work(&self, config: &Config, service: PeerService, clock: &SharedClock) {
        let stop = self.shutdown.draining();
        let (library, membership) = (self.library.clone(), self.membership.clone());
        self.shutdown.spawn(publish::run(library.clone(), stop.clone()));
        self.shutdown.spawn(holdings::run(library.clone(), membership.compare(), stop.clone()));
        self.shutdown.spawn(Indexer::new(library.clone(), config.rescan).run(stop.clone()));
        let until = stop.clone();
        self.shutdown.spawn(async move { membership.run(&until).await });
        let (until, clock) = (stop.clone(), Arc::clone(clock));
        self.shutdown.spawn(async move {
            let tidy = || async {
                if let Err(failure) = service.sweep_uploads(clock.now_ms()).await {
                    tracing::warn!(reason = %failure, "could not clean up old uploads; will retry");
                }
                if let Err(failure) = library.tidy().await {
                    tracing::warn!(reason = %failure, "could not clean up old records; will retry");
                }
                TIDY
            };
            work::repeat(&until, tidy).await;
        });
    }
}

/// Health and, if enabled, reflection.
fn more_services(reflection: bool) -> Result<Router, Failure> {
    let (reporter, health) = tonic_health::server::health_reporter();
    tokio::spawn(async move { reporter.set_serving::<PeerServiceServer<PeerService>>().await });
    let mut routes = Routes::new(health);
    if reflection {
        let built = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(pb::DESCRIPTORS)
            .build_v1();
        routes = routes.add_service(
            built.map_err(|error| fail!(Internal, "cannot offer gRPC reflection: {error}"))?,
        );
    }
    // Only one of two merged routers may have a fallback.
    Ok(routes.into_axum_router().reset_fallback())
}
