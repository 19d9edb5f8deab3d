//! The bytes of an upload: a file that is there, or standard input, which is written down first.

use std::{
    fs::File,
    io::{self, ErrorKind, IsTerminal},
    os::fd::{AsFd, AsRawFd},
    path::{Path, PathBuf},
};

use peral_model::ContentId;
use peral_peer::library::Spool;
use peral_transfer::hashing;
use peral_wire::{Failure, fail};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use crate::{
    context::Context,
    control::Control,
    interrupt::interrupted,
    output::{Phase, Step},
};

/// Bytes of standard input that are read before the peer is asked again what room there is.
const STEP: u64 = 64 << 20;
/// Bytes that are read at once.
const CHUNK: usize = 1 << 20;
#[cfg(target_os = "linux")]
const DESCRIPTORS: &str = "/proc/self/fd";
#[cfg(not(target_os = "linux"))]
const DESCRIPTORS: &str = "/dev/fd";

/// Bytes that can be read as often as is needed.
pub struct Input {
    /// Where.
    pub path: PathBuf,
    /// How many.
    pub size: u64,
    /// The peer here has them on its disk already.
    pub placed: bool,
    /// The same, open.
    file: File,
    /// Only this command can read them; they go with it.
    backing: Backing,
}

enum Backing {
    /// It is the user's file.
    UserFile,
    /// Without a name: it is gone with the last who has it open.
    Unnamed,
    /// In the data folder of the peer here.
    Spooled { _spool: Spool },
}

impl Input {
    /// A file that is there.
    ///
    /// # Errors
    /// INVALID_ARGUMENT.
    pub fn of(path: PathBuf, placed: bool) -> Result<Self, Failure> {
        let unreadable =
            |error: io::Error| fail!(InvalidArgument, "{} cannot be read: {error}", path.display());
        let facts = path.metadata().map_err(unreadable)?;
        if !facts.is_file() {
            return Err(fail!(InvalidArgument, "{} is no regular file", path.display()));
        }
        let file = File::open(&path).map_err(unreadable)?;
        Ok(Self { size: facts.len(), placed, file, backing: Backing::UserFile, path })
    }

    /// All of standard input, written where the peer here can take it over, or else into a
    /// temporary file.
    ///
    /// # Errors
    /// INVALID_ARGUMENT: it broke off. INTEGRITY: it is not as long as was said. NO_SPACE.
    /// CANCELLED. Nothing is left of it then.
    pub async fn stdin(
        context: &Context,
        here: Option<&mut Control>,
        said: Option<u64>,
    ) -> Result<Self, Failure> {
        if io::stdin().is_terminal() {
            context.out.note("reading what is typed, up to Ctrl-D on a line of its own");
        }
        let input = match (&context.data, here) {
            (Some(data), Some(control)) => {
                let failed = |error: io::Error| {
                    fail!(
                        Internal,
                        "nothing can be written for the peer in {}: {error}",
                        data.display()
                    )
                };
                let spool = Spool::new(data).map_err(failed)?;
                let file = spool.file().try_clone().map_err(failed)?;
                Self {
                    path: spool.path().to_owned(),
                    size: 0,
                    placed: true,
                    file,
                    backing: Backing::Spooled { _spool: spool },
                }
                .fill(context, Some(control))
                .await?
            }
            _ => {
                let folder = std::env::temp_dir();
                let failed = |error: io::Error| {
                    fail!(
                        InvalidArgument,
                        "no temporary file can be made in {}: {error}; set TMPDIR",
                        folder.display()
                    )
                };
                let file = tempfile::tempfile_in(&folder).map_err(failed)?;
                let path = Path::new(DESCRIPTORS).join(file.as_raw_fd().to_string());
                Self { path, size: 0, placed: false, file, backing: Backing::Unnamed }
                    .fill(context, None)
                    .await?
            }
        };
        match said {
            Some(said) if said != input.size => Err(fail!(
                Integrity,
                "standard input had {} bytes, and {said} were to come: nothing was published",
                input.size
            )),
            _ => Ok(input),
        }
    }

