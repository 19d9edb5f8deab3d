//! Arguments of `peral central`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use etcetera::BaseStrategy;
use peral_wire::{Failure, fail};
use secrecy::SecretString;

use crate::{
    config::{Config, GivenTls, Kubernetes, Limits},
    provision::KeysArgs,
    secret::{first_line, secret_line},
    service::account_name,
};

/// Run the central server.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct CentralArgs {
    /// What to do; without it, run.
    #[command(subcommand)]
    pub command: Option<CentralCommand>,
    /// Arguments of running.
    #[command(flatten)]
    pub run: RunArgs,
}

/// What `peral central` can do.
#[derive(Debug, Subcommand)]
pub enum CentralCommand {
    /// Run the central server (the default).
    Run(Box<RunArgs>),
    /// Make the keys, the database and the first administrator, once.
    Init(InitArgs),
    /// Print the fingerprint of the network's authority.
    Fingerprint(PlaceArgs),
    /// Make the keys and passwords of a network as Secrets of Kubernetes, each only where it is
    /// missing.
    Keys(KeysArgs),
}

/// Where central keeps what it has.
#[derive(Debug, Clone, Default, Args)]
pub struct PlaceArgs {
    /// Folder of central: its keys, and the SQLite file [default: the user's data folder,
    /// peral/central]
    #[arg(long, env = "PERAL_CENTRAL_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Folder of keys that somebody else made, such as a mounted Secret [default: keys, made by
    /// central in its folder]
    #[arg(long, env = "PERAL_CENTRAL_KEYS", value_name = "DIR")]
    pub keys: Option<PathBuf>,
    /// Database: postgres://… or sqlite://… [default: central.db in the folder of central]
    #[arg(long, env = "PERAL_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<SecretString>,
    /// File that holds the URL of the database
    #[arg(
        long,
        env = "PERAL_DATABASE_URL_FILE",
        value_name = "FILE",
        conflicts_with = "database_url"
    )]
    pub database_url_file: Option<PathBuf>,
}

/// Arguments of running.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Folder and database.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Where users and peers reach it; port 0 takes a free one
    #[arg(
        long,
        env = "PERAL_CENTRAL_LISTEN",
        value_name = "IP:PORT",
        default_value = "0.0.0.0:7070"
    )]
    pub listen: SocketAddr,
    /// Where probes and metrics are served, in plaintext
    #[arg(
        long,
        env = "PERAL_CENTRAL_ADMIN_LISTEN",
        value_name = "IP:PORT",
        default_value = "0.0.0.0:7079"
    )]
    pub admin_listen: SocketAddr,
    /// Write the URL under which it listens to this file, once it is ready
    #[arg(long, env = "PERAL_CENTRAL_ADDRESS_FILE", value_name = "FILE")]
    pub address_file: Option<PathBuf>,
    /// DNS names and IP addresses in its certificate, for browsers
    #[arg(long = "name", env = "PERAL_CENTRAL_NAMES", value_name = "NAME", value_delimiter = ',')]
    pub names: Vec<String>,
    /// A certificate chain (PEM) to show in place of one of its own authority
    #[arg(long, env = "PERAL_CENTRAL_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The private key of that certificate (PEM)
    #[arg(long, env = "PERAL_CENTRAL_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Let peers register loopback addresses: all of them run on this machine
    #[arg(long, env = "PERAL_CENTRAL_ALLOW_LOOPBACK_PEERS")]
    pub allow_loopback_peers: bool,
    /// Days that a login lasts
    #[arg(
        long, env = "PERAL_CENTRAL_SESSION_DAYS", value_name = "DAYS", default_value_t = 30,
        value_parser = clap::value_parser!(u16).range(1..=366)
    )]
    pub session_days: u16,
    /// File with NAME:PASSWORD of the first administrator, used once when there is none
    #[arg(long, env = "PERAL_CENTRAL_BOOTSTRAP_FILE", value_name = "FILE")]
    pub bootstrap_file: Option<PathBuf>,
    /// Peers that are pods.
    #[command(flatten)]
    pub kubernetes: KubernetesArgs,
    /// How much it takes on.
    #[command(flatten)]
    pub limits: LimitArgs,
}

