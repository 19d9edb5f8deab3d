//! First contact: how a command recognises a central that it does not know yet.

use std::{
    io::{self, BufRead, IsTerminal, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use peral_runtime::{
    propagate,
    tls::{self, Pin},
};
use peral_transfer::trust::{FirstContact, Network};
use peral_wire::{Catalogue, ErrorCode, Failure, fail};
use tokio::net::TcpStream;

use super::address::is_loopback;
use crate::output::escape;

/// No call of a command takes longer, so that users learn within five seconds that central is
/// unreachable.
const DEADLINE: Duration = Duration::from_secs(4);
/// A connection to a running central opens sooner than this.
const CONNECT: Duration = Duration::from_secs(3);
/// Maximum size of a file with certificates.
const MAX_PEM: u64 = 1 << 20;

/// How to recognise central at first contact.
#[derive(Debug, Clone, Args)]
#[group(id = "first-contact", multiple = false)]
pub struct FirstContactArgs {
    /// Certificate of central's authority (PEM).
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Fingerprint of that certificate, as `peral central init` prints it.
    #[arg(long, value_name = "HEX")]
    pub ca_fingerprint: Option<String>,
}

/// A recognised central.
pub struct Contact {
    pub base: String,
    pub network: Network,
    /// A client without a token.
    pub catalogue: Catalogue,
}

impl FirstContactArgs {
    pub fn is_empty(&self) -> bool {
        self.ca_file.is_none() && self.ca_fingerprint.is_none()
    }

    /// Connects to central at `base`. Without a certificate or a fingerprint, and without a public
    /// authority, asks the user on the terminal.
    ///
    /// # Errors
    /// UNAVAILABLE: nobody answers. UNAUTHENTICATED: central cannot be recognised. UNTRUSTED: it is
    /// another one.
    pub async fn meet(&self, base: &str) -> Result<Contact, Failure> {
        if !self.is_empty() && base.starts_with("http://") {
            return Err(fail!(
                InvalidArgument,
                "--ca-file and --ca-fingerprint need https: plain http has no certificate to \
                 compare; write https://, or leave them out for central on this machine"
            ));
        }
        if let Some(file) = &self.ca_file {
            let shows = |failure: Failure| {
                another(failure, base, &format!("the one in {}", file.display()))
            };
            return known(base, read_pem(file)?).await.map_err(shows);
        }
        if let Some(text) = &self.ca_fingerprint {
            let pin = Pin::new(text).map_err(|error| fail!(InvalidArgument, "{error}"))?;
            return contact(base, &FirstContact::Fingerprint(pin))
                .await
                .map_err(|failure| another(failure, base, "the fingerprint given"));
        }
        let url =
            reqwest::Url::parse(base).map_err(|error| fail!(InvalidArgument, "{base}: {error}"))?;
        let stream = reach(&url).await?;
        match contact(base, &FirstContact::PublicName).await {
            Ok(contact) => Ok(contact),
            // Plain http has no authority to ask about.
            Err(failure) if url.scheme() == "http" && is_loopback(&url) => Err(failure),
            Err(reason) => ask(base, stream, &reason).await,
        }
    }
}

/// Says what was compared with, if the answer comes from another authority.
fn another(failure: Failure, base: &str, than: &str) -> Failure {
    match failure.code {
        ErrorCode::Untrusted => {
            let how = "`peral central fingerprint` on central's machine prints the right one";
            Failure {
                detail: format!(
                    "central at {base} has another authority than {than}: {how}; or this is not \
                     central"
                ),
                ..failure
            }
        }
        _ => failure,
    }
}

/// Connects to central under a known authority (PEM).
///
/// # Errors
/// UNAVAILABLE, UNAUTHENTICATED.
pub async fn known(base: &str, authority: String) -> Result<Contact, Failure> {
    contact(base, &FirstContact::Authority(authority)).await
}

/// A client of central as a command uses it.
///
/// # Errors
/// UNAUTHENTICATED: the stored authority cannot be read.
pub fn catalogue(base: &str, network: &Network) -> Result<Catalogue, Failure> {
    network.catalogue(base, propagate::inject, DEADLINE)
}

async fn contact(base: &str, first: &FirstContact) -> Result<Contact, Failure> {
    let network = Network::contact(base, first, propagate::inject).await?;
    let catalogue = catalogue(base, &network)?;
    Ok(Contact { base: base.to_owned(), network, catalogue })
}

async fn reach(url: &reqwest::Url) -> Result<TcpStream, Failure> {
    let (host, port) = (
        url.host_str().unwrap_or_default().trim_matches(['[', ']']),
        url.port_or_known_default().unwrap_or(443),
    );
    match tokio::time::timeout(CONNECT, TcpStream::connect((host, port))).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(fail!(Unavailable, "central at {url} cannot be reached: {error}")),
        Err(_) => Err(fail!(
            Unavailable,
            "central at {url} cannot be reached: no answer within {} s",
            CONNECT.as_secs()
        )),
    }
}

/// Shows the fingerprint and asks, as ssh does.
async fn ask(base: &str, stream: TcpStream, public: &Failure) -> Result<Contact, Failure> {
    let shown_by = tls::presented_authority(stream, CONNECT).await;
    let authority = shown_by.map_err(|error| {
        fail!(Unavailable, "the server at {base} is not central: {error} ({})", public.detail)
    })?;
    let fingerprint = tls::fingerprint(&authority);
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        let how = "pass --ca-file FILE or --ca-fingerprint HEX (`peral central init` printed it)";
        return Err(fail!(
            Unauthenticated,
            "central at {base} has a certificate of no public authority, and its own authority is \
             not known here ({fingerprint}): {how}"
        ));
    }
    let question = format!(
        "The authority of central at {} has the fingerprint\n{fingerprint}.\nTrust it? [yes/no] ",
        escape(base)
    );
    if !says_yes(&question).await? {
        return Err(fail!(Unauthenticated, "the authority of central at {base} was not trusted"));
    }
    let pin = Pin::new(&fingerprint).map_err(|error| fail!(Internal, "{error}"))?;
    contact(base, &FirstContact::Fingerprint(pin)).await
}

