//! The state of one accepted download, and how it is watched.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use futures::Stream;
use peral_model::Content;
use peral_runtime::Lock;
use peral_transfer::{
    fetch::FetchRequest,
    progress::{Observer, Phase, Progress},
};
use peral_wire::{Failure, pb};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Maximum number of notes that are kept for late watchers.
const MAX_NOTES: usize = 64;

/// How a download ended: the record of what was fetched, or why not.
pub(super) type JobResult = Result<pb::Envelope, Failure>;

/// One accepted download.
pub(super) struct Job {
    id: Uuid,
    name: String,
    path: PathBuf,
    content: Content,
    version: (peral_model::FileId, u64),
    cancel: CancellationToken,
    inside: Mutex<Inside>,
    /// Counts the changes.
    changed: watch::Sender<u64>,
}

struct Inside {
    progress: Progress,
    notes: VecDeque<(u64, String)>,
    noted: u64,
    end: Option<JobResult>,
}

impl Job {
    pub fn new(id: Uuid, request: &FetchRequest) -> Self {
        let record = &request.record.value;
        let progress = Progress {
            phase: Phase::Waiting,
            done: 0,
            total: record.content.size,
            fetched: 0,
            sources: 0,
        };
        Self {
            id,
            name: record.name.to_string(),
            path: request.path.clone(),
            content: record.content,
            version: (record.file, record.version),
            cancel: CancellationToken::new(),
            inside: Mutex::new(Inside { progress, notes: VecDeque::new(), noted: 0, end: None }),
            changed: watch::channel(0).0,
        }
    }

    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Whether it is a download of this version to this path.
    pub fn same(&self, request: &FetchRequest) -> bool {
        let record = &request.record.value;
        self.version == (record.file, record.version)
            && self.content == record.content
            && same_path(&self.path, &request.path)
    }

    pub fn target(&self) -> (PathBuf, Content) {
        (self.path.clone(), self.content)
    }

    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    pub fn cancelled(&self) -> &CancellationToken {
        &self.cancel
    }

    pub fn end(&self, end: JobResult) {
        self.lock().end = Some(end);
        self.tell();
    }

    pub fn has_ended(&self) -> bool {
        self.lock().end.is_some()
    }

    pub fn is_done(&self) -> bool {
        matches!(self.lock().end, Some(Ok(_)))
    }

    /// Waits for the end.
    pub async fn ended(&self) {
        let mut changed = self.changed.subscribe();
        // The sender is in `self`.
        drop(changed.wait_for(|_| self.has_ended()).await);
    }

    pub fn shown(&self) -> pb::Job {
        let inside = self.lock();
        let (state, detail) = match (&inside.end, inside.progress.phase) {
            (Some(Err(failure)), _) => ("failed", failure.to_string()),
            (_, Phase::Waiting) => ("waiting", String::new()),
            _ => ("moving", String::new()),
        };
        pb::Job {
            job: self.id.as_bytes().to_vec().into(),
            name: self.name.clone(),
            path: self.path.to_string_lossy().into_owned(),
            done: inside.progress.done,
            total: inside.progress.total,
            state: state.into(),
            detail,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.locked()
    }

    fn tell(&self) {
        self.changed.send_modify(|number| *number = number.wrapping_add(1));
    }
}

impl Observer for Job {
    fn progress(&self, progress: &Progress) {
        self.lock().progress = *progress;
        self.tell();
    }

    fn note(&self, text: &str) {
        {
            let mut inside = self.lock();
            inside.noted += 1;
            let number = inside.noted;
            inside.notes.push_back((number, text.to_owned()));
            if inside.notes.len() > MAX_NOTES {
                inside.notes.pop_front();
            }
        }
        self.tell();
    }
}

/// Progress as the wire says it.
pub(super) fn message(id: Uuid, progress: &Progress) -> pb::Progress {
    let phase = match progress.phase {
        Phase::Waiting => pb::Phase::Waiting,
        Phase::Hashing => pb::Phase::Hashing,
        Phase::Moving => pb::Phase::Moving,
        Phase::Publishing => pb::Phase::Publishing,
    };
    pb::Progress {
        job: id.as_bytes().to_vec().into(),
        phase: phase.into(),
        done: progress.done,
        total: progress.total,
        fetched: progress.fetched,
        sources: progress.sources,
        ..pb::Progress::default()
    }
}

/// What a watcher has not seen yet.
struct News {
    progress: Progress,
    notes: Vec<String>,
    end: Option<JobResult>,
}

impl Job {
    fn news(&self, heard: &mut u64) -> News {
        let inside = self.lock();
        let notes = inside
            .notes
            .iter()
            .filter(|(number, _)| *number > *heard)
            .map(|(_, note)| note.clone())
            .collect();
        *heard = inside.noted;
        News { progress: inside.progress, notes, end: inside.end.clone() }
    }
}

/// Whether two paths name the same file, as far as can be told without looking.
fn same_path(one: &Path, other: &Path) -> bool {
    one.components().eq(other.components())
}

/// All notes that are kept, each change of the progress, and the end.
pub(super) fn watch(job: Arc<Job>) -> impl Stream<Item = Result<pb::Progress, Failure>> + Send {
    async_stream::try_stream! {
        let mut changed = job.changed.subscribe();
        let (mut heard, mut told) = (0, None);
        loop {
            changed.mark_unchanged();
            let News { progress, notes, end } = job.news(&mut heard);
            for note in notes {
                yield pb::Progress { note, ..message(job.id, &progress) };
            }
            if told.replace(progress) != Some(progress) {
                yield message(job.id, &progress);
            }
            if let Some(end) = end {
                let last = Progress { done: progress.total, ..progress };
                yield pb::Progress { record: Some(end?), phase: pb::Phase::Done.into(), ..message(job.id, &last) };
                return;
            }
            // The sender is in `job`.
            drop(changed.changed().await);
        }
    }
}
