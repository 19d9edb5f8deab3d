//! Events as the outbox keeps them.

use peral_model::{
    FileId,
    event::{Event, UnreadableEvent},
};
use serde_json::{Map, Value};

use super::{Result, StoreError};

/// The field of a payload that has its version.
const VERSION: &str = "v";
/// The field that has a column of its own instead, by which it is joined with the catalogue.
const FILE: &str = "file";

/// An event as a row of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// What its kind is called.
    pub kind: String,
    /// The file that it is about.
    pub file: Option<FileId>,
    /// Its version and its other fields, as JSON.
    pub payload: String,
}

impl StoredEvent {
    /// The row for an event.
    pub(super) fn new(event: &Event) -> Result<Self> {
        let Ok(Value::Object(mut payload)) = serde_json::to_value(event) else {
            let row = event.kind().to_owned();
            return Err(StoreError::Corrupt { table: "outbox", column: "payload", row });
        };
        payload.remove(FILE);
        payload.insert(VERSION.into(), event.version().into());
        let payload = Value::Object(payload).to_string();
        Ok(Self { kind: event.kind().into(), file: event.file(), payload })
    }

    /// The event of a row.
    ///
    /// # Errors
    /// A newer central wrote it, or somebody else did.
    pub fn event(&self) -> Result<Event, UnreadableEvent> {
        let mut payload: Map<String, Value> =
            serde_json::from_str(&self.payload).unwrap_or_default();
        // Rows without a version were written before there were any.
        let version = payload.remove(VERSION).map_or(1, |version| {
            version.as_u64().and_then(|version| version.try_into().ok()).unwrap_or(u32::MAX)
        });
        if let Some(file) = self.file {
            payload.insert(FILE.into(), file.to_string().into());
        }
        Event::read(&self.kind, version, Value::Object(payload))
    }
}

#[cfg(test)]
mod tests {
    use peral_model::{
        FileName,
        event::{FileChanged, FilePublished},
    };
    use uuid::Uuid;

    use super::*;

    const ID: FileId = FileId(Uuid::from_u128(7));

    #[test]
    fn a_row_reads_back_as_its_event_and_says_the_file_once() {
        let name = FileName::new("quoted \"ü\".bin").unwrap();
        for event in [
            Event::from(FilePublished { file: ID, version: u64::MAX }),
            Event::from(FileChanged { file: ID, name, public: true, rights: false }),
        ] {
            let row = StoredEvent::new(&event).unwrap();
            assert!(!row.payload.contains(&ID.to_string()), "{row:?}");
            assert_eq!(row.event(), Ok(event));
        }
    }

    #[test]
    fn rows_of_other_versions_are_told_apart() {
        let row = |payload: &str| {
            let kind = FilePublished::KIND.into();
            StoredEvent { kind, file: Some(ID), payload: payload.into() }
        };
        let published = Event::from(FilePublished { file: ID, version: 3 });
        assert_eq!(row(r#"{"version":3}"#).event(), Ok(published), "from before there were any");
        let newer = row(r#"{"v":2,"version":3}"#).event().unwrap_err();
        assert!(matches!(newer, UnreadableEvent::OtherVersion { found: 2, .. }), "{newer}");
        let broken = row("{").event().unwrap_err();
        assert!(matches!(broken, UnreadableEvent::Payload { .. }), "{broken}");
    }
}
