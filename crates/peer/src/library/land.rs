//! Where an upload ends: published, in a share, and held.

mod spot;

use std::{fs, io, path::Path, time::Duration};

use peral_model::{Content, Record, Ticket, UploadId, Visibility};
use peral_transfer::{
    blocking,
    disk::{Disk, open_plain, refused},
};
use peral_wire::{
    ErrorCode, Failure, Sealed, fail,
    rest::files::{NewVersion, Publish, PublishResult},
};

use self::spot::{Occupant, Prepared, Spot};
use super::Library;
use crate::db::{broken, files::Placed, signed};

/// How long central gets to note the holding of an upload.
const NOTED: Duration = Duration::from_secs(60);

impl Library {
    /// Whether this peer can take uploads at all: asked before any bytes move.
    ///
    /// # Errors
    /// INVALID_ARGUMENT when it has no share; SUPERSEDED.
    pub async fn may_land(&self) -> Result<(), Failure> {
        self.0.link.check()?;
        match self.shares().await?.first() {
            Some(_) => Ok(()),
            None => Err(fail!(
                InvalidArgument,
                "this peer has no share to put uploads into; run on it: peral share FOLDER"
            )),
        }
    }

    /// What became of an upload that was landed before, though its sender may not have heard of it.
    ///
    /// # Errors
    /// INTERNAL, when the database fails.
    pub async fn landed(&self, upload: UploadId) -> Result<Option<Sealed<Record>>, Failure> {
        let text = "SELECT r.envelope FROM uploads u JOIN records r ON r.file_id = u.file_id AND \
            r.version = u.version WHERE u.id = $1";
        let found: Option<Vec<u8>> = sqlx::query_scalar(text)
            .bind(upload.0)
            .fetch_optional(self.0.db.reader())
            .await
            .map_err(broken)?;
        found.as_deref().map(crate::db::records::stored).transpose()
    }

    /// Publishes an upload whose bytes are whole in `temp`, moves them into the first share under
    /// their name, and waits until central has noted the holding. Nothing that is another file is
    /// overwritten, and no name with a dot in front made: there, the bytes go into the data folder.
    /// Its piece list should be in the list store; else it is made when somebody asks for it.
    ///
    /// # Errors
    /// What central says of the publish; UNAVAILABLE; NO_SPACE; INTERNAL. `temp` is kept until the
    /// upload has landed.
    pub async fn land(
        &self,
        ticket: &Sealed<Ticket>,
        temp: &Path,
        content: Content,
    ) -> Result<Sealed<Record>, Failure> {
        if let Some(record) = self.landed(ticket.value.upload).await? {
            return if record.value.content == content {
                self.noted(record).await
            } else {
                Err(another(&ticket.value))
            };
        }
        self.may_land().await?;
        let (disk, path) = (self.0.data.disk().clone(), temp.to_path_buf());
        let private = ticket.value.visibility == Visibility::Private;
        let durable = move || make_durable(&disk, &path, private);
        blocking(move || durable().map_err(refused("make the upload durable"))).await?;
        let record = self.publish_upload(&ticket.value, content).await?;
        self.put_into_share(record.clone(), temp).await?;
        self.remember_upload(ticket.value.upload, &record.value).await?;
        self.noted(record).await
    }

    /// Publishes a file of a share where it is.
    ///
    /// # Errors
    /// NOT_FOUND when it is in no share or not there; CHANGED when it is being written; what
    /// central says of the publish.
    pub async fn land_in_place(
        &self,
        ticket: &Sealed<Ticket>,
        path: &Path,
    ) -> Result<Sealed<Record>, Failure> {
        let path = super::adopt::plain(path)?;
        let Some((share, name)) = self.share_of(&path).await? else {
            return Err(fail!(NotFound, "{} is in no share of this peer", path.display()));
        };
        let (lists, from, clock) = (self.0.lists.clone(), path.clone(), self.0.clock.clone());
        let hash = move || crate::index::hash_when_steady(&lists, &from, &*clock);
        let (content, stamp) = tokio::task::spawn_blocking(hash).await.map_err(broken)??;
        let record = self.publish_upload(&ticket.value, content).await?;
        let last_had = name == record.value.name.as_str();
        let path = path
            .into_os_string()
            .into_string()
            .map_err(|path| fail!(InvalidName, "{} is not valid UTF-8", path.to_string_lossy()))?;
        let now_ms = self.0.clock.now_ms();
        let placed = Placed {
            path,
            share: Some(share.number),
            stamp,
            record: record.clone(),
            fetched: false,
            last_had,
            now_ms,
        };
        self.place(placed).await?;
        self.remember_upload(ticket.value.upload, &record.value).await?;
        self.noted(record).await
    }

    async fn noted(&self, record: Sealed<Record>) -> Result<Sealed<Record>, Failure> {
        let late = || {
            fail!(
                Unavailable,
                "{} is published, but central did not note in time that this peer holds it; try \
                 again",
                record.value.name
            )
        };
        tokio::time::timeout(NOTED, self.acknowledged()).await.map_err(|_| late())??;
        Ok(record)
    }

