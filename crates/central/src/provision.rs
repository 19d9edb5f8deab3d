//! `central keys`: the keys and passwords of a network as Secrets of Kubernetes, each made only
//! where it is missing, and none ever shown.

mod objects;

use std::{
    fmt,
    time::{Duration, Instant},
};

use clap::Args;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Resource;
use peral_model::NetworkId;
use peral_runtime::SharedClock;
use peral_wire::{Failure, fail};
use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::{
    cluster::{Cluster, Trouble},
    keys::{self, CA},
    service::account_name,
};

/// How long an API server that is away is waited for.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// For how much of that time it may say that this is not allowed: a role takes a moment until it
/// counts everywhere.
const FORBIDDEN: u32 = 8;
/// First and longest pause between two tries.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// Arguments of `central keys`.
#[derive(Debug, Clone, Args)]
pub struct KeysArgs {
    /// Secret with central's keys
    #[arg(long, value_name = "NAME", value_parser = objects::object_name)]
    pub keys_secret: String,
    /// That Secret is somebody else's: it must be there, and is never made
    #[arg(long)]
    pub keys_given: bool,
    /// ConfigMap with the certificate of central's authority, which peers and commands are given
    #[arg(long, value_name = "NAME", value_parser = objects::object_name)]
    pub ca_config_map: String,
    /// Secret with name and password of the first administrator
    #[arg(long, value_name = "NAME", value_parser = objects::object_name)]
    pub administrator_secret: Option<String>,
    /// Name of the first administrator
    #[arg(long, value_name = "NAME", default_value = "admin")]
    pub administrator: String,
    /// Secret with name, password and URL of a database
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
    /// Label for what is made; can be given more than once
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = objects::label)]
    pub labels: Vec<(String, String)>,
}

/// What there is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Provisioned {
    /// Namespace of all of it.
    pub namespace: String,
    /// One after the other.
    pub items: Vec<Provided>,
}

/// An object that is there now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Provided {
    /// Secret or ConfigMap.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// What was done for it.
    pub outcome: Outcome,
}

/// What was done for an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was missing.
    Made,
    /// It was there.
    Kept,
}

impl fmt::Display for Provisioned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |item: &Provided| {
            let outcome = if item.outcome == Outcome::Made { "made" } else { "kept" };
            format!("{outcome}  {:<9}  {}", item.kind, item.name)
        };
        f.write_str(&self.items.iter().map(line).collect::<Vec<_>>().join("\n"))
    }
}

/// Makes what is missing, in the cluster that `KUBECONFIG` names or that this process is a pod of.
///
/// # Errors
/// As [`provision`]; INVALID_ARGUMENT, when there is no cluster.
pub async fn make_keys(args: &KeysArgs, clock: &SharedClock) -> Result<Provisioned, Failure> {
    let cluster = kube::Config::infer().await;
    let cluster = cluster.map_err(|error| {
        fail!(
            InvalidArgument,
            "there is no cluster to make keys in: {error}; run it in a pod, or set KUBECONFIG"
        )
    })?;
    provision(cluster, args, clock, PATIENCE).await
}

/// Makes what is missing, keys first; waits for an API server that is away. To be run again after a
/// failure.
///
/// # Errors
/// UNAVAILABLE: the API server stayed away. FORBIDDEN: this may not be done there. ALREADY_EXISTS:
/// what is there is not whole, or does not fit.
pub async fn provision(
    cluster: kube::Config,
    args: &KeysArgs,
    clock: &SharedClock,
    patience: Duration,
) -> Result<Provisioned, Failure> {
    account_name(&args.administrator)?;
    let cluster = Cluster::new(cluster)?;
    let mut work = Work { cluster, args, began: Instant::now(), patience, items: vec![] };
    let ca = work.keys(clock.now_ms()).await?;
    work.certificate(&ca).await?;
    if let Some(name) = &args.administrator_secret {
        let secret =
            objects::secret(name, &args.labels, objects::administrator(&args.administrator)?);
        work.make("Secret", name, &secret).await?;
    }
    if let Some((name, host)) = args.database_secret.as_ref().zip(args.database_host.as_ref()) {
        let secret = objects::secret(name, &args.labels, objects::database(host));
        work.make("Secret", name, &secret).await?;
    }
    Ok(Provisioned { namespace: work.cluster.namespace().to_owned(), items: work.items })
}

struct Work<'a> {
    cluster: Cluster,
    args: &'a KeysArgs,
    began: Instant,
    patience: Duration,
    items: Vec<Provided>,
}

