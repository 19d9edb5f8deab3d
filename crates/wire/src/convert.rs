//! Protobuf to model and back: the only place that sees both. Everything is checked on entry.

use peral_model::{
    AccountId, Content, ContentId, FileId, FileName, Grant, PeerId, Record, Ticket, UploadId, Verb,
    Visibility, content::MAX_SIZE,
};

use crate::{ErrorCode, Failure, fail, pb};

/// Why a message is not what it should be.
fn bad(error: impl std::fmt::Display) -> Failure {
    fail!(InvalidArgument, "malformed message: {error}")
}

/// Unwraps a message field that must be there.
///
/// # Errors
/// INVALID_ARGUMENT, naming the field.
pub fn required<T>(field: Option<T>, name: &str) -> Result<T, Failure> {
    field.ok_or_else(|| bad(format_args!("the field {name} is missing")))
}

/// Reads a file name.
///
/// # Errors
/// INVALID_NAME.
pub fn name(text: &str) -> Result<FileName, Failure> {
    FileName::new(text).map_err(|error| Failure::new(ErrorCode::InvalidName, error.to_string()))
}

/// Reads a size in bytes.
///
/// # Errors
/// INVALID_ARGUMENT over 2^63-1.
pub fn size(bytes: u64) -> Result<u64, Failure> {
    if bytes > MAX_SIZE { Err(bad(format_args!("a size of {bytes} bytes"))) } else { Ok(bytes) }
}

fn visibility(value: i32) -> Result<Visibility, Failure> {
    match pb::Visibility::try_from(value) {
        Ok(pb::Visibility::Public) => Ok(Visibility::Public),
        Ok(pb::Visibility::Private) => Ok(Visibility::Private),
        _ => Err(bad("an unknown visibility")),
    }
}

impl From<Visibility> for pb::Visibility {
    fn from(value: Visibility) -> Self {
        match value {
            Visibility::Public => Self::Public,
            Visibility::Private => Self::Private,
        }
    }
}

impl TryFrom<pb::Visibility> for Visibility {
    type Error = Failure;
    fn try_from(value: pb::Visibility) -> Result<Self, Failure> {
        visibility(value as i32)
    }
}

impl TryFrom<pb::Record> for Record {
    type Error = Failure;
    fn try_from(record: pb::Record) -> Result<Self, Failure> {
        Ok(Self {
            file: FileId::from_bytes(&record.file_id).map_err(bad)?,
            name: name(&record.name)?,
            version: record.version,
            content: Content {
                hash: ContentId::from_bytes(&record.hash).map_err(bad)?,
                size: size(record.size)?,
            },
            owner: AccountId::from_bytes(&record.owner).map_err(bad)?,
            visibility: visibility(record.visibility)?,
            serial: record.serial,
            published_ms: record.published_ms,
        })
    }
}

impl From<&Record> for pb::Record {
    fn from(record: &Record) -> Self {
        Self {
            file_id: record.file.to_vec().into(),
            name: record.name.to_string(),
            version: record.version,
            hash: record.content.hash.to_vec().into(),
            size: record.content.size,
            owner: record.owner.to_vec().into(),
            visibility: pb::Visibility::from(record.visibility).into(),
            serial: record.serial,
            published_ms: record.published_ms,
        }
    }
}

impl TryFrom<pb::Grant> for Grant {
    type Error = Failure;
    fn try_from(grant: pb::Grant) -> Result<Self, Failure> {
        let verb = |value: &i32| match pb::Verb::try_from(*value) {
            Ok(pb::Verb::Get) => Ok(Verb::Get),
            _ => Err(bad("an unknown verb")),
        };
        Ok(Self {
            record: required(grant.record, "record")?.try_into()?,
            verbs: grant.verbs.iter().map(verb).collect::<Result<_, _>>()?,
            account: AccountId::from_bytes(&grant.account).map_err(bad)?,
            bearer: grant.bearer.parse().map_err(bad)?,
            expires_ms: grant.expires_ms,
            asked_ms: grant.asked_ms,
        })
    }
}

impl From<&Grant> for pb::Grant {
    fn from(grant: &Grant) -> Self {
        Self {
            record: Some((&grant.record).into()),
            verbs: grant.verbs.iter().map(|Verb::Get| pb::Verb::Get.into()).collect(),
            account: grant.account.to_vec().into(),
            bearer: grant.bearer.to_string(),
            expires_ms: grant.expires_ms,
            asked_ms: grant.asked_ms,
        }
    }
}

impl TryFrom<pb::Ticket> for Ticket {
    type Error = Failure;
    fn try_from(ticket: pb::Ticket) -> Result<Self, Failure> {
        Ok(Self {
            upload: UploadId::from_bytes(&ticket.upload_id).map_err(bad)?,
            peer: PeerId::from_bytes(&ticket.peer).map_err(bad)?,
            name: name(&ticket.name)?,
            max_size: size(ticket.max_size)?,
            visibility: visibility(ticket.visibility)?,
            account: AccountId::from_bytes(&ticket.account).map_err(bad)?,
            bearer: ticket.bearer.parse().map_err(bad)?,
            expires_ms: ticket.expires_ms,
        })
    }
}

impl From<&Ticket> for pb::Ticket {
    fn from(ticket: &Ticket) -> Self {
        Self {
            upload_id: ticket.upload.to_vec().into(),
            peer: ticket.peer.to_vec().into(),
            name: ticket.name.to_string(),
            max_size: ticket.max_size,
            visibility: pb::Visibility::from(ticket.visibility).into(),
            account: ticket.account.to_vec().into(),
            bearer: ticket.bearer.to_string(),
            expires_ms: ticket.expires_ms,
        }
    }
}
