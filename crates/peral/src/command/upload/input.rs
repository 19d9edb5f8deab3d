//! The bytes of an upload: a file, or standard input, which is written to a file first.

use std::{
    fs::File,
    io::{self, ErrorKind, IsTerminal},
    os::fd::{AsFd, AsRawFd},
    path::{Path, PathBuf},
};

use peral_model::ContentId;
use peral_peer::Spool;
use peral_transfer::hashing;
use peral_wire::{Failure, fail};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use crate::{
    context::Context,
    control::ControlClient,
    interrupt::interrupted,
    output::{Step, TransferPhase},
};

/// Bytes of standard input to read before asking the peer again for its free space.
const STEP: u64 = 64 << 20;
/// Bytes to read at once.
const CHUNK: usize = 1 << 20;
#[cfg(target_os = "linux")]
const DESCRIPTORS: &str = "/proc/self/fd";
#[cfg(not(target_os = "linux"))]
const DESCRIPTORS: &str = "/dev/fd";

/// Bytes that can be read more than once.
pub struct Input {
    pub path: PathBuf,
    pub size: u64,
    /// The local peer has them on its disk already.
    pub placed: bool,
    file: File,
    backing: Backing,
}

/// What holds the bytes.
enum Backing {
    UserFile,
    /// A file without a name: it disappears when it is closed.
    Unnamed,
    /// A file in the data folder of the local peer, deleted with this value.
    Spooled {
        _spool: Spool,
    },
}

impl Input {
    /// The user's file.
    ///
    /// # Errors
    /// INVALID_ARGUMENT.
    pub fn of(path: PathBuf, placed: bool) -> Result<Self, Failure> {
        let unreadable =
            |error: io::Error| fail!(InvalidArgument, "could not read {}: {error}", path.display());
        let facts = path.metadata().map_err(unreadable)?;
        if !facts.is_file() {
            return Err(fail!(InvalidArgument, "{} is not a regular file", path.display()));
        }
        let file = File::open(&path).map_err(unreadable)?;
        Ok(Self { size: facts.len(), placed, file, backing: Backing::UserFile, path })
    }

    /// All of standard input, written where the local peer can take it over, or else into a
    /// temporary file. Nothing is left of it after an error.
    ///
    /// # Errors
    /// INVALID_ARGUMENT: it could not be read. INTEGRITY: it has not the expected size. NO_SPACE.
    /// CANCELLED.
    pub async fn stdin(
        context: &Context,
        peer: Option<&mut ControlClient>,
        expected: Option<u64>,
    ) -> Result<Self, Failure> {
        if io::stdin().is_terminal() {
            context
                .out
                .note("reading from the terminal; end the input with Ctrl-D on an empty line");
        }
        let input = match (&context.data, peer) {
            (Some(data), Some(control)) => Self::spool(data)?.fill(context, Some(control)).await?,
            _ => Self::temporary(&std::env::temp_dir())?.fill(context, None).await?,
        };
        match expected {
            Some(expected) if expected != input.size => Err(fail!(
                Integrity,
                "standard input had {} bytes instead of {expected}: nothing was published",
                input.size
            )),
            _ => Ok(input),
        }
    }

    fn spool(data: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| {
            fail!(Internal, "could not write into the peer's folder {}: {error}", data.display())
        };
        let spool = Spool::new(data).map_err(failed)?;
        let file = spool.file().try_clone().map_err(failed)?;
        let path = spool.path().to_owned();
        Ok(Self { path, size: 0, placed: true, file, backing: Backing::Spooled { _spool: spool } })
    }

    fn temporary(folder: &Path) -> Result<Self, Failure> {
        let file = tempfile::tempfile_in(folder).map_err(|error| {
            fail!(
                InvalidArgument,
                "could not create a temporary file in {}: {error}; set TMPDIR",
                folder.display()
            )
        })?;
        let path = Path::new(DESCRIPTORS).join(file.as_raw_fd().to_string());
        Ok(Self { path, size: 0, placed: false, file, backing: Backing::Unnamed })
    }

    /// Whether only this command can read them.
    pub fn is_once(&self) -> bool {
        !matches!(self.backing, Backing::UserFile)
    }

    /// Hashes them in the background.
    pub fn hash(&self) -> impl Future<Output = Result<ContentId, Failure>> + use<> {
        let (file, size) = (self.file.try_clone(), self.size);
        let source = if self.is_once() {
            "the stored input".to_owned()
        } else {
            self.path.display().to_string()
        };
        let task = tokio::task::spawn_blocking(move || {
            let hashed = file.and_then(|file| hashing::hash_file(&file, size, |_| Ok(())));
            hashed.map_err(|error| fail!(InvalidArgument, "could not read {source}: {error}"))
        });
        async {
            task.await.unwrap_or_else(|error| Err(fail!(Internal, "hashing stopped: {error}")))
        }
    }

    async fn fill(
        mut self,
        context: &Context,
        mut peer: Option<&mut ControlClient>,
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
                () = &mut interrupted => return Err(fail!(
                    Cancelled,
                    "the upload was cancelled; nothing was published"
                )),
            };
            if read == 0 {
                break;
            }
            file.write_all(&buffer[..read]).await.map_err(|error| self.unwritten(&error))?;
            self.size += read as u64;
            meter.step(&Step {
                phase: TransferPhase::Moving,
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
            "the volume of the local peer"
        } else {
            "the folder for temporary files (TMPDIR)"
        };
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                fail!(NoSpace, "{whose} is full after {} bytes: nothing was published", self.size)
            }
            _ => fail!(Internal, "could not write the input to {whose}: {error}"),
        }
    }
}

/// Without the standard library's buffer, which is small.
fn standard_input() -> Result<tokio::fs::File, Failure> {
    let own = io::stdin().as_fd().try_clone_to_owned();
    let own =
        own.map_err(|error| fail!(InvalidArgument, "could not read standard input: {error}"))?;
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
            "could not read standard input after {before} bytes: {error}; nothing was published"
        )
    })
}

/// Bytes to write before asking the peer again.
async fn room(control: &mut ControlClient) -> Result<u64, Failure> {
    let status = control.status().await?;
    if status.shares.is_empty() {
        return Err(fail!(
            InvalidArgument,
            "the local peer has no share for uploads: run `peral share FOLDER`"
        ));
    }
    if status.state == "full" || status.room < STEP {
        return Err(fail!(
            NoSpace,
            "the volume of the local peer is full: it accepts no uploads until there is more free \
             space; nothing was published"
        ));
    }
    Ok(STEP)
}