async fn says_yes(question: &str) -> Result<bool, Failure> {
    let question = question.to_owned();
    let asked = tokio::task::spawn_blocking(move || {
        answer(&mut io::stdin().lock(), &mut io::stderr().lock(), &question)
    })
    .await;
    asked
        .map_err(|error| fail!(Internal, "{error}"))?
        .map_err(|error| fail!(Internal, "could not ask on the terminal: {error}"))
}

/// Asks until the answer is yes or no; an end of input is no.
fn answer(input: &mut impl BufRead, output: &mut impl Write, question: &str) -> io::Result<bool> {
    write!(output, "{question}")?;
    loop {
        output.flush()?;
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            return Ok(false);
        }
        match line.trim() {
            "yes" => return Ok(true),
            "no" => return Ok(false),
            _ => write!(output, "Please type yes or no: ")?,
        }
    }
}

fn read_pem(path: &Path) -> Result<String, Failure> {
    let bad = |error: &dyn std::fmt::Display| {
        fail!(InvalidArgument, "could not read certificates from {}: {error}", path.display())
    };
    let size = std::fs::metadata(path).map_err(|error| bad(&error))?.len();
    if size > MAX_PEM {
        return Err(bad(&"it is longer than 1 MiB"));
    }
    std::fs::read_to_string(path).map_err(|error| bad(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_yes_is_a_yes() {
        let ask = |typed: &str| {
            let mut output = Vec::new();
            let said = answer(&mut typed.as_bytes(), &mut output, "Trust it? ").unwrap();
            (said, String::from_utf8(output).unwrap().matches("yes or no").count())
        };
        assert_eq!(ask("yes\n"), (true, 0));
        assert_eq!(ask("y\nYES\nyes\n"), (true, 2));
        assert_eq!(ask("no\n"), (false, 0));
        assert_eq!(ask(""), (false, 0));
    }
}
