//! `central keys`: creates the keys and passwords of a network as Kubernetes Secrets, unless they
//! exist, and never shows them.

mod objects;

use std::{
    fmt,
    ops::ControlFlow,
    time::{Duration, Instant},
};

use clap::Args;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Resource;
use peral_model::NetworkId;
use peral_runtime::{Backoff, SharedClock, work};
use peral_wire::{Failure, fail};
use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::{
    cluster::{Cluster, ClusterError},
    keys::{self, CA},
    service::account_name,
};

/// How long to wait for an API server that is not reachable.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// The part of that time in which it may answer that this is forbidden: a new role takes a moment
/// to take effect.
const FORBIDDEN: u32 = 8;
/// First and longest pause between two attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Arguments of `central keys`.
#[derive(Debug, Clone, Args)]
pub struct KeysArgs {
    /// Name of the Secret with central's keys
    #[arg(long, value_name = "NAME", value_parser = objects::object_name)]
    pub keys_secret: String,
    /// Use an existing Secret with keys, and never create it
    #[arg(long)]
    pub keys_given: bool,
    /// Name of the ConfigMap with the certificate of central's authority, for peers and commands
    #[arg(long, value_name = "NAME", value_parser = objects::object_name)]
    pub ca_config_map: String,
    /// Name of the Secret with the name and password of the first administrator
    #[arg(long, value_name = "NAME", value_parser = objects::object_name)]
    pub administrator_secret: Option<String>,
    /// Name of the first administrator
    #[arg(long, value_name = "NAME", default_value = "admin")]
    pub administrator: String,
    /// Name of the Secret with the user, password and URL of a database
    #[arg(
        long, value_name = "NAME", value_parser = objects::object_name, requires = "database_host"
    )]
    pub database_secret: Option<String>,
    /// Host of that database
    #[arg(
        long, value_name = "HOST", value_parser = objects::object_name,
        requires = "database_secret"
    )]
    pub database_host: Option<String>,
    /// Label of created objects; can be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = objects::label)]
    pub labels: Vec<(String, String)>,
}

/// The objects that exist now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Provisioned {
    /// Their namespace.
    pub namespace: String,
    /// The objects, in the order of their creation.
    pub items: Vec<ProvisionedObject>,
}

/// An object that exists now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProvisionedObject {
    /// Secret or ConfigMap.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// What was done.
    pub outcome: ObjectOutcome,
}

/// What was done for an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ObjectOutcome {
    /// It did not exist.
    #[serde(rename = "made")]
    Created,
    /// It existed, and was not changed.
    Kept,
}

impl fmt::Display for Provisioned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |item: &ProvisionedObject| {
            let outcome = if item.outcome == ObjectOutcome::Created { "made" } else { "kept" };
            format!("{outcome}  {:<9}  {}", item.kind, item.name)
        };
        f.write_str(&self.items.iter().map(line).collect::<Vec<_>>().join("\n"))
    }
}

/// Creates what is missing, in the cluster that `KUBECONFIG` names or in which this process is a
/// pod.
///
/// # Errors
/// As [`provision`]; INVALID_ARGUMENT: no cluster is configured.
pub async fn create_keys(args: &KeysArgs, clock: &SharedClock) -> Result<Provisioned, Failure> {
    let cluster = kube::Config::infer().await;
    let cluster = cluster.map_err(|error| {
        fail!(
            InvalidArgument,
            "no Kubernetes cluster is configured: {error}; run this in a pod, or set KUBECONFIG"
        )
    })?;
    provision(cluster, args, clock, PATIENCE).await
}

/// Creates what is missing, keys first; waits for an API server that is not reachable. Can be
/// repeated after a failure.
///
/// # Errors
/// UNAVAILABLE: the API server was not reachable. FORBIDDEN: the API server does not allow it.
/// ALREADY_EXISTS: an existing object is incomplete, or does not match.
pub async fn provision(
    cluster: kube::Config,
    args: &KeysArgs,
    clock: &SharedClock,
    patience: Duration,
) -> Result<Provisioned, Failure> {
    account_name(&args.administrator)?;
    let cluster = Cluster::new(cluster)?;
    let mut work = Provisioner { cluster, args, began: Instant::now(), patience, items: vec![] };
    let ca = work.keys(clock.now_ms()).await?;
    work.certificate(&ca).await?;
    if let Some(name) = &args.administrator_secret {
        let secret =
            objects::secret(name, &args.labels, objects::administrator(&args.administrator)?);
        work.create("Secret", name, &secret).await?;
    }
    if let Some((name, host)) = args.database_secret.as_ref().zip(args.database_host.as_ref()) {
        let secret = objects::secret(name, &args.labels, objects::database(host));
        work.create("Secret", name, &secret).await?;
    }
    Ok(Provisioned { namespace: work.cluster.namespace().to_owned(), items: work.items })
}

struct Provisioner<'a> {
    cluster: Cluster,
    args: &'a KeysArgs,
    began: Instant,
    patience: Duration,
    items: Vec<ProvisionedObject>,
}

