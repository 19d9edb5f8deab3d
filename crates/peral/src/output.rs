//! What a command says: its result on stdout, as text or one JSON object; all else on stderr.

mod escape;
mod hint;
mod meter;
mod sizes;
mod table;

use std::io::{self, ErrorKind, IsTerminal, Write};

use clap::ValueEnum;
use peral_runtime::SharedClock;
use peral_wire::{Failure, fail};
use serde::Serialize;

pub use escape::{Shown, quoted, shown, shown_lines};
use hint::hint;
pub use meter::{Meter, Phase, Step, summary};
pub use sizes::{age, bytes, instant, rate};
pub use table::Table;

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON object on stdout, described by `peral help json`.
    Json,
}

/// Where results, notes and failures go.
#[derive(Debug, Clone)]
pub struct Output {
    format: Format,
    /// Columns of the terminal that stdout is; nothing when it is none.
    width: Option<u16>,
    clock: SharedClock,
}

/// A result as JSON.
#[derive(Serialize)]
struct Document<'a, T> {
    schema: &'static str,
    #[serde(flatten)]
    value: &'a T,
}

/// A list as a result.
#[derive(Debug, Serialize)]
pub struct Items<T> {
    /// Its rows.
    pub items: Vec<T>,
}

impl Output {
    /// Writes to this process's stdout and stderr.
    pub fn new(format: Format, clock: SharedClock) -> Self {
        let width = io::stdout().is_terminal().then(|| terminal_width().unwrap_or(80));
        Self { format, width, clock }
    }

    /// Is the result wanted as JSON?
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// The time that ages are counted from.
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// The result of a command. `text` makes what people see of it; what comes from others must go
    /// through [`shown`] or a [`Table`].
    ///
    /// # Errors
    /// It cannot be written.
    pub fn result<T: Serialize>(
        &self,
        schema: &'static str,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        let text = match self.format {
            Format::Json => json(&Document { schema, value })? + "\n",
            Format::Text => shown_lines(&text(value)),
        };
        write_out(&text)
    }

    /// A table as the text of a result; `none` is said instead of an empty one.
    pub fn table(&self, table: &Table, none: &str) -> String {
        if table.is_empty() { format!("{none}\n") } else { table.render(self.width) }
    }

    /// Something that a person should know, beside the result.
    pub fn note(&self, text: &str) {
        let line = match self.format {
            Format::Text => shown(text).into_owned(),
            Format::Json => serde_json::json!({ "event": "note", "detail": text }).to_string(),
        };
        write_err(&line);
    }

    /// This command, such as `token add`, failed. Text: some lines on stderr; JSON: an object on
    /// stdout.
    pub fn failure(&self, failure: &Failure, command: &str) {
        match self.format {
            Format::Json => {
                let mut document = serde_json::json!({ "error": { "code": failure.code, "detail": failure.detail } });
                if let Some(trace) = &failure.trace {
                    document["error"]["trace"] = trace.as_str().into();
                }
                if let Err(unwritten) = write_out(&format!("{document}\n")) {
                    write_err(&document.to_string());
                    tracing::debug!(%unwritten, "the failure");
                }
            }
            Format::Text => {
                write_err(&format!("error: {} ({})", Shown(&failure.detail), failure.code));
                if let Some(trace) = &failure.trace {
                    write_err(&format!("trace: {}", Shown(trace)));
                }
                if let Some(hint) = hint(failure.code, command) {
                    write_err(&format!("hint: {hint}"));
                }
            }
        }
    }

    /// Shows the progress of one transfer.
    pub fn meter(&self) -> Meter {
        Meter::new(self.format, self.clock.clone())
    }
}

/// What to call this machine in listings.
pub fn machine() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    name.chars().take(100).collect()
}

/// Columns of the terminal at stderr or stdout.
fn terminal_width() -> Option<u16> {
    comfy_table::Table::new().width()
}

fn json<T: Serialize>(value: &T) -> Result<String, Failure> {
    serde_json::to_string(value)
        .map_err(|error| fail!(Internal, "the result cannot be written as JSON: {error}"))
}

/// Writes to stdout. A reader that has seen enough (`| head`) is no failure.
///
/// # Errors
/// NO_SPACE where stdout goes; INTERNAL.
pub fn write_out(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
            ) =>
        {
            Err(fail!(
                NoSpace,
                "what was asked for is done, but there is no room for the result where stdout \
                 goes: {error}"
            ))
        }
        written => written.map_err(|error| {
            fail!(
                Internal,
                "what was asked for is done, but the result cannot be written to stdout: {error}"
            )
        }),
    }
}

/// When stderr is gone there is nobody left to tell.
fn write_err(line: &str) {
    drop(writeln!(io::stderr().lock(), "{line}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_begins_with_its_schema() {
        let text = json(&Document { schema: "peral.ls/1", value: &Items { items: vec![1, 2] } });
        assert_eq!(text, Ok(r#"{"schema":"peral.ls/1","items":[1,2]}"#.into()));
    }
}
