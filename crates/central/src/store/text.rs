//! Texts in SQL: patterns, ranges, and the marks that make beginnings of words findable by
//! trigrams.

use peral_model::search::word_starts;

/// Stands between the tags of a file in one column; no tag holds it.
pub(super) const SEPARATOR: char = '\u{1f}';
/// Stands before a beginning of a word.
const MARK: char = '\u{1}';

/// A `LIKE` pattern for names that hold the text.
pub(super) fn like_containing(text: &str) -> String {
    format!("%{}%", like_literal(text))
}

/// A `LIKE` pattern for names that look like the pattern of `*` and `?`.
pub(super) fn like_glob(pattern: &str) -> String {
    let mut like = String::with_capacity(pattern.len() + 8);
    for c in pattern.chars() {
        match c {
            '*' => like.push('%'),
            '?' => like.push('_'),
            _ => push_literal(&mut like, c),
        }
    }
    like
}

fn like_literal(text: &str) -> String {
    let mut like = String::with_capacity(text.len() + 8);
    text.chars().for_each(|c| push_literal(&mut like, c));
    like
}

fn push_literal(like: &mut String, c: char) {
    if matches!(c, '%' | '_' | '\\') {
        like.push('\\');
    }
    like.push(c);
}

/// A `GLOB` pattern of SQLite for a pattern of `*` and `?`: only `[` means something else there.
pub(super) fn sqlite_glob(pattern: &str) -> String {
    pattern.replace('[', "[[]")
}

/// The first text, in byte order, behind all that begin with this one; none if there is no such
/// text.
pub(super) fn behind_prefix(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        let next = match u32::from(last) {
            0xD7FF => Some('\u{E000}'),
            code => char::from_u32(code + 1),
        };
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

/// Runs of literal text in a pattern, long enough for trigrams.
pub(super) fn literal_runs(pattern: &str) -> impl Iterator<Item = &str> {
    pattern.split(['*', '?']).filter(|run| run.chars().nth(2).is_some())
}

/// How a beginning of a word stands in the text index: as one trigram.
pub(super) fn marked_start(start: &str) -> String {
    let marks = if start.chars().nth(1).is_some() { 1 } else { 2 };
    std::iter::repeat_n(MARK, marks).chain(start.chars()).collect()
}

/// All beginnings of the words of a folded name, marked.
pub(super) fn marked_starts(folded: &str) -> String {
    word_starts(folded).iter().map(|start| marked_start(start)).collect()
}

/// A folded name as the text index has it: without marks of its own.
pub(super) fn unmarked(folded: &str) -> String {
    folded.replace(MARK, " ")
}

/// A `MATCH` expression for rows that have all trigrams of the texts.
pub(super) fn match_expression<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut expression = String::new();
    for text in texts {
        for trigram in trigrams(text) {
            if !expression.is_empty() {
                expression.push_str(" AND ");
            }
            expression.push('"');
            expression.push_str(&trigram.replace('"', "\"\""));
            expression.push('"');
        }
    }
    expression
}

/// Enough trigrams of a text to cover its characters, at most 24: what they find is checked against
/// the text anyway.
fn trigrams(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let last = chars.len().saturating_sub(3);
    let step = if chars.len() <= 12 { 1 } else { 3 };
    let starts = (0..last).step_by(step).take(23).chain([last]);
    starts.map(|start| chars.iter().skip(start).take(3).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_a_prefix_comes_the_next_text_in_byte_order() {
        assert_eq!(behind_prefix("ab"), Some("ac".into()));
        assert_eq!(behind_prefix("a\u{10FFFF}"), Some("b".into()));
        assert_eq!(behind_prefix("\u{D7FF}"), Some("\u{E000}".into()));
        assert_eq!(behind_prefix("\u{10FFFF}"), None);
    }

    #[test]
    fn patterns_take_everything_else_literally() {
        assert_eq!(like_glob("a*b?c%_\\"), "a%b_c\\%\\_\\\\");
        assert_eq!(like_containing("50%"), "%50\\%%");
        assert_eq!(sqlite_glob("a[b]*"), "a[[]b]*");
    }

    #[test]
    fn trigrams_cover_a_text_and_are_quoted() {
        assert_eq!(match_expression(["ab\"c"].into_iter()), "\"ab\"\"\" AND \"b\"\"c\"");
        assert_eq!(trigrams("abc"), ["abc"]);
        assert!(trigrams(&"x".repeat(500)).len() <= 24);
    }

    #[test]
    fn a_beginning_is_one_trigram() {
        assert_eq!(marked_start("m"), "\u{1}\u{1}m");
        assert_eq!(marked_starts("mo"), "\u{1}\u{1}m\u{1}mo");
    }
}
