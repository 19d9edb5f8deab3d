//! The file versions that are arriving in this process: a running fetch registers what it writes,
//! and the server finds it here.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, Weak},
};

use peral_model::FileId;
use peral_runtime::Lock;

use crate::holder::Holder;

/// Holders by file version. An entry lives as long as its holder. Cheap to clone; clones are one.
#[derive(Debug, Clone, Default)]
pub struct Registry(Arc<Mutex<HashMap<Version, Weak<Holder>>>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Version {
    file: FileId,
    number: u64,
}

impl Registry {
    /// Makes a holder known until it is dropped. Of two of one version the later one is found.
    pub fn register(&self, holder: &Arc<Holder>) {
        let record = &holder.record().value;
        let version = Version { file: record.file, number: record.version };
        let mut holders = self.0.locked();
        holders.retain(|_, holder| holder.strong_count() > 0);
        holders.insert(version, Arc::downgrade(holder));
    }

    /// The holder of a version that is arriving now.
    pub fn find(&self, file: FileId, version: u64) -> Option<Arc<Holder>> {
        self.0.locked().get(&Version { file, number: version }).and_then(Weak::upgrade)
    }
}
