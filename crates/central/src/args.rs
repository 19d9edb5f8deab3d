//! Arguments of `peral central`.

mod init;
mod limits;
mod place;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use peral_wire::{Failure, fail};

use self::{init::InitArgs, limits::LoadArgs, place::PlaceArgs};
use crate::{
    config::{Config, GivenTls, Kubernetes},
    provision::KeysArgs,
    service::account_name,
};

/// Run the central server.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct CentralArgs {
    /// Subcommand; without one, central runs.
    #[command(subcommand)]
    pub command: Option<CentralCommand>,
    /// Arguments without a subcommand.
    #[command(flatten)]
    pub run: RunArgs,
}

/// Subcommands of `peral central`.
#[derive(Debug, Subcommand)]
pub enum CentralCommand {
    /// Run the central server (the default).
    Run(Box<RunArgs>),
    /// Create the keys, the database and the first administrator, once.
    Init(InitArgs),
    /// Print the fingerprint of the network's authority.
    Fingerprint(PlaceArgs),
    /// Create the keys and passwords of a network as Kubernetes Secrets, unless they exist.
    Keys(KeysArgs),
}

/// Arguments of `peral central run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Folder and database.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Address on which users and peers reach central; port 0 chooses a free port
    #[arg(
        long,
        env = "PERAL_CENTRAL_LISTEN",
        value_name = "IP:PORT",
        default_value = "0.0.0.0:7070"
    )]
    pub listen: SocketAddr,
    /// Address of probes and metrics, in plaintext; port 0 chooses a free port
    #[arg(
        long,
        env = "PERAL_CENTRAL_ADMIN_LISTEN",
        value_name = "IP:PORT",
        default_value = "0.0.0.0:7079"
    )]
    pub admin_listen: SocketAddr,
    /// Write central's URL to this file once it is ready
    #[arg(long, env = "PERAL_CENTRAL_ADDRESS_FILE", value_name = "FILE")]
    pub address_file: Option<PathBuf>,
    /// DNS names and IP addresses in central's certificate, for browsers
    #[arg(long = "name", env = "PERAL_CENTRAL_NAMES", value_name = "NAME", value_delimiter = ',')]
    pub names: Vec<String>,
    /// Certificate chain (PEM) to use instead of a certificate of central's own authority
    #[arg(long, env = "PERAL_CENTRAL_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of that certificate (PEM)
    #[arg(long, env = "PERAL_CENTRAL_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Let peers register loopback addresses, because all of them run on this machine
    #[arg(long, env = "PERAL_CENTRAL_ALLOW_LOOPBACK_PEERS")]
    pub allow_loopback_peers: bool,
    /// Days that a login is valid
    #[arg(
        long, env = "PERAL_CENTRAL_SESSION_DAYS", value_name = "DAYS", default_value_t = 30,
        value_parser = clap::value_parser!(u16).range(1..=366)
    )]
    pub session_days: u16,
    /// File with NAME:PASSWORD of the first administrator, used only while none exists
    #[arg(long, env = "PERAL_CENTRAL_BOOTSTRAP_FILE", value_name = "FILE")]
    pub bootstrap_file: Option<PathBuf>,
    /// Peers that are pods.
    #[command(flatten)]
    pub kubernetes: KubernetesArgs,
    /// Limits.
    #[command(flatten)]
    pub limits: LoadArgs,
}

/// Peers that are pods of central's own namespace.
#[derive(Debug, Args)]
pub struct KubernetesArgs {
    /// Let pods of central's namespace join as peers with their service account tokens for this
    /// audience
    #[arg(
        long,
        env = "PERAL_CENTRAL_KUBERNETES_AUDIENCE",
        value_name = "AUDIENCE",
        requires = "kubernetes_service_account"
    )]
    pub kubernetes_audience: Option<String>,
    /// Service account of those pods
    #[arg(
        long,
        env = "PERAL_CENTRAL_KUBERNETES_SERVICE_ACCOUNT",
        value_name = "NAME",
        requires = "kubernetes_audience"
    )]
    pub kubernetes_service_account: Option<String>,
    /// Account for which those peers act; created without a password if it does not exist
    #[arg(
        long,
        env = "PERAL_CENTRAL_KUBERNETES_ACCOUNT",
        value_name = "NAME",
        default_value = "peers"
    )]
    pub kubernetes_account: String,
}

