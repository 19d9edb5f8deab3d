//! `peral completions`, `man`, `exit-codes`, `json`: help that is not a page of clap's.

use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;
use peral_wire::{Class, ErrorCode, Failure, fail};
use serde::Serialize;

use crate::{
    context::Context,
    output::{Items, Table, write_out},
};

/// Print the completions for a shell.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Which shell.
    shell: Shell,
}

/// Print the manual page, or write one for each command into a folder.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The folder; made if it is not there.
    folder: Option<PathBuf>,
}

/// List the exit codes, and the error codes that lead to them.
#[derive(Debug, Args)]
#[command(after_long_help = "Scripts can rely on both: codes are never renamed and never reused.")]
pub struct ExitCodesArgs {}

/// Say what `--output json` writes.
#[derive(Debug, Args)]
#[command(long_about = include_str!("json.txt"))]
pub struct JsonArgs {}

impl CompletionsArgs {
    /// Prints them.
    pub fn run(self, commands: &mut Command) -> Result<(), Failure> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, commands, "peral", &mut text);
        print(&text)
    }
}

impl ManArgs {
    /// Prints or writes.
    pub fn run(self, commands: Command) -> Result<(), Failure> {
        let Some(folder) = self.folder else {
            let mut text = Vec::new();
            clap_mangen::Man::new(commands)
                .render(&mut text)
                .map_err(|error| fail!(Internal, "no manual page can be made: {error}"))?;
            return print(&text);
        };
        let written = std::fs::create_dir_all(&folder)
            .and_then(|()| clap_mangen::generate_to(commands, &folder));
        written.map_err(|error| {
            fail!(InvalidArgument, "{} cannot be written: {error}", folder.display())
        })
    }
}

fn print(text: &[u8]) -> Result<(), Failure> {
    write_out(&String::from_utf8_lossy(text))
}

#[derive(Serialize)]
struct Row {
    exit_code: u8,
    meaning: &'static str,
    codes: Vec<ErrorCode>,
}

/// All classes, in the order of their exit codes.
const CLASSES: [(Class, &str); 11] = [
    (Class::Internal, "a defect, or something nobody foresaw"),
    (Class::Usage, "the call itself is wrong"),
    (Class::NotFound, "not there, or not for you"),
    (Class::Unauthenticated, "not logged in, or no longer"),
    (Class::Forbidden, "you may not do this"),
    (Class::Conflict, "something else came first"),
    (Class::Integrity, "the bytes are not what was signed"),
    (Class::Exhausted, "no room, or a limit is reached"),
    (Class::Unavailable, "central, or every source, is away"),
    (Class::Deadline, "it took longer than allowed"),
    (Class::Cancelled, "you ended it"),
];

fn rows() -> Vec<Row> {
    let codes = |class: Class| {
        ErrorCode::ALL.iter().copied().filter(|code| code.class() == class).collect()
    };
    let failures = CLASSES.iter().map(|(class, meaning)| Row {
        exit_code: class.exit_code(),
        meaning,
        codes: codes(*class),
    });
    std::iter::once(Row { exit_code: 0, meaning: "done", codes: Vec::new() })
        .chain(failures)
        .collect()
}

impl ExitCodesArgs {
    /// Prints the table.
    pub fn run(self, context: &Context) -> Result<(), Failure> {
        context.out.result("peral.exit-codes/1", &Items { items: rows() }, |said| {
            let mut table = Table::new(&["EXIT", "MEANING", "CODES"]).right(&[0]);
            for row in &said.items {
                let codes =
                    row.codes.iter().map(|code| code.as_str()).collect::<Vec<_>>().join(" ");
                table.row([&row.exit_code.to_string(), row.meaning, &codes]);
            }
            context.out.table(&table, "")
        })
    }
}

impl JsonArgs {
    /// Prints the page.
    pub fn run(self, context: &Context) -> Result<(), Failure> {
        #[derive(Serialize)]
        struct Page {
            text: &'static str,
        }
        context.out.result("peral.json/1", &Page { text: include_str!("json.txt") }, |page| {
            page.text.to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_code_is_in_the_table_once() {
        let mut listed: Vec<_> =
            rows().into_iter().flat_map(|row| row.codes).map(ErrorCode::as_str).collect();
        let mut all: Vec<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        listed.sort_unstable();
        all.sort_unstable();
        assert_eq!(listed, all);
    }

    #[test]
    fn exit_codes_rise() {
        assert!(rows().windows(2).all(|pair| pair[0].exit_code < pair[1].exit_code));
    }
}