impl Work<'_> {
    /// The Secret of the keys; gives the authority's certificate, of the one that was there if it
    /// was.
    async fn keys(&mut self, now_ms: i64) -> Result<Zeroizing<String>, Failure> {
        let name = &self.args.keys_secret;
        if self.args.keys_given {
            return self.kept_keys(name).await;
        }
        self.begins_or_goes_on(name).await?;
        let files = keys::generate(NetworkId(uuid::Uuid::new_v4()), now_ms)?;
        let ca = files.iter().find(|(file, _)| *file == CA).map(|(_, text)| text.clone());
        let secret = objects::secret(name, &self.args.labels, files.into());
        if self.make("Secret", name, &secret).await? == Outcome::Made {
            return ca.ok_or_else(|| fail!(Internal, "no certificate was made"));
        }
        self.kept_keys(name).await
    }

    /// New keys are for a network that begins: where its certificate is published, its keys were
    /// there once, and others would be of no use to its database and its peers. The keys are made
    /// before the ConfigMap, and so looked for after it.
    async fn begins_or_goes_on(&self, keys: &str) -> Result<(), Failure> {
        let ca = &self.args.ca_config_map;
        if !self.is_there::<ConfigMap>(ca).await? || self.is_there::<Secret>(keys).await? {
            return Ok(());
        }
        Err(fail!(
            AlreadyExists,
            "the ConfigMap {ca} is there, and the Secret {keys} with the keys of its certificate \
             is not: put your copy of the Secret back, and              run this again; or delete \
             the ConfigMap too, central's database and the volumes of the peers, and a new \
             network begins"
        ))
    }

    async fn is_there<T>(&self, name: &str) -> Result<bool, Failure>
    where
        T: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + DeserializeOwned,
    {
        let found = async || match self.cluster.get::<T>(name).await {
            Err(trouble) if trouble.is(404) => Ok(false),
            found => found.map(|_| true),
        };
        self.insist(name, found).await
    }

    /// The authority's certificate in the Secret of the keys, which must be there.
    async fn kept_keys(&mut self, name: &str) -> Result<Zeroizing<String>, Failure> {
        let kept: Secret = self.insist(name, async || self.cluster.get(name).await).await?;
        let ca = objects::whole(name, &kept).map(Zeroizing::new)?;
        if self.args.keys_given {
            self.items.push(Provided {
                kind: "Secret",
                name: name.to_owned(),
                outcome: Outcome::Kept,
            });
        }
        Ok(ca)
    }

    /// The ConfigMap of the authority's certificate; one that is there must have it.
    async fn certificate(&mut self, ca: &str) -> Result<(), Failure> {
        let name = &self.args.ca_config_map;
        let made =
            self.make("ConfigMap", name, &objects::config_map(name, &self.args.labels, ca)).await?;
        if made == Outcome::Kept {
            let kept: ConfigMap = self.insist(name, async || self.cluster.get(name).await).await?;
            let shown = kept.data.and_then(|mut data| data.remove(CA)).unwrap_or_default();
            if !objects::holds(&shown, ca) {
                let keys = &self.args.keys_secret;
                return Err(fail!(
                    AlreadyExists,
                    "the ConfigMap {name} has another certificate than the Secret {keys}: nobody \
                     who believes it could reach central; \
                     delete the ConfigMap, or put the right Secret back, and run this again"
                ));
            }
        }
        Ok(())
    }

    /// Makes an object unless it is there.
    async fn make<T>(
        &mut self,
        kind: &'static str,
        name: &str,
        object: &T,
    ) -> Result<Outcome, Failure>
    where
        T: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope> + Serialize,
    {
        let made = self.insist(name, async || self.cluster.make(object).await).await?;
        let outcome = if made { Outcome::Made } else { Outcome::Kept };
        tracing::info!(kind, name, ?outcome, "looked after");
        self.items.push(Provided { kind, name: name.to_owned(), outcome });
        Ok(outcome)
    }

    /// Calls until there is an answer that waiting does not change.
    async fn insist<T>(
        &self,
        name: &str,
        call: impl AsyncFn() -> Result<T, Trouble>,
    ) -> Result<T, Failure> {
        let mut pause = PAUSES.0;
        loop {
            let trouble = match call().await {
                Ok(done) => return Ok(done),
                Err(trouble) => trouble,
            };
            let patience = match &trouble {
                Trouble::Away(_) => self.patience,
                trouble if trouble.is(403) => self.patience / FORBIDDEN,
                Trouble::Refused { .. } => Duration::ZERO,
            };
            if self.began.elapsed() + pause > patience {
                return Err(self.gave_up(name, &trouble));
            }
            tracing::warn!(reason = %trouble, name, "trying again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    fn gave_up(&self, name: &str, trouble: &Trouble) -> Failure {
        let (server, namespace) = (self.cluster.server(), self.cluster.namespace());
        match trouble {
            Trouble::Away(_) => fail!(
                Unavailable,
                "{name} in the namespace {namespace} cannot be made at {server}: {trouble}; run \
                 this again later"
            ),
            Trouble::Refused { status: 401 | 403, .. } => fail!(
                Forbidden,
                "{name} in the namespace {namespace} cannot be made: {trouble}; the service \
                 account needs create, and get on these names, of secrets and configmaps"
            ),
            Trouble::Refused { status: 404, .. } => fail!(
                NotFound,
                "{name} is not in the namespace {namespace}, and is to be given: check its name, \
                 or put it there, and run this again; without \
                 --keys-given (in the chart: keys.existingSecret) the keys of a new network are \
                 made"
            ),
            Trouble::Refused { .. } => fail!(
                InvalidArgument,
                "{name} in the namespace {namespace} cannot be made: {trouble}"
            ),
        }
    }
}