/// Peers that are pods of central's own namespace.
#[derive(Debug, Args)]
pub struct KubernetesArgs {
    /// Let pods of central's namespace join as peers, by their service account tokens for this
    /// audience
    #[arg(
        long,
        env = "PERAL_CENTRAL_KUBERNETES_AUDIENCE",
        value_name = "AUDIENCE",
        requires = "kubernetes_service_account"
    )]
    pub kubernetes_audience: Option<String>,
    /// Service account that those pods run under
    #[arg(
        long,
        env = "PERAL_CENTRAL_KUBERNETES_SERVICE_ACCOUNT",
        value_name = "NAME",
        requires = "kubernetes_audience"
    )]
    pub kubernetes_service_account: Option<String>,
    /// Account that those peers work for; made, without a password, where it is missing
    #[arg(
        long,
        env = "PERAL_CENTRAL_KUBERNETES_ACCOUNT",
        value_name = "NAME",
        default_value = "peers"
    )]
    pub kubernetes_account: String,
}

/// How much central takes on.
#[derive(Debug, Args)]
pub struct LimitArgs {
    /// Connections held at once
    #[arg(
        long, env = "PERAL_CENTRAL_MAX_CONNECTIONS", value_name = "COUNT",
        default_value_t = Limits::default().connections
    )]
    pub max_connections: usize,
    /// Connections held at once from one address
    #[arg(
        long, env = "PERAL_CENTRAL_MAX_CONNECTIONS_PER_ADDRESS", value_name = "COUNT",
        default_value_t = Limits::default().connections_per_address
    )]
    pub max_connections_per_address: usize,
    /// Requests worked on at once
    #[arg(
        long, env = "PERAL_CENTRAL_MAX_REQUESTS", value_name = "COUNT",
        default_value_t = Limits::default().requests
    )]
    pub max_requests: usize,
    /// Logins tried for one account from one address in a minute
    #[arg(
        long, env = "PERAL_CENTRAL_LOGINS_PER_ACCOUNT", value_name = "COUNT",
        default_value_t = Limits::default().logins_per_account
    )]
    pub logins_per_account: u32,
    /// Logins tried for one account from all addresses in a minute
    #[arg(
        long, env = "PERAL_CENTRAL_LOGINS_PER_ACCOUNT_IN_ALL", value_name = "COUNT",
        default_value_t = Limits::default().logins_per_account_in_all
    )]
    pub logins_per_account_in_all: u32,
    /// Logins tried from one address in a minute
    #[arg(
        long, env = "PERAL_CENTRAL_LOGINS_PER_ADDRESS", value_name = "COUNT",
        default_value_t = Limits::default().logins_per_address
    )]
    pub logins_per_address: u32,
    /// Logins, registrations and renewals tried from one address in a minute; raise it where many
    /// peers share an address
    #[arg(
        long, env = "PERAL_CENTRAL_PROOFS_PER_ADDRESS", value_name = "COUNT",
        default_value_t = Limits::default().proofs_per_address
    )]
    pub proofs_per_address: u32,
    /// Seconds between two counts of the catalogue for the metrics, at least
    #[arg(
        long, env = "PERAL_CENTRAL_COUNT_SECONDS", value_name = "SECONDS",
        default_value_t = Limits::default().count.as_secs(),
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    pub count_seconds: u64,
    /// Seconds that running requests get when central is told to stop
    #[arg(
        long, env = "PERAL_CENTRAL_DRAIN_SECONDS", value_name = "SECONDS",
        default_value_t = Limits::default().drain.as_secs()
    )]
    pub drain_seconds: u64,
}

