//! Names come from strangers: nothing of them may steer a terminal.

use std::{
    borrow::Cow,
    fmt::{self, Write},
};

/// A text as a person may see it: control characters (C0, DEL, C1), line separators and characters
/// that turn the direction of writing appear as escapes such as `\u{1b}`.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a>(pub &'a str);

/// Shows any text on one line, without control characters.
pub fn shown(text: &str) -> Cow<'_, str> {
    if text.chars().any(must_hide) {
        Cow::Owned(Shown(text).to_string())
    } else {
        Cow::Borrowed(text)
    }
}

/// The same between quotation marks, so that spaces at the ends show too.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", Shown(text))
}

/// The same for text of several lines that we made: line ends stay.
pub fn shown_lines(text: &str) -> String {
    text.split('\n').map(shown).collect::<Vec<_>>().join("\n")
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c if must_hide(c) => write!(f, "\\u{{{:x}}}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

fn must_hide(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Direction marks, embeddings, overrides and isolates.
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Line and paragraph separators; an invisible mark; interlinear annotations.
            | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_gets_through() {
        let name = "a\u{1b}]0;owned\u{7}\r\n\tb\u{9b}31m\u{7f}\u{202e}gpj.exe\u{2066}\u{0}\u{2028}";
        let seen = shown(name);
        assert_eq!(
            seen,
            "a\\u{1b}]0;owned\\u{7}\\r\\n\\tb\\u{9b}31m\\u{7f}\\u{202e}gpj.exe\\u{2066}\\u{0}\\u{2028}"
        );
        assert!(!seen.chars().any(must_hide));
    }

    #[test]
    fn ordinary_names_of_any_script_are_untouched() {
        for name in ["models/llama 3.gguf", "ünï/çødé", "模型", "שלום", "👩‍🔬", "back\\slash", ""]
        {
            assert!(matches!(shown(name), Cow::Borrowed(same) if same == name));
        }
    }

    #[test]
    fn our_own_lines_stay_lines() {
        assert_eq!(shown_lines("a\u{1b}\nb\tc\n"), "a\\u{1b}\nb\\tc\n");
    }
}
