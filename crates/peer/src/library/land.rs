//! Where an upload ends: published, in a share, and held.

use std::{
    fs::{self, File, Permissions},
    io,
    os::{fd::OwnedFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use peral_model::{Content, Record, Ticket, UploadId, Visibility};
use peral_transfer::{Stamp, disk::open_plain};
use peral_wire::{
    ErrorCode, Failure, Sealed, fail,
    rest::files::{NewVersion, Publish, PublishResult},
};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags};

use super::Library;
use crate::db::{broken, files::Placed, signed};

/// How long central gets to note the holding of an upload.
const NOTED: Duration = Duration::from_secs(60);

/// Where a file is about to appear: a folder that was entered through no symlink, and a hidden name
/// in it until all is ready.
struct Target {
    folder: OwnedFd,
    temp: String,
    last: String,
    path: PathBuf,
    share: Option<i64>,
}

impl Library {
    /// Can this peer take an upload at all? To be asked before its bytes move.
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
        let (path, private) = (temp.to_path_buf(), ticket.value.visibility == Visibility::Private);
        blocking(move || make_durable(&path, private)).await?;
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
            .map_err(|path| fail!(InvalidName, "{} is no UTF-8", path.to_string_lossy()))?;
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
        for target in self.targets(&record.value).await? {
            let (from, value) = (temp.to_path_buf(), record.value.clone());
            let Some((target, stamp)) =
                blocking(move || Ok(prepare(&target, &from, value.content.size))).await?
            else {
                continue;
            };
            if self.appear(target, stamp, &record).await? {
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
    async fn targets(&self, record: &Record) -> Result<Vec<Wish>, Failure> {
        let mut wishes = Vec::new();
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
            let there = older.map_or(There::Nothing, |row| There::Older(row.stamp()));
            wishes.push(Wish {
                root: share.path.clone().into(),
                below,
                share: Some(share.number),
                there,
            });
        }
        let below = format!("{}-{}", record.file, record.version);
        wishes.push(Wish { root: self.0.data.kept(), below, share: None, there: There::Ours });
        Ok(wishes)
    }

    /// Row first, then the name: whoever sees the file finds its row.
    async fn appear(
        &self,
        target: Ready,
        stamp: Stamp,
        record: &Sealed<Record>,
    ) -> Result<bool, Failure> {
        let Some(path) = target.at.path.to_str().map(str::to_owned) else { return Ok(false) };
        let before = self.0.db.file_at(&path).await?;
        if before.is_some() && target.there == There::Nothing {
            return Ok(false);
        }
        // Before its row goes: what this peer held, it holds all the time.
        let kept = match &before {
            Some(row) if matches!(target.there, There::Older(_)) => self.keep(row).await?,
            _ => None,
        };
        let share = target.at.share;
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
        let named = blocking(move || Ok(target.name())).await?;
        if let Some(kept) = kept {
            self.end_keep(kept, named.is_ok()).await?;
        }
        if let Err(error) = named {
            tracing::info!(%path, %error, "an upload cannot have this path");
            if let Some(row) = self.0.db.file_at(&path).await? {
                self.forget_row(row.id).await?;
            }
            return Ok(false);
        }
        Ok(true)
    }
}

/// A place that an upload could have.
struct Wish {
    root: PathBuf,
    below: String,
    share: Option<i64>,
    there: There,
}

/// What may be at a place for an upload to take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum There {
    Nothing,
    /// An older version of the same file, as it was indexed. What its user has written since is
    /// nowhere else.
    Older(Stamp),
    /// Whatever is in the data folder.
    Ours,
}

/// The bytes are in the right folder, under a hidden name.
struct Ready {
    at: Target,
    there: There,
}

impl Drop for Ready {
    fn drop(&mut self) {
        // Gone already when all went well.
        let _ = rustix::fs::unlinkat(&self.at.folder, self.at.temp.as_str(), AtFlags::empty());
    }
}

impl Ready {
    /// Is an older version still what was indexed?
    fn check(&self) -> io::Result<()> {
        let There::Older(stamp) = self.there else { return Ok(()) };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let found = match rustix::fs::openat(
            &self.at.folder,
            self.at.last.as_str(),
            flags,
            Mode::empty(),
        ) {
            Err(rustix::io::Errno::NOENT) => return Ok(()),
            found => Stamp::of(&File::from(found?))?,
        };
        if found == stamp {
            Ok(())
        } else {
            Err(io::Error::other("what is there was changed since it was indexed"))
        }
    }

    fn name(&self) -> io::Result<()> {
        self.check()?;
        let at = &self.at;
        let flags = if self.there == There::Nothing {
            RenameFlags::NOREPLACE
        } else {
            RenameFlags::empty()
        };
        rustix::fs::renameat_with(
            &at.folder,
            at.temp.as_str(),
            &at.folder,
            at.last.as_str(),
            flags,
        )?;
        Ok(rustix::fs::fsync(&at.folder)?)
    }
}

/// Brings the bytes into the folder of the wish. Nothing if that cannot be.
fn prepare(wish: &Wish, temp: &Path, size: u64) -> Option<(Ready, Stamp)> {
    let made = enter(wish).and_then(|at| {
        let ready = Ready { at, there: wish.there };
        ready.check()?;
        let at = &ready.at;
        match rustix::fs::linkat(CWD, temp, &at.folder, at.temp.as_str(), AtFlags::empty()) {
            Ok(()) => {}
            Err(_) => copy(temp, at)?,
        }
        let file = File::from(rustix::fs::openat(
            &at.folder,
            at.temp.as_str(),
            OFlags::RDONLY | OFlags::NOFOLLOW,
            Mode::empty(),
        )?);
        if wish.there == There::Ours {
            file.set_permissions(Permissions::from_mode(0o600))?;
        }
        let stamp = Stamp::of(&file)?;
        if stamp.size == size {
            Ok((ready, stamp))
        } else {
            Err(io::Error::other("the bytes of the upload are not whole"))
        }
    });
    made.inspect_err(|error| tracing::info!(root = %wish.root.display(), below = wish.below, %error, "an upload cannot go there")).ok()
}

/// Another volume: the bytes are copied, by the file system where it can.
fn copy(temp: &Path, at: &Target) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
    let mut from = File::open(temp)?;
    let mode = from.metadata()?.permissions().mode();
    let mut to = File::from(rustix::fs::openat(
        &at.folder,
        at.temp.as_str(),
        flags,
        Mode::from_raw_mode(mode & 0o777),
    )?);
    io::copy(&mut from, &mut to)?;
    to.sync_all()
}

