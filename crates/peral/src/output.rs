//! What a command writes: its result to stdout, as text or one JSON object; all else to stderr.

mod escape;
mod format;
mod hint;
mod meter;
mod sizes;
mod streams;
mod table;

use std::io::{self, IsTerminal};

use peral_runtime::SharedClock;
use peral_wire::{Failure, fail};
use serde::Serialize;

pub use escape::{Escaped, escape, escape_lines, quoted};
pub use format::Format;
use hint::hint;
pub use meter::{ProgressMeter, Step, TransferPhase, summary};
pub use sizes::{age, bytes, instant, rate};
use streams::write_err;
pub use streams::write_out;
pub use table::Table;

/// The result of a command: a JSON object for programs, text for people.
pub trait CommandResult: Serialize {
    /// Names the form of the JSON object; `peral json` documents its fields.
    const SCHEMA: &'static str;

    /// What people see. Text that comes from others must go through [`escape()`], [`quoted`] or a
    /// [`Table`].
    fn text(&self, out: &Output) -> String;
}

/// Where results, notes and failures go.
#[derive(Debug, Clone)]
pub struct Output {
    format: Format,
    /// Width of the terminal in columns; none where stdout is not a terminal.
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

impl Output {
    /// Writes to this process's stdout and stderr.
    pub fn new(format: Format, clock: SharedClock) -> Self {
        let width = io::stdout().is_terminal().then(|| terminal_width().unwrap_or(80));
        Self { format, width, clock }
    }

    /// Whether results are written as JSON.
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// The time that ages are counted from.
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Writes the result of a command.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn result<R: CommandResult>(&self, result: &R) -> Result<(), Failure> {
        write_out(&self.render(result)?)
    }

    /// The result of a command as it is written.
    ///
    /// # Errors
    /// INTERNAL.
    pub fn render<R: CommandResult>(&self, result: &R) -> Result<String, Failure> {
        match self.format {
            Format::Json => Ok(json(&Document { schema: R::SCHEMA, value: result })? + "\n"),
            Format::Text => Ok(escape_lines(&result.text(self))),
        }
    }

    /// A table as the text of a result; `none` stands for an empty one.
    pub fn table(&self, table: &Table, none: &str) -> String {
        if table.is_empty() { format!("{none}\n") } else { table.render(self.width) }
    }

    /// Something that a person should know, besides the result.
    pub fn note(&self, text: &str) {
        let line = match self.format {
            Format::Text => escape(text).into_owned(),
            Format::Json => serde_json::json!({ "event": "note", "detail": text }).to_string(),
        };
        write_err(&line);
    }

    /// This command, such as `token add`, failed. Text: some lines on stderr; JSON: an object on
    /// stdout.
    pub fn failure(&self, failure: &Failure, command: &str) {
        match self.format {
            Format::Json => {
                let mut document = serde_json::json!({
                    "error": { "code": failure.code, "detail": failure.detail }
                });
                if let Some(trace) = &failure.trace {
                    document["error"]["trace"] = trace.as_str().into();
                }
                if let Err(unwritten) = write_out(&format!("{document}\n")) {
                    write_err(&document.to_string());
                    tracing::debug!(%unwritten, "could not write the failure to stdout");
                }
            }
            Format::Text => {
                write_err(&format!("error: {} ({})", Escaped(&failure.detail), failure.code));
                if let Some(trace) = &failure.trace {
                    write_err(&format!("trace: {}", Escaped(trace)));
                }
                if let Some(hint) = hint(failure.code, command) {
                    write_err(&format!("hint: {hint}"));
                }
            }
        }
    }

    /// Shows the progress of one transfer.
    pub fn meter(&self) -> ProgressMeter {
        ProgressMeter::new(self.format, self.clock.clone())
    }

    #[cfg(test)]
    pub fn plain(format: Format, clock: SharedClock) -> Self {
        Self { format, width: None, clock }
    }
}

/// The name of this machine, for listings.
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
        .map_err(|error| fail!(Internal, "could not write the result as JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use peral_runtime::MockClock;

    use super::*;

    #[test]
    fn a_document_begins_with_its_schema() {
        #[derive(Serialize)]
        struct Numbers {
            items: Vec<u8>,
        }
        impl CommandResult for Numbers {
            const SCHEMA: &'static str = "peral.numbers/1";
            fn text(&self, _: &Output) -> String {
                "1 \u{1b} 2\n".into()
            }
        }
        let render = |format| {
            Output::plain(format, Arc::new(MockClock::new(0)))
                .render(&Numbers { items: vec![1, 2] })
                .unwrap()
        };
        assert_eq!(render(Format::Json), "{\"schema\":\"peral.numbers/1\",\"items\":[1,2]}\n");
        assert_eq!(render(Format::Text), "1 \\u{1b} 2\n");
    }
}
