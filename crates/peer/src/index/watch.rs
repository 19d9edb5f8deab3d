//! File system events: hints where to look. Some get lost; walks find the rest.

use std::{
    collections::{BTreeSet, HashSet},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use notify_debouncer_full::{
    DebounceEventResult, Debouncer, RecommendedCache, new_debouncer_opt,
    notify::{
        Config, EventKind, RecommendedWatcher, RecursiveMode,
        event::{AccessKind, AccessMode},
    },
};
use tokio::sync::mpsc;

use crate::db::shares::ShareRow;

/// Events of one path within this time are one.
const DEBOUNCE: Duration = Duration::from_millis(400);

type Debounced = Debouncer<RecommendedWatcher, RecommendedCache>;

/// Paths that changed; `None` when events were lost.
pub type Changed = Option<BTreeSet<PathBuf>>;

/// Watches the folders of all shares.
pub struct Watcher {
    debouncer: Option<Debounced>,
    watched: HashSet<PathBuf>,
}

impl Watcher {
    /// A watcher that sends what changed.
    pub fn new(events: mpsc::Sender<Changed>) -> Self {
        // When the indexer is behind, the next event that it takes says so: then it walks.
        let lost = Arc::new(AtomicBool::new(false));
        let handler = move |result: DebounceEventResult| {
            let changed = match result {
                Ok(events)
                    if !lost.swap(false, Ordering::SeqCst)
                        && !events.iter().any(|event| event.need_rescan()) =>
                {
                    let paths: BTreeSet<_> = events
                        .into_iter()
                        .filter(|event| is_change(event.kind))
                        .flat_map(|event| event.event.paths)
                        .collect();
                    if paths.is_empty() {
                        return;
                    }
                    Some(paths)
                }
                _ => None,
            };
            if events.try_send(changed).is_err() {
                lost.store(true, Ordering::SeqCst);
            }
        };
        let config = Config::default().with_follow_symlinks(false);
        let made = new_debouncer_opt::<_, RecommendedWatcher, RecommendedCache>(
            DEBOUNCE,
            None,
            handler,
            RecommendedCache::new(),
            config,
        );
        let debouncer = made
            .inspect_err(
                |error| tracing::warn!(%error, "cannot watch shares; rescans find their changes"),
            )
            .ok();
        Self { debouncer, watched: HashSet::new() }
    }

    /// Watches exactly these shares.
    pub async fn watch(&mut self, shares: &[ShareRow]) {
        let wanted: HashSet<PathBuf> =
            shares.iter().map(|share| PathBuf::from(&share.path)).collect();
        let Some(mut debouncer) = self.debouncer.take() else { return };
        let gone: Vec<PathBuf> = self.watched.difference(&wanted).cloned().collect();
        let new: Vec<PathBuf> = wanted.difference(&self.watched).cloned().collect();
        // Adding a large tree takes a while.
        let done = tokio::task::spawn_blocking(move || {
            gone.iter().for_each(|path| drop(debouncer.unwatch(path)));
            let added: Vec<PathBuf> =
                new.into_iter().filter(|path| add(&mut debouncer, path)).collect();
            (debouncer, gone, added)
        });
        if let Ok((debouncer, gone, added)) = done.await {
            self.debouncer = Some(debouncer);
            self.watched.retain(|path| !gone.contains(path));
            self.watched.extend(added);
        }
    }
}

fn add(debouncer: &mut Debounced, path: &Path) -> bool {
    let watched = debouncer.watch(path, RecursiveMode::Recursive);
    if let Err(error) = &watched {
        tracing::warn!(path = %path.display(), %error, "cannot watch this share; rescans find its changes");
    }
    watched.is_ok()
}

/// Reading a file is not a change.
fn is_change(kind: EventKind) -> bool {
    !matches!(kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write))
}
