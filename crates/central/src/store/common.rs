//! Which searches were found to be common: only a hint of where to look first, never of what is
//! found.

use std::{collections::HashSet, sync::Mutex};

use peral_runtime::Lock;

use super::files::FileSearch;

/// Most searches that are remembered; then all are forgotten, and found out again.
const MOST: usize = 4096;

/// Searches whose terms match more than the index is asked for.
#[derive(Default)]
pub(super) struct Common {
    keys: Mutex<HashSet<String>>,
}

fn key(search: &FileSearch) -> String {
    format!("{:?} {:?} {:?}", search.query, search.tag, search.hash)
}

impl Common {
    /// Was it common the last time?
    pub(super) fn has(&self, search: &FileSearch) -> bool {
        self.keys.locked().contains(&key(search))
    }

    /// It is common.
    pub(super) fn note(&self, search: &FileSearch) {
        let mut keys = self.keys.locked();
        if keys.len() >= MOST {
            keys.clear();
        }
        keys.insert(key(search));
    }

    /// It may no longer be.
    pub(super) fn forget(&self, search: &FileSearch) {
        self.keys.locked().remove(&key(search));
    }
}
