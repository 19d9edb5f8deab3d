//! Asking one peer: what it holds, and the way to it.

use peral_model::{ContentId, PeerId, Record, Visibility};
use peral_transfer::{
    calls,
    echo::{self, EchoReport},
};
use peral_wire::{
    Failure, Sealed, fail,
    keys::{KeyUse, Verifier},
    pb::{self, peer_service_client::PeerServiceClient},
    rest::peers::Peer,
};
use serde::Serialize;
use tonic::{Request, transport::Channel};

use super::{Way, socket};
use crate::{
    command::peers,
    context::Context,
    logins::Login,
    output::{Table, bytes},
};

/// Rows of one page.
const PAGE: usize = 1000;
/// A page of a thousand records with the longest names.
const MAX_PAGE: usize = 8 << 20;

#[derive(Serialize)]
struct Listed {
    peer: PeerId,
    items: Vec<Item>,
    more: bool,
}

#[derive(Serialize)]
struct Item {
    name: String,
    file: String,
    version: u64,
    hash: ContentId,
    size: u64,
    visibility: Visibility,
    held: u64,
}

/// Lists what a peer holds, as far as the user may see it.
///
/// # Errors
/// NOT_FOUND: there is no such peer. UNAVAILABLE: it is away.
pub async fn list(context: &Context, peer: &str, prefix: &str, most: usize) -> Result<(), Failure> {
    let user = context.user().await?;
    let peer = peers::find(&user.catalogue, peer).await?;
    let verifier = Verifier::new(&user.catalogue.jwks().await?, KeyUse::Record);
    let channel = Way::new(&user.login)?.dialer.channel(peer.id, socket(&peer.address)?).await?;
    let client = PeerServiceClient::new(channel).max_decoding_message_size(MAX_PAGE);
    let (items, more) = pages(client, &verifier, prefix, most).await?;
    if more && !context.out.is_json() {
        context.out.note("… and more: --limit COUNT or --all shows them");
    }
    context.out.result("peral.ls-peer/1", &Listed { peer: peer.id, items, more }, |said| {
        let mut table =
            Table::new(&["SIZE", "HELD", "VERSION", "ACCESS", "NAME"]).right(&[0, 1, 2]);
        for item in &said.items {
            let access = format!("{:?}", item.visibility).to_lowercase();
            table.row([
                &bytes(item.size),
                &bytes(item.held),
                &item.version.to_string(),
                &access,
                &item.name,
            ]);
        }
        context.out.table(&table, "no files")
    })
}

async fn pages(
    mut client: PeerServiceClient<Channel>,
    verifier: &Verifier,
    prefix: &str,
    most: usize,
) -> Result<(Vec<Item>, bool), Failure> {
    let mut items: Vec<Item> = Vec::new();
    loop {
        let limit = u32::try_from((most - items.len()).clamp(1, PAGE)).unwrap_or(1);
        let after = items.last().map(|item| item.name.clone()).unwrap_or_default();
        let mut request =
            Request::new(pb::ListFilesRequest { prefix: prefix.to_owned(), after, limit });
        request.set_timeout(std::time::Duration::from_secs(20));
        let page = client.list_files(calls::inject(request)).await?.into_inner();
        let before = items.len();
        for held in page.files {
            items.push(item(held, verifier)?);
        }
        if !page.more || items.len() >= most || items.len() == before {
            items.truncate(most);
            return Ok((items, page.more));
        }
    }
}

/// The signed record says what it is; the peer's own word counts only for how much it holds.
fn item(held: pb::HeldFile, verifier: &Verifier) -> Result<Item, Failure> {
    let envelope = held
        .record
        .ok_or_else(|| fail!(InvalidArgument, "the peer lists a file without its record"))?;
    let record = Sealed::<Record>::open(envelope, verifier)?.value;
    Ok(Item {
        name: record.name.to_string(),
        file: record.file.to_string(),
        version: record.version,
        hash: record.content.hash,
        size: record.content.size,
        visibility: record.visibility,
        held: held.held,
    })
}

/// Sends bytes to a peer and takes them back.
///
/// # Errors
/// UNAVAILABLE: it is away. INTEGRITY: it gives back something else.
pub async fn echo(login: &Login, peer: &Peer, size: u64) -> Result<EchoReport, Failure> {
    echo::echo(&Way::new(login)?.dialer, peer.id, socket(&peer.address)?, size).await
}