/// Arguments of `central init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Folder and database.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Name of the first administrator
    #[arg(long, value_name = "NAME")]
    pub admin: String,
    /// File that holds the administrator's password; without it, init asks on the terminal
    #[arg(long, value_name = "FILE", conflicts_with = "password_stdin")]
    pub password_file: Option<PathBuf>,
    /// Read the administrator's password from standard input
    #[arg(long)]
    pub password_stdin: bool,
}

impl PlaceArgs {
    /// The defaults for this place.
    ///
    /// # Errors
    /// INVALID_ARGUMENT, when there is no such place or file.
    pub fn config(self) -> Result<Config, Failure> {
        let data = match self.data {
            Some(data) => data,
            None => default_data()?,
        };
        let from_file = self.database_url_file.as_deref().map(secret_line).transpose()?;
        Ok(Config {
            database_url: self.database_url.or(from_file),
            given_keys: self.keys,
            ..Config::new(data)
        })
    }
}

impl RunArgs {
    /// The configuration that these arguments mean.
    ///
    /// # Errors
    /// As [`PlaceArgs::config`].
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
    /// INVALID_ARGUMENT, when central is in no pod, or its pod has no service account's token.
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
                "--kubernetes-audience needs central to be a pod with its service account's token \
                 (automountServiceAccountToken): {error}; \
                 leave the flag out where peers join by join tokens"
            )
        };
        let cluster = kube::Config::incluster()
            .map_err(|error: kube::config::InClusterError| outside(error))?;
        Ok(Some(Kubernetes { cluster: Box::new(cluster), audience, service_account, account }))
    }
}

impl LimitArgs {
    fn limits(&self) -> Limits {
        Limits {
            connections: self.max_connections,
            connections_per_address: self.max_connections_per_address,
            requests: self.max_requests,
            logins_per_account: self.logins_per_account,
            logins_per_account_in_all: self.logins_per_account_in_all,
            logins_per_address: self.logins_per_address,
            proofs_per_address: self.proofs_per_address,
            // Each proof takes a nonce; some are asked for in vain.
            nonces_per_address: self.proofs_per_address.saturating_mul(2),
            count: Duration::from_secs(self.count_seconds),
            drain: Duration::from_secs(self.drain_seconds),
            ..Limits::default()
        }
    }
}

impl InitArgs {
    /// The password for the first administrator: from a file, from standard input, or asked for
    /// twice on the terminal.
    ///
    /// # Errors
    /// INVALID_ARGUMENT.
    pub fn password(&self) -> Result<SecretString, Failure> {
        if let Some(path) = &self.password_file {
            return secret_line(path);
        }
        let unreadable = |error: std::io::Error| {
            fail!(
                InvalidArgument,
                "no password can be read: {error}; give --password-file or --password-stdin"
            )
        };
        if self.password_stdin {
            return std::io::read_to_string(std::io::stdin())
                .map(|text| first_line(&text))
                .map_err(unreadable);
        }
        let first = rpassword::prompt_password(format!("Password for {}: ", self.admin))
            .map_err(unreadable)?;
        let second = rpassword::prompt_password("Again: ").map_err(unreadable)?;
        if first == second {
            Ok(SecretString::from(first))
        } else {
            Err(fail!(InvalidArgument, "the two passwords differ"))
        }
    }
}

fn default_data() -> Result<PathBuf, Failure> {
    let base = etcetera::choose_base_strategy();
    base.map(|base| base.data_dir().join("peral/central")).map_err(|error| {
        fail!(InvalidArgument, "there is no data folder for this user: {error}; give --data")
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        central: CentralArgs,
    }

    fn parse(text: &str) -> Result<CentralArgs, clap::Error> {
        Line::try_parse_from(text.split_whitespace()).map(|line| line.central)
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
        assert!(odd.detail.contains("is no name"), "{odd}");
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
