//! `peral completions`, `man`, `exit-codes`, `json`: help besides clap's pages.

use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;
use peral_wire::{Class, ErrorCode, Failure, fail};
use serde::Serialize;

use crate::{
    context::Context,
    output::{CommandResult, Output, Table, write_out},
};

/// What `peral json` prints.
pub const JSON_PAGE: &str = include_str!("json.txt");

/// Print the completions for a shell.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

/// Print the manual page, or write one for each command into a folder.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The folder; created if it does not exist.
    folder: Option<PathBuf>,
}

/// List the exit codes, and the error codes that lead to them.
#[derive(Debug, Args)]
#[command(after_long_help = "Scripts can rely on both: codes are never renamed and never reused.")]
pub struct ExitCodesArgs {}

/// Describe what `--output json` writes.
#[derive(Debug, Args)]
#[command(long_about = JSON_PAGE)]
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
                .map_err(|error| fail!(Internal, "could not render the manual page: {error}"))?;
            return print(&text);
        };
        let written = std::fs::create_dir_all(&folder)
            .and_then(|()| clap_mangen::generate_to(commands, &folder));
        written.map_err(|error| {
            fail!(InvalidArgument, "could not write to {}: {error}", folder.display())
        })
    }
}

fn print(text: &[u8]) -> Result<(), Failure> {
    write_out(&String::from_utf8_lossy(text))
}

#[derive(Serialize)]
pub struct ExitCodesResult {
    pub items: Vec<ExitCode>,
}

#[derive(Serialize)]
pub struct ExitCode {
    pub exit_code: u8,
    pub meaning: &'static str,
    pub codes: Vec<ErrorCode>,
}

#[derive(Serialize)]
pub struct JsonResult {
    pub text: &'static str,
}

/// All classes, in the order of their exit codes.
const CLASSES: [(Class, &str); 11] = [
    (Class::Internal, "an internal error"),
    (Class::Usage, "the command or its arguments are wrong"),
    (Class::NotFound, "it does not exist, or you cannot see it"),
    (Class::Unauthenticated, "you are not logged in, or no longer"),
    (Class::Forbidden, "you are not allowed to do this"),
    (Class::Conflict, "it conflicts with the present state"),
    (Class::Integrity, "the bytes are not the signed ones"),
    (Class::Exhausted, "no space is left, or a limit is reached"),
    (Class::Unavailable, "central, or every source, is unavailable"),
    (Class::Deadline, "it took longer than allowed"),
    (Class::Cancelled, "you cancelled it"),
];

impl ExitCodesResult {
    pub fn new() -> Self {
        let codes = |class: Class| {
            ErrorCode::ALL.iter().copied().filter(|code| code.class() == class).collect()
        };
        let failures = CLASSES.iter().map(|(class, meaning)| ExitCode {
            exit_code: class.exit_code(),
            meaning,
            codes: codes(*class),
        });
        let success = ExitCode { exit_code: 0, meaning: "success", codes: Vec::new() };
        Self { items: std::iter::once(success).chain(failures).collect() }
    }
}

impl ExitCodesArgs {
    /// Prints the table.
    pub fn run(self, context: &Context) -> Result<(), Failure> {
        context.out.result(&ExitCodesResult::new())
    }
}

impl JsonArgs {
    /// Prints the page.
    pub fn run(self, context: &Context) -> Result<(), Failure> {
        context.out.result(&JsonResult { text: JSON_PAGE })
    }
}

impl CommandResult for ExitCodesResult {
    const SCHEMA: &'static str = "peral.exit-codes/1";

    fn text(&self, out: &Output) -> String {
        let mut table = Table::new(&["EXIT", "MEANING", "CODES"]).right(&[0]);
        for row in &self.items {
            let codes = row.codes.iter().map(|code| code.as_str()).collect::<Vec<_>>().join(" ");
            table.row([&row.exit_code.to_string(), row.meaning, &codes]);
        }
        out.table(&table, "")
    }
}

impl CommandResult for JsonResult {
    const SCHEMA: &'static str = "peral.json/1";

    fn text(&self, _: &Output) -> String {
        self.text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_code_is_in_the_table_once() {
        let mut listed: Vec<_> = ExitCodesResult::new()
            .items
            .into_iter()
            .flat_map(|row| row.codes)
            .map(ErrorCode::as_str)
            .collect();
        let mut all: Vec<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        listed.sort_unstable();
        all.sort_unstable();
        assert_eq!(listed, all);
    }

    #[test]
    fn exit_codes_rise() {
        let rows = ExitCodesResult::new().items;
        assert!(rows.windows(2).all(|pair| pair[0].exit_code < pair[1].exit_code));
    }
}
