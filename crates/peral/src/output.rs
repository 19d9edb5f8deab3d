//! What a command says: its result on stdout, as text or one JSON object; all else on stderr.

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

pub use escape::{Shown, quoted, shown, shown_lines};
pub use format::Format;
use hint::hint;
pub use meter::{Meter, Phase, Step, summary};
pub use sizes::{age, bytes, instant, rate};
use streams::write_err;
pub use streams::write_out;
pub use table::Table;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_begins_with_its_schema() {
        let text = json(&Document { schema: "peral.ls/1", value: &Items { items: vec![1, 2] } });
        assert_eq!(text, Ok(r#"{"schema":"peral.ls/1","items":[1,2]}"#.into()));
    }
}