/// Makes the folders of the wish, and enters them through no symlink.
fn enter(wish: &Wish) -> io::Result<Target> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut folder = rustix::fs::open(&wish.root, flags, Mode::empty())?;
    let mut segments: Vec<&str> = wish.below.split('/').collect();
    let last = segments.pop().unwrap_or_default().to_owned();
    for segment in segments {
        match rustix::fs::mkdirat(&folder, segment, Mode::from_raw_mode(0o755)) {
            // The folder that has a new entry is made durable too.
            Ok(()) => rustix::fs::fsync(&folder)?,
            Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        folder = rustix::fs::openat(&folder, segment, flags, Mode::empty())?;
    }
    let temp = format!(".peral-{}", uuid::Uuid::new_v4().simple());
    Ok(Target { folder, temp, last, path: wish.root.join(&wish.below), share: wish.share })
}

fn make_durable(temp: &Path, private: bool) -> io::Result<()> {
    let file = open_plain(temp)?;
    file.set_permissions(Permissions::from_mode(if private { 0o600 } else { 0o644 }))?;
    file.sync_all()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await.map_err(broken)?;
    done.map_err(|error| match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            fail!(NoSpace, "the disk of this peer is full: {error}")
        }
        _ => fail!(Internal, "the disk of this peer refuses: {error}"),
    })
}

fn another(ticket: &Ticket) -> Failure {
    Failure::new(
        ErrorCode::AlreadyExists,
        format!("this upload of {} was ended with another content; begin a new one", ticket.name),
    )
}
