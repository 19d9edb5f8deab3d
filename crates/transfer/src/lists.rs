//! Piece lists on disk: one file for each content of more than one piece, with 32 bytes per entry,
//! named by the content's hash.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use peral_model::{
    Content, ContentId,
    pieces::{self, ENTRY, Fold},
};
use peral_runtime::Lock;
use tempfile::NamedTempFile;

use crate::{disk, hashing};

/// Maximum number of lists that are remembered as checked; beyond it, lists are checked again.
const MAX_CHECKED: usize = 100_000;

/// A folder of piece lists. Cheap to clone.
///
/// Lists are not synced to disk: they can be made again. So each is checked once after the start,
/// before it is used.
#[derive(Debug, Clone)]
pub struct ListStore {
    folder: Arc<Path>,
    checked: Arc<Mutex<HashSet<ContentId>>>,
}

impl ListStore {
    /// Keeps lists in this folder, which is created where it is missing.
    ///
    /// # Errors
    /// The folder cannot be created.
    pub fn new(folder: &Path) -> io::Result<Self> {
        disk::private_folder(folder)?;
        Ok(Self { folder: folder.into(), checked: Arc::default() })
    }

    /// Where the list of a content is, or would be.
    pub fn path(&self, hash: &ContentId) -> PathBuf {
        self.folder.join(hash.to_string())
    }

    /// Starts a list whose entries come one by one.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn writer(&self) -> io::Result<ListWriter> {
        let temp = tempfile::Builder::new().prefix(".new-").tempfile_in(&self.folder)?;
        Ok(ListWriter { out: BufWriter::new(temp), fold: Fold::default(), store: self.clone() })
    }

    /// Stores the list of a content of more than one piece, if it folds to the content's hash.
    ///
    /// # Errors
    /// `InvalidData` when it does not fold to the hash; otherwise the disk refuses.
    pub fn save(
        &self,
        content: &Content,
        entries: impl IntoIterator<Item = [u8; ENTRY]>,
    ) -> io::Result<()> {
        let mut writer = self.writer()?;
        entries.into_iter().try_for_each(|entry| writer.push(entry))?;
        writer.finish(content)
    }

    /// The list of a content; `None` if there is none, or it is damaged. A content of at most one
    /// piece always has one. Blocks; the first time for as long as it takes to read the list.
    pub fn open(&self, content: &Content) -> Option<PieceList> {
        let entries = pieces::entries(content.size);
        if entries == 0 {
            return Some(PieceList::of_one(*content));
        }
        let file = File::open(self.path(&content.hash)).ok()?;
        let whole = entries.checked_mul(ENTRY as u64) == Some(file.metadata().ok()?.len());
        (whole && (self.is_checked(&content.hash) || self.check(&file, content)))
            .then(|| PieceList { content: *content, file: Some(Arc::new(file)) })
    }

    fn is_checked(&self, hash: &ContentId) -> bool {
        self.checked.locked().contains(hash)
    }

    fn note_checked(&self, hash: ContentId) {
        let mut checked = self.checked.locked();
        if checked.len() >= MAX_CHECKED {
            checked.clear();
        }
        checked.insert(hash);
    }

    fn check(&self, file: &File, content: &Content) -> bool {
        let mut reader = BufReader::with_capacity(64 << 10, file);
        let (mut fold, mut entry) = (Fold::default(), [0; ENTRY]);
        for _ in 0..pieces::entries(content.size) {
            if reader.read_exact(&mut entry).is_err() {
                return false;
            }
            fold.push(entry);
        }
        let whole = fold.finish() == Some(content.hash);
        if whole {
            self.note_checked(content.hash);
        }
        whole
    }

    /// Hashes a file and stores its list. Blocks.
    ///
    /// # Errors
    /// Reading the file or writing the list fails.
    pub fn hash(&self, file: &File, size: u64) -> io::Result<Content> {
        if pieces::entries(size) == 0 {
            return Ok(Content { hash: hashing::hash_file(file, size, |_| Ok(()))?, size });
        }
        let mut writer = self.writer()?;
        let content =
            Content { hash: hashing::hash_file(file, size, |entry| writer.push(entry))?, size };
        writer.finish(&content)?;
        Ok(content)
    }

    /// Contents whose lists were written longer ago than this. Blocks.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn older_than(&self, age: Duration) -> io::Result<Vec<ContentId>> {
        let mut old = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let written = entry.metadata().and_then(|found| found.modified());
            let is_old = written.is_ok_and(|time| time.elapsed().is_ok_and(|since| since > age));
            if is_old
                && let Some(hash) = entry.file_name().to_str().and_then(|name| name.parse().ok())
            {
                old.push(hash);
            }
        }
        Ok(old)
    }

    /// Deletes a list, if there is one.
    pub fn remove(&self, hash: &ContentId) {
        self.checked.locked().remove(hash);
        drop(fs::remove_file(self.path(hash)));
    }
}

/// A list that is being written.
pub struct ListWriter {
    out: BufWriter<NamedTempFile>,
    fold: Fold,
    store: ListStore,
}

