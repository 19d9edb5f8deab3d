//! `peral search`

use clap::Args;
use peral_wire::{Catalogue, Failure, catalogue::Search, rest::files::File};
use serde::Serialize;

use super::args::LimitArgs;
use crate::{
    context::Context,
    output::{Output, Table, bytes},
};

/// Rows of one page.
const PAGE: u32 = 1000;

/// Find files by name, owner, tag or content.
///
/// All terms must match. A term of three characters or more is looked for anywhere in the name, a
/// shorter one at the start of a word; `*` and `?` make a pattern for the whole name, `^text` is
/// its beginning, 64 hexadecimal digits are a content. Case does not matter.
#[derive(Debug, Args)]
pub struct SearchArgs {
    /// What to look for; without terms, all files.
    terms: Vec<String>,
    /// Only files of this account.
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// Only files with this tag.
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// Only files with this content.
    #[arg(long, value_name = "HASH")]
    hash: Option<String>,
    #[command(flatten)]
    limit: LimitArgs,
}

/// A listing of files.
#[derive(Serialize)]
pub struct Files {
    /// Which way the answer came.
    pub way: String,
    /// The files, in byte order of their names.
    pub items: Vec<File>,
    /// There are more.
    pub more: bool,
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
        let found = collect(session.catalogue(), search, self.limit.most(), |_| true).await?;
        let said = Files { way: session.way(), items: found.0, more: found.1 };
        say_more(&context.out, &said);
        context.out.result("peral.search/1", &said, |said| {
            let mut table = Table::new(&["NAME", "SIZE", "VERSION", "OWNER", "SOURCES", "TAGS"])
                .right(&[1, 2, 4]);
            for file in &said.items {
                let cells = [
                    bytes(file.size),
                    file.version.to_string(),
                    file.sources.to_string(),
                    file.tags.join(" "),
                ];
                table.row([
                    file.name.as_str(),
                    &cells[0],
                    &cells[1],
                    &file.owner,
                    &cells[2],
                    &cells[3],
                ]);
            }
            context.out.table(&table, "nothing found")
        })
    }
}

/// Files that a search finds, page by page, up to `most`; and whether there are more. `wanted`
/// sorts out what the search cannot say.
///
/// # Errors
/// What central answers.
pub async fn collect(
    catalogue: &Catalogue,
    mut search: Search,
    most: usize,
    wanted: impl Fn(&File) -> bool,
) -> Result<(Vec<File>, bool), Failure> {
    let mut files = Vec::new();
    loop {
        let missing = u32::try_from(most - files.len()).unwrap_or(PAGE);
        search.limit = Some(missing.clamp(1, PAGE));
        let page = catalogue.search(&search).await?;
        let mut rows = page.items.into_iter().filter(&wanted);
        files.extend(rows.by_ref().take(most - files.len()));
        let left = rows.next().is_some();
        search.cursor = page.next;
        if left || search.cursor.is_none() || files.len() >= most {
            return Ok((files, left || search.cursor.is_some()));
        }
    }
}

/// Says on stderr that a listing was cut.
pub fn say_more(out: &Output, files: &Files) {
    if files.more && !out.is_json() {
        out.note(&format!(
            "… and more: --limit COUNT or --all shows them ({} shown, by {})",
            files.items.len(),
            files.way
        ));
    }
}
