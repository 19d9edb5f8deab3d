//! The API server of Kubernetes, as far as central needs it: single objects, read and made, each
//! call with a deadline.

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

/// An API server, and who central is there.
pub(crate) struct Cluster {
    client: Client,
    namespace: String,
    server: String,
}

/// Why a call gave nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// It may be there later.
    #[error("the API server is away or too busy: {0}")]
    Away(String),
    /// It says no.
    #[error("the API server refuses ({status}): {message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its words.
        message: String,
    },
}

impl Trouble {
    pub fn is(&self, wanted: u16) -> bool {
        matches!(self, Self::Refused { status, .. } if *status == wanted)
    }
}

impl Cluster {
    /// Nothing is called yet. Needs a Tokio runtime.
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
                "the API server of Kubernetes at {server} cannot be called: {}",
                chain(&error)
            )
        })?;
        Ok(Self { client, namespace, server })
    }

    /// Central's own namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Where the API server is.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// An object of central's namespace.
    pub async fn get<T>(&self, name: &str) -> Result<T, Trouble>
    where
        T: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned,
    {
        self.read(&T::url_path(&(), Some(&self.namespace)), name).await
    }

    /// An object of the whole cluster.
    pub async fn get_global<T: Resource<DynamicType = ()> + DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<T, Trouble> {
        self.read(&T::url_path(&(), None), name).await
    }

    /// Makes an object in central's namespace; false where it is there already.
    pub async fn make<T>(&self, object: &T) -> Result<bool, Trouble>
    where
        T: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Serialize,
    {
        match self.post(&T::url_path(&(), Some(&self.namespace)), object).await {
            Ok(_) => Ok(true),
            Err(trouble) if trouble.is(409) => Ok(false),
            Err(trouble) => Err(trouble),
        }
    }

    /// Puts a question that is an object of the whole cluster; gives the same object with its
    /// answer.
    pub async fn ask<T: Resource<DynamicType = ()> + Serialize + DeserializeOwned>(
        &self,
        question: &T,
    ) -> Result<T, Trouble> {
        parse(&self.post(&T::url_path(&(), None), question).await?)
    }

    async fn read<T: DeserializeOwned>(&self, path: &str, name: &str) -> Result<T, Trouble> {
        parse(&self.call(Request::new(path).get(name, &GetParams::default())).await?)
    }

    async fn post(
        &self,
        path: &str,
        object: &(impl Serialize + ?Sized),
    ) -> Result<String, Trouble> {
        let body = serde_json::to_vec(object)
            .map_err(|error| Trouble::Away(format!("the object cannot be written: {error}")))?;
        self.call(Request::new(path).create(&PostParams::default(), body)).await
    }

    /// Not `kube::Api`: it logs answers that it cannot read, and these hold tokens and keys.
    async fn call(
        &self,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<String, Trouble> {
        let request = request.map_err(|error| {
            Trouble::Away(format!("the request cannot be made: {}", chain(&error)))
        })?;
        match tokio::time::timeout(CALL, self.client.request_text(request)).await {
            Ok(Ok(text)) => Ok(text),
            Ok(Err(kube::Error::Api(status)))
                if (400..500).contains(&status.code) && status.code != 429 =>
            {
                Err(Trouble::Refused { status: status.code, message: status.message.clone() })
            }
            Ok(Err(error)) => Err(Trouble::Away(chain(&error))),
            Err(_) => Err(Trouble::Away(format!("no answer within {} s", CALL.as_secs()))),
        }
    }
}

/// Reads an answer. What it holds is not repeated where it cannot be read.
fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Trouble> {
    serde_json::from_str(text).map_err(|error| {
        let (what, line, column) = (error.classify(), error.line(), error.column());
        Trouble::Away(format!(
            "its answer cannot be read: {what:?} at line {line}, column {column}"
        ))
    })
}

/// An error with all that caused it.
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