    /// Can only this command read them?
    pub fn is_once(&self) -> bool {
        !matches!(self.backing, Backing::UserFile)
    }

    /// Hashes them in the background.
    pub fn hash(&self) -> impl Future<Output = Result<ContentId, Failure>> + use<> {
        let (file, size) = (self.file.try_clone(), self.size);
        let shown = if self.is_once() {
            "what was read".to_owned()
        } else {
            self.path.display().to_string()
        };
        let task = tokio::task::spawn_blocking(move || {
            let hashed = file.and_then(|file| hashing::hash_file(&file, size, |_| Ok(())));
            hashed.map_err(|error| fail!(InvalidArgument, "{shown} cannot be read: {error}"))
        });
        async {
            task.await.unwrap_or_else(|error| Err(fail!(Internal, "hashing ended early: {error}")))
        }
    }

    async fn fill(
        mut self,
        context: &Context,
        mut peer: Option<&mut Control>,
    ) -> Result<Self, Failure> {
        let file = self.file.try_clone().map_err(|error| fail!(Internal, "{error}"))?;
        let mut file = tokio::fs::File::from_std(file);
        file.set_max_buf_size(CHUNK);
        let meter = context.out.meter();
        let (mut buffer, mut allowed) = (vec![0; CHUNK], 0);
        let (mut input, interrupted) = (standard_input()?, interrupted());
        tokio::pin!(interrupted);
        loop {
            if let Some(control) = peer.as_deref_mut().filter(|_| self.size >= allowed) {
                allowed = self.size + room(control).await?;
            }
            let read = tokio::select! {
                read = next(&mut input, &mut buffer, self.size) => read?,
                () = &mut interrupted => return Err(fail!(Cancelled, "the upload was ended; nothing was published")),
            };
            if read == 0 {
                break;
            }
            file.write_all(&buffer[..read]).await.map_err(|error| self.unwritten(&error))?;
            self.size += read as u64;
            meter.step(&Step {
                phase: Phase::Moving,
                done: self.size,
                total: 0,
                fetched: 0,
                sources: 0,
            });
        }
        file.flush().await.map_err(|error| self.unwritten(&error))?;
        meter.finish();
        Ok(self)
    }

    fn unwritten(&self, error: &io::Error) -> Failure {
        let whose = if self.placed {
            "the peer's volume"
        } else {
            "the folder for temporary files (TMPDIR)"
        };
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                fail!(NoSpace, "{whose} is full after {} bytes: nothing was published", self.size)
            }
            _ => fail!(Internal, "what was read cannot be written to {whose}: {error}"),
        }
    }
}

/// Without the buffer of the standard library's, which is small.
fn standard_input() -> Result<tokio::fs::File, Failure> {
    let own = io::stdin().as_fd().try_clone_to_owned();
    let own =
        own.map_err(|error| fail!(InvalidArgument, "standard input cannot be read: {error}"))?;
    let mut file = tokio::fs::File::from_std(File::from(own));
    file.set_max_buf_size(CHUNK);
    Ok(file)
}

async fn next(
    input: &mut (impl AsyncRead + Unpin),
    buffer: &mut [u8],
    before: u64,
) -> Result<usize, Failure> {
    let read = input.read(buffer).await;
    read.map_err(|error| {
        fail!(
            InvalidArgument,
            "standard input broke off after {before} bytes: {error}; nothing was published"
        )
    })
}

/// Bytes that can be written before the peer is asked again.
async fn room(control: &mut Control) -> Result<u64, Failure> {
    let status = control.status().await?;
    if status.shares.is_empty() {
        return Err(fail!(
            InvalidArgument,
            "the peer here has no share to put uploads into: run `peral share FOLDER`"
        ));
    }
    if status.state == "full" || status.room < STEP {
        return Err(fail!(
            NoSpace,
            "the volume of the peer here is full: it takes no uploads until there is more room; \
             nothing was published"
        ));
    }
    Ok(STEP)
}
