//! `peral ls`

use clap::Args;
use peral_model::PeerId;
use peral_wire::{Failure, catalogue::Search, rest::files::File};
use serde::Serialize;

use super::{
    args::{RowLimitArgs, visibility_word},
    peers,
    search::FileList,
};
use crate::{
    context::Context,
    direct::{self, ListedFile, PeerQuery},
    output::{CommandResult, Output, Table, age, bytes},
};

/// List files by the beginning of their names.
#[derive(Debug, Args)]
pub struct LsArgs {
    /// Only names that begin with this text; upper and lower case differ.
    #[arg(default_value = "", hide_default_value = true)]
    prefix: String,
    /// List the files that this peer holds, as the peer itself reports them; needs a login.
    #[arg(long, value_name = "PEER")]
    peer: Option<String>,
    #[command(flatten)]
    limit: RowLimitArgs,
}

#[derive(Serialize)]
#[serde(transparent)]
pub struct LsResult {
    pub listed: FileList,
}

#[derive(Serialize)]
pub struct LsPeerResult {
    pub peer: PeerId,
    pub items: Vec<ListedFile>,
    pub more: bool,
}

impl LsArgs {
    /// Asks central, or a peer.
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        if let Some(peer) = &self.peer {
            return self.ask_peer(context, peer).await;
        }
        let session = context.session().await?;
        let search = Search { q: query(&self.prefix), ..Search::default() };
        let filter = |file: &File| file.name.as_str().starts_with(&self.prefix);
        let listed = FileList::collect(&session, search, self.limit.most(), filter).await?;
        listed.note_more(&context.out);
        context.out.result(&LsResult { listed })
    }

    async fn ask_peer(&self, context: &Context, peer: &str) -> Result<(), Failure> {
        let user = context.user_session().await?;
        let peer = peers::find(&user.catalogue, peer).await?;
        let query = PeerQuery { peer: &peer, prefix: &self.prefix, most: self.limit.most() };
        let listed = direct::list(&user, &query).await?;
        if listed.more && !context.out.is_json() {
            context.out.note("… and more: use --limit COUNT or --all");
        }
        context.out.result(&LsPeerResult { peer: peer.id, items: listed.items, more: listed.more })
    }
}

/// The query that finds the prefix, and perhaps more: a query separates its terms by white space,
/// and ignores case.
fn query(prefix: &str) -> String {
    match prefix.split(char::is_whitespace).next() {
        Some(start) if !start.is_empty() => format!("prefix:{start}"),
        _ => String::new(),
    }
}

impl CommandResult for LsResult {
    const SCHEMA: &'static str = "peral.ls/1";

    fn text(&self, out: &Output) -> String {
        let mut table =
            Table::new(&["SIZE", "VERSION", "PUBLISHED", "OWNER", "ACCESS", "SOURCES", "NAME"])
                .right(&[0, 1, 5]);
        for file in &self.listed.items {
            table.row([
                &bytes(file.size),
                &file.version.to_string(),
                &age(file.published_ms, out.now_ms()),
                &file.owner,
                visibility_word(file.visibility),
                &file.sources.to_string(),
                file.name.as_str(),
            ]);
        }
        out.table(&table, "no files")
    }
}

impl CommandResult for LsPeerResult {
    const SCHEMA: &'static str = "peral.ls-peer/1";

    fn text(&self, out: &Output) -> String {
        let mut table =
            Table::new(&["SIZE", "HELD", "VERSION", "ACCESS", "NAME"]).right(&[0, 1, 2]);
        for file in &self.items {
            table.row([
                &bytes(file.size),
                &bytes(file.held),
                &file.version.to_string(),
                visibility_word(file.visibility),
                &file.name,
            ]);
        }
        out.table(&table, "no files")
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