impl ListWriter {
    /// Takes the next entry.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn push(&mut self, entry: [u8; ENTRY]) -> io::Result<()> {
        self.fold.push(entry);
        self.out.write_all(&entry)
    }

    /// Number of entries so far.
    pub fn count(&self) -> u64 {
        self.fold.count()
    }

    /// Stores the list, if it folds to the content's hash.
    ///
    /// # Errors
    /// `InvalidData` when it does not; otherwise the disk refuses.
    pub fn finish(self, content: &Content) -> io::Result<()> {
        if self.fold.count() != pieces::entries(content.size)
            || self.fold.finish() != Some(content.hash)
        {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("the piece list does not fold to {}", content.hash),
            ));
        }
        let temp = self.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        temp.persist(self.store.path(&content.hash)).map_err(|error| error.error)?;
        self.store.note_checked(content.hash);
        Ok(())
    }
}

/// The piece list of one content, read from disk as needed. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PieceList {
    content: Content,
    file: Option<Arc<File>>,
}

impl PieceList {
    /// The list of a content of at most one piece: its hash checks it.
    pub fn of_one(content: Content) -> Self {
        Self { content, file: None }
    }

    /// The content that it belongs to.
    pub fn content(&self) -> Content {
        self.content
    }

    /// What piece `index` must hash to, as [`peral_model::pieces::entry`] gives it. Blocks for as
    /// long as a small read takes.
    ///
    /// # Errors
    /// The piece does not exist, or reading fails.
    pub fn entry(&self, index: u64) -> io::Result<[u8; ENTRY]> {
        match &self.file {
            None if index == 0 => Ok(self.content.hash.0),
            _ if index >= pieces::count(self.content.size) => {
                Err(io::Error::other(format!("piece {index} does not exist")))
            }
            None => Err(io::Error::other("the list of one piece was asked for another")),
            Some(file) => {
                let mut entry = [0; ENTRY];
                file.read_exact_at(&mut entry, index * ENTRY as u64)?;
                Ok(entry)
            }
        }
    }

    /// The encoded entries from `first` on, at most `count`, as `PieceListPart` carries them; empty
    /// behind the end and for a content of at most one piece. Blocks.
    ///
    /// # Errors
    /// Reading fails.
    pub fn encoded(&self, first: u64, count: u64) -> io::Result<Vec<u8>> {
        let count = count.min(pieces::entries(self.content.size).saturating_sub(first));
        let mut bytes = vec![0; usize::try_from(count).map_err(io::Error::other)? * ENTRY];
        if let Some(file) = self.file.as_ref().filter(|_| count > 0) {
            file.read_exact_at(&mut bytes, first * ENTRY as u64)?;
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use peral_model::pieces::PIECE;

    use super::*;

    fn store() -> (tempfile::TempDir, ListStore) {
        let temp = tempfile::tempdir().unwrap();
        let store = ListStore::new(&temp.path().join("lists")).unwrap();
        (temp, store)
    }

    fn file(size: u64) -> File {
        let file = tempfile::tempfile().unwrap();
        file.set_len(size).unwrap();
        file.write_at(b"something", size / 2).unwrap();
        file.set_len(size).unwrap();
        file
    }

    #[test]
    fn a_list_reads_back_as_it_was_hashed() {
        let (_temp, store) = store();
        let size = 3 * PIECE + 100;
        let file = file(size);
        let content = store.hash(&file, size).unwrap();
        let list = store.open(&content).unwrap();
        let expected = hashing::hash_pieces(&file, size, 0, 4).unwrap();
        assert_eq!((0..4).map(|index| list.entry(index).unwrap()).collect::<Vec<_>>(), expected);
        assert_eq!(list.encoded(1, 2).unwrap(), expected[1..3].concat());
        assert_eq!(list.encoded(3, 100).unwrap(), expected[3..].concat());
        assert!(
            list.entry(4).is_err()
                && list.encoded(4, 1).unwrap().is_empty()
                && list.encoded(u64::MAX, 1).unwrap().is_empty()
        );
    }

    #[test]
    fn one_piece_needs_no_file() {
        let (_temp, store) = store();
        for size in [0, 1, PIECE] {
            let content = store.hash(&file(size), size).unwrap();
            assert_eq!(store.open(&content).unwrap().entry(0).unwrap(), content.hash.0);
            assert!(!store.path(&content.hash).exists());
            assert!(store.open(&content).unwrap().entry(1).is_err());
        }
    }

    #[test]
    fn a_list_that_proves_nothing_is_not_stored() {
        let (_temp, store) = store();
        let size = 2 * PIECE;
        let content = Content { hash: ContentId::of(b"another"), size };
        let entries = hashing::hash_pieces(&file(size), size, 0, 2).unwrap();
        assert_eq!(store.save(&content, entries).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(store.open(&content).is_none());
        assert_eq!(fs::read_dir(&store.folder).unwrap().count(), 0, "nothing is left behind");
    }

    #[test]
    fn a_list_cut_short_on_disk_is_not_used() {
        let (_temp, store) = store();
        let size = 2 * PIECE;
        let content = store.hash(&file(size), size).unwrap();
        File::options().write(true).open(store.path(&content.hash)).unwrap().set_len(40).unwrap();
        assert!(store.open(&content).is_none());
    }

    #[test]
    fn a_list_damaged_while_nobody_ran_is_not_used() {
        let (_temp, store) = store();
        let size = 2 * PIECE;
        let content = store.hash(&file(size), size).unwrap();
        File::options()
            .write(true)
            .open(store.path(&content.hash))
            .unwrap()
            .write_at(b"x", 40)
            .unwrap();
        assert!(ListStore::new(&store.folder).unwrap().open(&content).is_none());
    }
}
