//! File names: slash-separated, relative, and never able to leave a directory.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Longest name in bytes: it fits an index row of both databases and any path of Linux.
pub const MAX_NAME: usize = 1024;
/// Longest segment in bytes: what Linux file systems take.
pub const MAX_SEGMENT: usize = 255;

/// A name in the catalogue. Any Unicode but NUL, kept byte for byte; never absolute, never with
/// `.`, `..` or an empty segment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct FileName(String);

/// Why a text is not a file name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the name {shown} {reason}")]
pub struct InvalidName {
    shown: String,
    reason: &'static str,
}

impl FileName {
    /// Checks a name.
    ///
    /// # Errors
    /// Empty, absolute, over [`MAX_NAME`] bytes, or with a segment that is empty, `.`, `..`, over
    /// [`MAX_SEGMENT`] bytes or holds NUL.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidName> {
        let text = text.into();
        match fault(&text) {
            None => Ok(Self(text)),
            Some(reason) => Err(InvalidName { shown: shorten(&text), reason }),
        }
    }

    /// The name as it is.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last segment: what a download is called where no path is given.
    pub fn last_segment(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The segments, none of them empty.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// The name with its case folded, as search compares it.
    pub fn folded(&self) -> String {
        fold(&self.0)
    }

    /// Whether a segment begins with a dot. Indexers leave such files out.
    pub fn is_hidden(&self) -> bool {
        self.segments().any(|segment| segment.starts_with('.'))
    }
}

/// Folds case as search does on both databases: character by character, so that a part of a name
/// folds to a part of the folded name.
pub fn fold(text: &str) -> String {
    // Both small sigmas are one: which one a capital becomes would depend on the next letter.
    text.chars().flat_map(char::to_lowercase).map(|c| if c == 'ς' { 'σ' } else { c }).collect()
}

fn fault(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        return Some("is empty");
    }
    if text.len() > MAX_NAME {
        return Some("is longer than 1,024 bytes");
    }
    if text.starts_with('/') {
        return Some("is absolute; names begin without a slash");
    }
    text.split('/').find_map(|segment| match segment {
        "" => Some("has an empty segment"),
        "." | ".." => Some("has the segment . or .."),
        _ if segment.len() > MAX_SEGMENT => Some("has a segment of more than 255 bytes"),
        _ if segment.contains('\0') => Some("has a NUL character"),
        _ => None,
    })
}

fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for FileName {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        Self::new(text)
    }
}

impl<'de> Deserialize<'de> for FileName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_could_leave_a_directory_is_refused() {
        let long = "x".repeat(256);
        for text in [
            "",
            "/",
            "/etc/passwd",
            "a//b",
            "a/",
            "..",
            "a/../b",
            "./a",
            "a/.",
            "a\0b",
            long.as_str(),
            &"a/".repeat(600),
        ] {
            assert!(FileName::new(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn any_other_unicode_comes_back_equal() {
        for text in [
            "a",
            "models/llama 3.gguf",
            "ünï/çødé",
            "e\u{301}",
            "\u{1b}]0;x\u{7}",
            "a\\b",
            "...",
            ".hidden",
            "\u{202e}txt.exe",
        ] {
            assert_eq!(FileName::new(text).map(|name| name.to_string()), Ok(text.to_string()));
        }
    }

    #[test]
    fn the_message_names_the_name_and_the_reason() {
        let message = FileName::new("a/../b").map_err(|error| error.to_string());
        assert_eq!(message, Err(r#"the name "a/../b" has the segment . or .."#.to_string()));
    }

    proptest! {
        #[test]
        fn a_valid_name_joined_to_a_directory_stays_below_it(text in "\\PC{0,40}") {
            if let Ok(name) = FileName::new(text) {
                let joined = Path::new("/share").join(name.as_str());
                prop_assert!(joined.components().all(|part| part != Component::ParentDir));
                prop_assert!(joined.starts_with("/share") && joined != Path::new("/share"));
            }
        }
    }
}