    async fn publish_upload(
        &self,
        ticket: &Ticket,
        content: Content,
    ) -> Result<Sealed<Record>, Failure> {
        let version = NewVersion {
            name: ticket.name.to_string(),
            hash: content.hash,
            size: content.size,
            visibility: ticket.visibility,
            replaces: None,
            upload: Some(ticket.upload),
        };
        let publish =
            Publish { idempotency_key: format!("upload-{}", ticket.upload), files: vec![version] };
        let answer = self.0.link.catalogue().await?.publish(&publish).await?;
        let record = match answer.results.into_iter().next() {
            Some(PublishResult::Record(text)) => {
                Sealed::<Record>::from_text(&text, &self.0.rights.verifier())?
            }
            Some(PublishResult::Problem(problem)) => return Err(problem.into()),
            None => {
                return Err(fail!(
                    Internal,
                    "central gave no result for the upload of {}",
                    ticket.name
                ));
            }
        };
        let right = record.value.name == ticket.name && record.value.content == content;
        if right {
            Ok(record)
        } else {
            Err(fail!(Internal, "central published something else than {}", ticket.name))
        }
    }

    async fn remember_upload(&self, upload: UploadId, record: &Record) -> Result<(), Failure> {
        let (file, version) = (record.file.0, signed(record.version));
        let write = self.0.db.write(move |db| {
            Box::pin(async move {
                let text = "UPDATE uploads SET file_id = $2, version = $3 WHERE id = $1";
                sqlx::query(text)
                    .bind(upload.0)
                    .bind(file)
                    .bind(version)
                    .execute(db)
                    .await
                    .map(drop)
            })
        });
        write.await
    }

    async fn put_into_share(&self, record: Sealed<Record>, temp: &Path) -> Result<(), Failure> {
        // The indexer must not see the path without its row.
        let _moves = self.0.moves.lock().await;
        for spot in self.spots(&record.value).await? {
            let (disk, from) = (self.0.data.disk().clone(), temp.to_path_buf());
            let size = record.value.content.size;
            let prepared = blocking(move || Ok(spot.prepare(&disk, &from, size))).await?;
            let Some(prepared) = prepared else { continue };
            if self.appear(prepared, &record).await? {
                drop(fs::remove_file(temp));
                return Ok(());
            }
        }
        Err(fail!(
            Internal,
            "there is no place for {} in the first share of this peer or its data folder",
            record.value.name
        ))
    }

    /// Where the file may go, the best first.
    async fn spots(&self, record: &Record) -> Result<Vec<Spot>, Failure> {
        let mut spots = Vec::new();
        let shares = self.shares().await?;
        let first = shares.first().map(|share| {
            // Under a prefix, the share's own names begin with it.
            let below = record
                .name
                .as_str()
                .strip_prefix(&format!("{}/", share.prefix))
                .unwrap_or(record.name.as_str());
            (share, below.to_owned())
        });
        // A share is a user's folder, and programs do what names with a dot in it say: `.profile`,
        // `.ssh`, `.git`.
        if let Some((share, below)) =
            first.filter(|(_, below)| !below.split('/').any(|segment| segment.starts_with('.')))
        {
            let path = Path::new(&share.path).join(&below);
            let known = match path.to_str() {
                Some(text) => self.0.db.file_at(text).await?,
                None => None,
            };
            let older = known
                .filter(|row| row.version().is_some_and(|version| version.file == record.file));
            let occupant = older.map_or(Occupant::Nobody, |row| Occupant::Older(row.stamp()));
            let (root, share) = (share.path.clone().into(), Some(share.number));
            spots.push(Spot { root, below, share, occupant });
        }
        let below = format!("{}-{}", record.file, record.version);
        let root = self.0.data.kept();
        spots.push(Spot { root, below, share: None, occupant: Occupant::Ours });
        Ok(spots)
    }

    /// Row first, then the name: whoever sees the file finds its row.
    async fn appear(&self, prepared: Prepared, record: &Sealed<Record>) -> Result<bool, Failure> {
        let Ok(path) = prepared.spot.path().into_os_string().into_string() else {
            return Ok(false);
        };
        let before = self.0.db.file_at(&path).await?;
        if before.is_some() && prepared.spot.occupant == Occupant::Nobody {
            return Ok(false);
        }
        // Before its row goes: what this peer held, it holds all the time.
        let kept = match &before {
            Some(row) if matches!(prepared.spot.occupant, Occupant::Older(_)) => {
                self.keep(row).await?
            }
            _ => None,
        };
        let (share, stamp) = (prepared.spot.share, prepared.stamp);
        let last_had = share.is_some();
        let placed = Placed {
            path: path.clone(),
            share,
            stamp,
            record: record.clone(),
            fetched: false,
            last_had,
            now_ms: self.0.clock.now_ms(),
        };
        self.place(placed).await?;
        let appeared = blocking(move || Ok(prepared.appear())).await?;
        if let Some(kept) = kept {
            self.end_keep(kept, appeared.is_ok()).await?;
        }
        if let Err(error) = appeared {
            tracing::info!(%path, %error, "an upload cannot have this path");
            if let Some(row) = self.0.db.file_at(&path).await? {
                self.forget_row(row.id).await?;
            }
            return Ok(false);
        }
        Ok(true)
    }
}

fn make_durable(disk: &Disk, temp: &Path, private: bool) -> io::Result<()> {
    disk.finish(&open_plain(temp)?, if private { 0o600 } else { 0o644 })
}

fn another(ticket: &Ticket) -> Failure {
    Failure::new(
        ErrorCode::AlreadyExists,
        format!("this upload of {} was ended with another content; begin a new one", ticket.name),
    )
}