impl Provisioner<'_> {
    /// Creates the Secret of the keys, unless it exists; gives the authority's certificate.
    async fn keys(&mut self, now_ms: i64) -> Result<Zeroizing<String>, Failure> {
        let name = &self.args.keys_secret;
        if self.args.keys_given {
            return self.kept_keys(name).await;
        }
        self.begins_or_goes_on(name).await?;
        let files = keys::generate(NetworkId(uuid::Uuid::new_v4()), now_ms)?;
        let ca = files.iter().find(|(file, _)| *file == CA).map(|(_, text)| text.clone());
        let secret = objects::secret(name, &self.args.labels, files.into());
        if self.create("Secret", name, &secret).await? == ObjectOutcome::Created {
            return ca.ok_or_else(|| fail!(Internal, "the new keys have no certificate"));
        }
        self.kept_keys(name).await
    }

    /// New keys are for a new network: if a certificate is already published, its keys have
    /// existed, and others would not fit the database and the peers. The keys are created before
    /// the ConfigMap, and therefore looked for after it.
    async fn begins_or_goes_on(&self, keys: &str) -> Result<(), Failure> {
        let ca = &self.args.ca_config_map;
        if !self.is_there::<ConfigMap>(ca).await? || self.is_there::<Secret>(keys).await? {
            return Ok(());
        }
        Err(fail!(
            AlreadyExists,
            "the ConfigMap {ca} exists, but the Secret {keys} with the keys of its certificate \
             does not: restore the Secret from your copy and run this again; or, for a new \
             network, also delete the ConfigMap, central's database and the volumes of the peers"
        ))
    }

    async fn is_there<T>(&self, name: &str) -> Result<bool, Failure>
    where
        T: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + DeserializeOwned,
    {
        let found = async || match self.cluster.get::<T>(name).await {
            Err(error) if error.is(404) => Ok(false),
            found => found.map(|_| true),
        };
        self.insist(name, found).await
    }

    /// The authority's certificate from the existing Secret of the keys.
    async fn kept_keys(&mut self, name: &str) -> Result<Zeroizing<String>, Failure> {
        let kept: Secret = self.insist(name, async || self.cluster.get(name).await).await?;
        let ca = objects::whole(name, &kept).map(Zeroizing::new)?;
        if self.args.keys_given {
            self.items.push(ProvisionedObject {
                kind: "Secret",
                name: name.to_owned(),
                outcome: ObjectOutcome::Kept,
            });
        }
        Ok(ca)
    }

    /// Creates the ConfigMap of the authority's certificate; an existing one must have the same.
    async fn certificate(&mut self, ca: &str) -> Result<(), Failure> {
        let name = &self.args.ca_config_map;
        let made = self
            .create("ConfigMap", name, &objects::config_map(name, &self.args.labels, ca))
            .await?;
        if made == ObjectOutcome::Kept {
            let kept: ConfigMap = self.insist(name, async || self.cluster.get(name).await).await?;
            let shown = kept.data.and_then(|mut data| data.remove(CA)).unwrap_or_default();
            if !objects::holds(&shown, ca) {
                let keys = &self.args.keys_secret;
                return Err(fail!(
                    AlreadyExists,
                    "the ConfigMap {name} has another certificate than the Secret {keys}, so that \
                     peers and commands would not trust central; delete the ConfigMap, or \
                     restore the right Secret, and run this again"
                ));
            }
        }
        Ok(())
    }

    /// Creates an object unless it exists.
    async fn create<T>(
        &mut self,
        kind: &'static str,
        name: &str,
        object: &T,
    ) -> Result<ObjectOutcome, Failure>
    where
        T: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope> + Serialize,
    {
        let made = self.insist(name, async || self.cluster.create(object).await).await?;
        let outcome = if made { ObjectOutcome::Created } else { ObjectOutcome::Kept };
        tracing::info!(kind, name, ?outcome, "provisioned");
        self.items.push(ProvisionedObject { kind, name: name.to_owned(), outcome });
        Ok(outcome)
    }

    /// Calls until an answer comes that waiting does not change.
    async fn insist<T>(
        &self,
        name: &str,
        call: impl AsyncFn() -> Result<T, ClusterError>,
    ) -> Result<T, Failure> {
        let attempt = || async {
            let error = match call().await {
                Ok(done) => return ControlFlow::Break(Ok(done)),
                Err(error) => error,
            };
            let patience = match &error {
                ClusterError::Away(_) => self.patience,
                error if error.is(403) => self.patience / FORBIDDEN,
                ClusterError::Refused { .. } => Duration::ZERO,
            };
            if self.began.elapsed() < patience {
                ControlFlow::Continue(error)
            } else {
                ControlFlow::Break(Err(self.gave_up(name, &error)))
            }
        };
        let log = |error: &ClusterError| {
            tracing::warn!(reason = %error, name, "the API server did not do it; retrying");
        };
        work::retry(Backoff::new(FIRST_PAUSE, LONGEST_PAUSE), attempt, log).await
    }

    fn gave_up(&self, name: &str, error: &ClusterError) -> Failure {
        let (server, namespace) = (self.cluster.server(), self.cluster.namespace());
        match error {
            ClusterError::Away(_) => fail!(
                Unavailable,
                "cannot create {name} in the namespace {namespace} at {server}: {error}; run this \
                 again later"
            ),
            ClusterError::Refused { status: 401 | 403, .. } => fail!(
                Forbidden,
                "cannot create {name} in the namespace {namespace}: {error}; allow the service \
                 account to create secrets and configmaps, and to get those of these names"
            ),
            ClusterError::Refused { status: 404, .. } => fail!(
                NotFound,
                "{name} does not exist in the namespace {namespace}: check its name or create it, \
                 and run this again; without --keys-given (in the chart: keys.existingSecret) \
                 central creates the keys of a new network"
            ),
            ClusterError::Refused { .. } => {
                fail!(InvalidArgument, "cannot create {name} in the namespace {namespace}: {error}")
            }
        }
    }
}
