//! A small client of the Kubernetes API server: reads and creates single objects, each call with a
//! deadline.

use std::{error::Error, time::Duration};

use k8s_openapi::NamespaceResourceScope;
use kube::{
    Client, Resource,
    api::{GetParams, PostParams, Request},
};
use peral_runtime::tls::install_provider;
use peral_wire::{Failure, fail};
use serde::{Serialize, de::DeserializeOwned};

/// Longest wait for one answer.
const CALL: Duration = Duration::from_secs(5);

/// An API server, and the namespace of central in it.
pub(crate) struct Cluster {
    client: Client,
    namespace: String,
    server: String,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterError {
    /// Trying again may help.
    #[error("the API server is unreachable or overloaded: {0}")]
    Away(String),
    /// The API server refused; trying again does not help.
    #[error("the API server refused the request ({status}): {message}")]
    Refused { status: u16, message: String },
}

impl ClusterError {
    pub fn is(&self, wanted: u16) -> bool {
        matches!(self, Self::Refused { status, .. } if *status == wanted)
    }
}

impl Cluster {
    /// Calls nothing yet. Needs a Tokio runtime.
    ///
    /// # Errors
    /// INVALID_ARGUMENT, when the configuration cannot be used.
    pub fn new(mut config: kube::Config) -> Result<Self, Failure> {
        install_provider();
        let (server, namespace) =
            (config.cluster_url.to_string(), config.default_namespace.clone());
        (config.connect_timeout, config.read_timeout, config.write_timeout) =
            (Some(CALL), Some(CALL), Some(CALL));
        let client = Client::try_from(config).map_err(|error| {
            fail!(
                InvalidArgument,
                "cannot call the Kubernetes API server at {server}: {}",
                chain(&error)
            )
        })?;
        Ok(Self { client, namespace, server })
    }

    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    pub fn server(&self) -> &str {
        &self.server
    }

    /// An object of central's namespace.
    pub async fn get<T>(&self, name: &str) -> Result<T, ClusterError>
    where
        T: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned,
    {
        self.read(&T::url_path(&(), Some(&self.namespace)), name).await
    }

    /// An object of the whole cluster.
    pub async fn get_global<T: Resource<DynamicType = ()> + DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<T, ClusterError> {
        self.read(&T::url_path(&(), None), name).await
    }

    /// Creates an object in central's namespace; false if it exists already.
    pub async fn create<T>(&self, object: &T) -> Result<bool, ClusterError>
    where
        T: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Serialize,
    {
        match self.post(&T::url_path(&(), Some(&self.namespace)), object).await {
            Ok(_) => Ok(true),
            Err(error) if error.is(409) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Asks a question in the form of an object of the whole cluster, such as a TokenReview; gives
    /// the same object with its answer.
    pub async fn ask<T: Resource<DynamicType = ()> + Serialize + DeserializeOwned>(
        &self,
        question: &T,
    ) -> Result<T, ClusterError> {
        parse(&self.post(&T::url_path(&(), None), question).await?)
    }

    async fn read<T: DeserializeOwned>(&self, path: &str, name: &str) -> Result<T, ClusterError> {
        parse(&self.call(Request::new(path).get(name, &GetParams::default())).await?)
    }

    async fn post(
        &self,
        path: &str,
        object: &(impl Serialize + ?Sized),
    ) -> Result<String, ClusterError> {
        let body = serde_json::to_vec(object)
            .map_err(|error| ClusterError::Away(format!("cannot serialize the object: {error}")))?;
        self.call(Request::new(path).create(&PostParams::default(), body)).await
    }

    /// Not `kube::Api`: it logs answers that it cannot read, and these hold tokens and keys.
    async fn call(
        &self,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<String, ClusterError> {
        let request = request.map_err(|error| {
            ClusterError::Away(format!("cannot build the request: {}", chain(&error)))
        })?;
        match tokio::time::timeout(CALL, self.client.request_text(request)).await {
            Ok(Ok(text)) => Ok(text),
            Ok(Err(kube::Error::Api(status)))
                if (400..500).contains(&status.code) && status.code != 429 =>
            {
                Err(ClusterError::Refused { status: status.code, message: status.message.clone() })
            }
            Ok(Err(error)) => Err(ClusterError::Away(chain(&error))),
            Err(_) => Err(ClusterError::Away(format!("no answer within {} s", CALL.as_secs()))),
        }
    }
}

/// Reads an answer. The error does not repeat its content, which may be secret.
fn parse<T: DeserializeOwned>(text: &str) -> Result<T, ClusterError> {
    serde_json::from_str(text).map_err(|error| {
        let (what, line, column) = (error.classify(), error.line(), error.column());
        ClusterError::Away(format!(
            "cannot read its answer: {what:?} error at line {line}, column {column}"
        ))
    })
}

/// An error with its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        next = error.source();
    }
    text
}
