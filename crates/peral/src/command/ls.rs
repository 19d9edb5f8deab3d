//! `peral ls`

use clap::Args;
use peral_model::PeerId;
use peral_wire::{Failure, catalogue::Search, rest::files::File};
use serde::Serialize;

use super::{
    args::LimitArgs,
    peers,
    search::{Files, collect, say_more},
};
use crate::{
    context::Context,
    direct::{self, ListedFile, PeerQuery},
    output::{Table, age, bytes},
};

/// List files by the beginning of their names.
#[derive(Debug, Args)]
pub struct LsArgs {
    /// Only names that begin so, case and all.
    #[arg(default_value = "", hide_default_value = true)]
    prefix: String,
    /// Ask this peer what it holds, rather than central what there is; needs a login.
    #[arg(long, value_name = "PEER")]
    peer: Option<String>,
    #[command(flatten)]
    limit: LimitArgs,
}

impl LsArgs {
    /// Asks central, or a peer.
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        if let Some(peer) = &self.peer {
            return self.ask_peer(context, peer).await;
        }
        let session = context.session().await?;
        let search = Search { q: query(&self.prefix), ..Search::default() };
        let wanted = |file: &File| file.name.as_str().starts_with(&self.prefix);
        let (items, more) = collect(session.catalogue(), search, self.limit.most(), wanted).await?;
        let said = Files { way: session.way(), items, more };
        say_more(&context.out, &said);
        context.out.result("peral.ls/1", &said, |said| {
            let mut table =
                Table::new(&["SIZE", "VERSION", "PUBLISHED", "OWNER", "ACCESS", "SOURCES", "NAME"])
                    .right(&[0, 1, 5]);
            for file in &said.items {
                let access = format!("{:?}", file.visibility).to_lowercase();
                let published = age(file.published_ms, context.out.now_ms());
                let numbers =
                    [bytes(file.size), file.version.to_string(), file.sources.to_string()];
                table.row([
                    &numbers[0],
                    &numbers[1],
                    &published,
                    &file.owner,
                    &access,
                    &numbers[2],
                    file.name.as_str(),
                ]);
            }
            context.out.table(&table, "no files")
        })
    }

    async fn ask_peer(&self, context: &Context, peer: &str) -> Result<(), Failure> {
        let user = context.user_session().await?;
        let peer = peers::find(&user.catalogue, peer).await?;
        let query = PeerQuery { peer: &peer, prefix: &self.prefix, most: self.limit.most() };
        let listed = direct::list(&user, &query).await?;
        if listed.more && !context.out.is_json() {
            context.out.note("… and more: --limit COUNT or --all shows them");
        }
        let said = PeerListing { peer: peer.id, items: listed.items, more: listed.more };
        context.out.result("peral.ls-peer/1", &said, |said| {
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
}

#[derive(Serialize)]
struct PeerListing {
    peer: PeerId,
    items: Vec<ListedFile>,
    more: bool,
}

/// The query that finds the prefix, and perhaps more: a query has white space between its terms,
/// and folds case.
fn query(prefix: &str) -> String {
    match prefix.split(char::is_whitespace).next() {
        Some(start) if !start.is_empty() => format!("prefix:{start}"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_becomes_a_query_that_finds_at_least_it() {
        assert_eq!(query("models/"), "prefix:models/");
        assert_eq!(query("my models/x"), "prefix:my");
        assert_eq!((query(""), query(" x")), (String::new(), String::new()));
    }
}
