//! The lines of a page that its reader is told to paste.

use std::{fs, path::Path};

/// The blocks of a page that have a name (```` ```sh NAME ````), each to be used.
pub struct Page {
    blocks: Vec<(String, String)>,
}

impl Page {
    /// Reads a page of this repository.
    pub fn read(path: &str) -> Self {
        let text =
            fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path))
                .unwrap();
        let named =
            text.split("\n```").filter_map(|block| block.strip_prefix("sh ")?.split_once('\n'));
        Self { blocks: named.map(|(name, lines)| (name.to_owned(), lines.to_owned())).collect() }
    }

    /// The lines of a block, which must say that they are for this host.
    pub fn take(&mut self, name: &str, host: &str) -> String {
        let place = self
            .blocks
            .iter()
            .position(|(known, _)| known == name)
            .unwrap_or_else(|| panic!("the page has no block {name}"));
        let (_, lines) = self.blocks.remove(place);
        assert!(lines.starts_with(&format!("# on {host}")), "{name} is not for {host}: {lines}");
        lines
    }

    /// Has each block been used?
    pub fn is_done(&self) {
        assert!(self.blocks.is_empty(), "nobody tried {:?}", self.blocks);
    }
}