impl RunArgs {
    /// The configuration that these arguments describe.
    ///
    /// # Errors
    /// Those of a data folder or a database that cannot be used.
    pub fn config(self) -> Result<Config, Failure> {
        let place = self.place.config()?;
        Ok(Config {
            listen: self.listen,
            admin_listen: self.admin_listen,
            names: self.names,
            tls: self
                .tls_cert
                .zip(self.tls_key)
                .map(|(certificate, key)| GivenTls { certificate, key }),
            allow_loopback_peers: self.allow_loopback_peers,
            session: Duration::from_hours(24 * u64::from(self.session_days)),
            bootstrap_file: self.bootstrap_file,
            kubernetes: self.kubernetes.config()?,
            limits: self.limits.limits(),
            ..place
        })
    }
}

impl KubernetesArgs {
    /// # Errors
    /// INVALID_ARGUMENT: central does not run in a pod, or its pod has no service account token.
    fn config(self) -> Result<Option<Kubernetes>, Failure> {
        let Some((audience, service_account)) =
            self.kubernetes_audience.zip(self.kubernetes_service_account)
        else {
            return Ok(None);
        };
        let account = account_name(&self.kubernetes_account).map(|()| self.kubernetes_account)?;
        let outside = |error| {
            fail!(
                InvalidArgument,
                "--kubernetes-audience works only in a pod with a service account token \
                 (automountServiceAccountToken): {error}; omit it if peers join with join tokens"
            )
        };
        let cluster = kube::Config::incluster()
            .map_err(|error: kube::config::InClusterError| outside(error))?;
        Ok(Some(Kubernetes { cluster: Box::new(cluster), audience, service_account, account }))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct TestArgs {
        #[command(flatten)]
        central: CentralArgs,
    }

    fn parse(text: &str) -> Result<CentralArgs, clap::Error> {
        TestArgs::try_parse_from(text.split_whitespace()).map(|line| line.central)
    }

    #[test]
    fn running_is_the_default_and_can_be_said() {
        for text in [
            "central --data /d --listen 127.0.0.1:0 --name a,b --name c",
            "central run --data /d --listen 127.0.0.1:0 --name a,b,c",
        ] {
            let args = parse(text).unwrap();
            let run = match args.command {
                Some(CentralCommand::Run(run)) => *run,
                None => args.run,
                other => panic!("{other:?}"),
            };
            let config = run.config().unwrap();
            assert_eq!(
                (config.data, config.listen.port(), config.names),
                (PathBuf::from("/d"), 0, vec!["a".to_owned(), "b".into(), "c".into()])
            );
        }
    }

    #[test]
    fn half_a_certificate_and_two_databases_are_refused() {
        for text in [
            "central --tls-cert a",
            "central --tls-key a",
            "central --database-url a --database-url-file b",
            "central init",
            "central --session-days 0",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn pods_join_only_where_central_is_a_pod_itself() {
        for text in ["central --kubernetes-audience a", "central --kubernetes-service-account a"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse("central --data /d").unwrap().run.config().unwrap().kubernetes.is_none());
        let asked = "central --data /d --kubernetes-audience peral.default.peral \
            --kubernetes-service-account peral-peer";
        let failure = parse(asked).unwrap().run.config().unwrap_err();
        assert!(
            failure.detail.contains("--kubernetes-audience")
                && failure.detail.contains("service account"),
            "{failure}"
        );
        let odd =
            parse(&format!("{asked} --kubernetes-account Ä")).unwrap().run.config().unwrap_err();
        assert!(odd.detail.contains("is not a valid name"), "{odd}");
    }

    #[test]
    fn secrets_come_from_files_and_are_not_printed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("url");
        std::fs::write(&file, "postgres://u:secret@h/d\n").unwrap();
        let args =
            parse(&format!("central --data /d --database-url-file {}", file.display())).unwrap();
        let config = args.run.config().unwrap();
        assert!(!format!("{config:?}").contains("secret"));
        assert_eq!(
            secrecy::ExposeSecret::expose_secret(&config.database()),
            "postgres://u:secret@h/d"
        );
    }
}
