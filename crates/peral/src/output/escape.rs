//! Names come from strangers: nothing in them may control the terminal.

use std::{
    borrow::Cow,
    fmt::{self, Write},
};

/// A text that is safe to show: control characters (C0, DEL, C1), line separators and characters
/// that change the direction of writing appear as escapes such as `\u{1b}`.
#[derive(Debug, Clone, Copy)]
pub struct Escaped<'a>(pub &'a str);

/// Any text on one line, without control characters.
pub fn escape(text: &str) -> Cow<'_, str> {
    if text.chars().any(must_hide) {
        Cow::Owned(Escaped(text).to_string())
    } else {
        Cow::Borrowed(text)
    }
}

/// The same between quotation marks, which show spaces at the ends.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", Escaped(text))
}

/// The same for our own text of several lines: line ends stay.
pub fn escape_lines(text: &str) -> String {
    text.split('\n').map(escape).collect::<Vec<_>>().join("\n")
}

impl fmt::Display for Escaped<'_> {
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
    fn nothing_that_controls_a_terminal_gets_through() {
        let name = "a\u{1b}]0;owned\u{7}\r\n\tb\u{9b}31m\u{7f}\u{202e}gpj.exe\u{2066}\u{0}\u{2028}";
        let seen = escape(name);
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
            assert!(matches!(escape(name), Cow::Borrowed(same) if same == name));
        }
    }

    #[test]
    fn our_own_lines_stay_lines() {
        assert_eq!(escape_lines("a\u{1b}\nb\tc\n"), "a\\u{1b}\nb\\tc\n");
    }
}
