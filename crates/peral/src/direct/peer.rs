//! Questions to one peer: what it holds, and how fast the network to it is.

use peral_model::{ContentId, Record, Visibility};
use peral_transfer::echo::{self, EchoReport};
use peral_wire::{
    Failure, PeerClient, Sealed, fail,
    keys::{KeyUse, Verifier},
    pb,
    rest::peers::Peer,
};
use serde::Serialize;
use tonic::Request;

use super::connector::{Connector, parse_address};
use crate::{logins::StoredLogin, session::UserSession};

/// Rows of one page.
const PAGE: usize = 1000;

/// What to ask a peer for.
pub struct PeerQuery<'a> {
    /// The peer.
    pub peer: &'a Peer,
    /// The beginning of the names.
    pub prefix: &'a str,
    /// Maximum number of files.
    pub most: usize,
}

/// What a peer holds.
pub struct PeerFiles {
    /// One for each file version, by name.
    pub items: Vec<ListedFile>,
    /// There are more.
    pub more: bool,
}

/// A file version at a peer.
#[derive(Serialize)]
pub struct ListedFile {
    pub name: String,
    pub file: String,
    pub version: u64,
    pub hash: ContentId,
    pub size: u64,
    pub visibility: Visibility,
    /// Bytes of it that the peer has.
    pub held: u64,
}

/// Lists what a peer holds, as far as the user may see it.
///
/// # Errors
/// UNAVAILABLE: it is offline.
pub async fn list(user: &UserSession, query: &PeerQuery<'_>) -> Result<PeerFiles, Failure> {
    let verifier = Verifier::new(&user.catalogue.jwks().await?, KeyUse::Record);
    let connector = Connector::new(&user.login)?;
    let address = parse_address(&query.peer.address)?;
    let client = connector.dialer.client(query.peer.id, address).await?;
    pages(&client, &verifier, query).await
}

async fn pages(
    client: &PeerClient,
    verifier: &Verifier,
    query: &PeerQuery<'_>,
) -> Result<PeerFiles, Failure> {
    let most = query.most;
    let mut items: Vec<ListedFile> = Vec::new();
    loop {
        let limit = u32::try_from((most - items.len()).clamp(1, PAGE)).unwrap_or(1);
        let after = items.last().map(|item| item.name.clone()).unwrap_or_default();
        let mut request =
            Request::new(pb::ListFilesRequest { prefix: query.prefix.to_owned(), after, limit });
        request.set_timeout(std::time::Duration::from_secs(20));
        let page = client.list_files(request).await?;
        let before = items.len();
        for held in page.files {
            items.push(item(held, verifier)?);
        }
        if !page.more || items.len() >= most || items.len() == before {
            items.truncate(most);
            return Ok(PeerFiles { items, more: page.more });
        }
    }
}

/// The signed record describes the file; only how much it holds is the peer's own word.
fn item(held: pb::HeldFile, verifier: &Verifier) -> Result<ListedFile, Failure> {
    let envelope = held
        .record
        .ok_or_else(|| fail!(InvalidArgument, "the peer listed a file without its record"))?;
    let record = Sealed::<Record>::open(envelope, verifier)?.value;
    Ok(ListedFile {
        name: record.name.to_string(),
        file: record.file.to_string(),
        version: record.version,
        hash: record.content.hash,
        size: record.content.size,
        visibility: record.visibility,
        held: held.held,
    })
}

/// Sends bytes to a peer, which sends them back.
///
/// # Errors
/// UNAVAILABLE: it is offline. INTEGRITY: it sends back something else.
pub async fn echo(login: &StoredLogin, peer: &Peer, size: u64) -> Result<EchoReport, Failure> {
    echo::echo(&Connector::new(login)?.dialer, peer.id, parse_address(&peer.address)?, size).await
}
