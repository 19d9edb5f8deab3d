//! `peral search`

use clap::Args;
use peral_wire::{Catalogue, Failure, catalogue::Search, rest::files::File};
use serde::Serialize;

use super::args::RowLimitArgs;
use crate::{
    context::Context,
    output::{CommandResult, Output, Table, bytes},
    session::AnySession,
};

/// Rows of one page.
const PAGE: u32 = 1000;

/// Find files by name, owner, tag or content.
///
/// Lists the files that match all terms. A term of three or more characters matches anywhere in the
/// name; a shorter one matches at the start of a word. A term with `*` or `?` is a pattern for the
/// whole name, `^text` matches names that begin with text, and 64 hexadecimal digits match the
/// hash of the content. Upper and lower case are equal.
#[derive(Debug, Args)]
pub struct SearchArgs {
    /// What to search for [default: all files]
    terms: Vec<String>,
    /// Only files of this account.
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// Only files with this tag.
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// Only files with this hash.
    #[arg(long, value_name = "HASH")]
    hash: Option<String>,
    #[command(flatten)]
    limit: RowLimitArgs,
}

/// Files that central lists.
#[derive(Serialize)]
pub struct FileList {
    /// Central, and the account that asked it.
    pub way: String,
    /// The files, in byte order of their names.
    pub items: Vec<File>,
    /// There are more.
    pub more: bool,
}

#[derive(Serialize)]
#[serde(transparent)]
pub struct SearchResult {
    pub found: FileList,
}

impl SearchArgs {
    /// Asks central.
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let session = context.session().await?;
        let search = Search {
            q: self.terms.join(" "),
            owner: self.owner,
            tag: self.tag,
            hash: self.hash,
            ..Search::default()
        };
        let found = FileList::collect(&session, search, self.limit.most(), |_| true).await?;
        found.note_more(&context.out);
        context.out.result(&SearchResult { found })
    }
}

impl FileList {
    /// Collects the files that a search finds, page by page, up to `most`. `filter` drops those
    /// that the search itself cannot drop.
    ///
    /// # Errors
    /// What central answers.
    pub async fn collect(
        session: &AnySession,
        mut search: Search,
        most: usize,
        filter: impl Fn(&File) -> bool,
    ) -> Result<Self, Failure> {
        let catalogue: &Catalogue = session.catalogue();
        let mut items = Vec::new();
        loop {
            let missing = u32::try_from(most - items.len()).unwrap_or(PAGE);
            search.limit = Some(missing.clamp(1, PAGE));
            let page = catalogue.search(&search).await?;
            let mut rows = page.items.into_iter().filter(&filter);
            items.extend(rows.by_ref().take(most - items.len()));
            let left = rows.next().is_some();
            search.cursor = page.next;
            if left || search.cursor.is_none() || items.len() >= most {
                let more = left || search.cursor.is_some();
                return Ok(Self { way: session.way(), items, more });
            }
        }
    }

    /// Says on stderr that the list is not complete.
    pub fn note_more(&self, out: &Output) {
        if self.more && !out.is_json() {
            let (count, way) = (self.items.len(), &self.way);
            out.note(&format!(
                "… and more: these are {count}, from {way}; use --limit COUNT or --all"
            ));
        }
    }
}

impl CommandResult for SearchResult {
    const SCHEMA: &'static str = "peral.search/1";

    fn text(&self, out: &Output) -> String {
        let mut table =
            Table::new(&["NAME", "SIZE", "VERSION", "OWNER", "SOURCES", "TAGS"]).right(&[1, 2, 4]);
        for file in &self.found.items {
            table.row([
                file.name.as_str(),
                &bytes(file.size),
                &file.version.to_string(),
                &file.owner,
                &file.sources.to_string(),
                &file.tags.join(" "),
            ]);
        }
        out.table(&table, "nothing found")
    }
}
