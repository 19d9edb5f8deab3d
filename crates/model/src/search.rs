//! The text of a search: what it asks for, and which names it matches.
//!
//! [`Query::matches`] is the meaning; the databases answer the same by indexes and are tested
//! against it.

use std::collections::BTreeSet;

use crate::{ContentId, FileName, name::fold};

/// Most terms of a query.
pub const MAX_TERMS: usize = 8;
/// Longest query in bytes.
pub const MAX_QUERY: usize = 512;
/// Shortest text, in characters, that is looked for anywhere in a name: what a trigram index can
/// find.
pub const TRIGRAM: usize = 3;

/// What a search asks for: all terms must match. Without terms it matches everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    /// At most [`MAX_TERMS`].
    pub terms: Vec<Term>,
}

/// One term. All texts have their case folded and are not empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Term {
    /// `hash:` and 64 hexadecimal digits, or the digits alone: that content.
    Hash(ContentId),
    /// `prefix:text` or `^text`: the name begins so. The text is literal.
    Prefix(String),
    /// With `*` (any text, slashes too) or `?` (one character): the whole name looks like this. All
    /// else is literal; `**` was made `*`.
    Glob(String),
    /// Three characters or more: somewhere in the name.
    Contains(String),
    /// One or two letters or digits: a word of the name begins so.
    WordStart(String),
}

/// Why a text is not a query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuery {
    /// Over [`MAX_QUERY`] bytes.
    #[error("the query has {0} bytes; the most is 512")]
    TooLong(usize),
    /// Over [`MAX_TERMS`] terms.
    #[error("the query has {0} terms; the most is 8")]
    TooManyTerms(usize),
    /// `hash:` with something else than a hash.
    #[error("{0:?} is not a content hash; write hash: and 64 hexadecimal digits")]
    NotAHash(String),
    /// `prefix:` or `^` alone.
    #[error("{0:?} needs the beginning of a name after it")]
    EmptyPrefix(String),
    /// One or two characters that begin no word.
    #[error(
        "{0:?} is too short; terms of one or two characters find words, so they are letters and \
         digits only (or use * and ?)"
    )]
    TooShort(String),
}

impl Query {
    /// Reads a query: terms with white space between them.
    ///
    /// What is marked wins: `hash:`, `prefix:` and `^` first, then 64 hexadecimal digits, then `*`
    /// and `?`.
    ///
    /// # Errors
    /// Too long, too many terms, or a term that could never match.
    pub fn parse(text: &str) -> Result<Self, InvalidQuery> {
        if text.len() > MAX_QUERY {
            return Err(InvalidQuery::TooLong(text.len()));
        }
        let terms: Vec<&str> = text.split_whitespace().collect();
        if terms.len() > MAX_TERMS {
            return Err(InvalidQuery::TooManyTerms(terms.len()));
        }
        Ok(Self { terms: terms.into_iter().map(Term::parse).collect::<Result<_, _>>()? })
    }

    /// Does a file of this name and content match all terms?
    pub fn matches(&self, name: &FileName, content: &ContentId) -> bool {
        let folded = name.folded();
        self.terms.iter().all(|term| term.matches(&folded, content))
    }
}

impl Term {
    fn parse(text: &str) -> Result<Self, InvalidQuery> {
        if let Some(hash) = text.strip_prefix("hash:") {
            return hash.parse().map(Self::Hash).map_err(|_| InvalidQuery::NotAHash(text.into()));
        }
        if let Some(prefix) = text.strip_prefix("prefix:").or_else(|| text.strip_prefix('^')) {
            let empty = || InvalidQuery::EmptyPrefix(text.into());
            return (!prefix.is_empty()).then(|| Self::Prefix(fold(prefix))).ok_or_else(empty);
        }
        if let Ok(hash) = text.parse() {
            return Ok(Self::Hash(hash));
        }
        let folded = fold(text);
        if folded.contains(['*', '?']) {
            return Ok(Self::Glob(collapse(&folded)));
        }
        if folded.chars().count() >= TRIGRAM {
            return Ok(Self::Contains(folded));
        }
        let word = folded.chars().all(char::is_alphanumeric);
        if word { Ok(Self::WordStart(folded)) } else { Err(InvalidQuery::TooShort(text.into())) }
    }

    fn matches(&self, folded: &str, content: &ContentId) -> bool {
        match self {
            Self::Hash(hash) => hash == content,
            Self::Prefix(text) => folded.starts_with(text.as_str()),
            Self::Glob(pattern) => looks_like(pattern, folded),
            Self::Contains(text) => folded.contains(text.as_str()),
            Self::WordStart(text) => words(folded).any(|word| word.starts_with(text.as_str())),
        }
    }
}

/// The words of a folded name: the longest runs of letters and digits.
fn words(folded: &str) -> impl Iterator<Item = &str> {
    folded.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// The distinct beginnings, of one and of two characters, of the words of a folded name, in order:
/// what an index of [`Term::WordStart`] holds.
pub fn word_starts(folded: &str) -> Vec<String> {
    let starts = words(folded)
        .flat_map(|word| [1, 2].map(|length| word.chars().take(length).collect::<String>()));
    starts.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Makes one `*` of several in a row: they mean the same.
fn collapse(pattern: &str) -> String {
    let mut shorter = String::with_capacity(pattern.len());
    for c in pattern.chars() {
        if c != '*' || !shorter.ends_with('*') {
            shorter.push(c);
        }
    }
    shorter
}

/// Does the whole text look like the pattern? Goes back to the last `*` only, so the time is at
/// most length times length.
fn looks_like(pattern: &str, text: &str) -> bool {
    let mut pattern = pattern.chars();
    let mut text = text.chars();
    let mut again = None;
    loop {
        let (wanted, found) = (pattern.clone().next(), text.clone().next());
        match (wanted, found) {
            (None, None) => return true,
            (Some('*'), _) => {
                pattern.next();
                again = Some((pattern.clone(), text.clone()));
            }
            (Some(wanted), Some(found)) if wanted == '?' || wanted == found => {
                pattern.next();
                text.next();
            }
            _ => {
                let Some((behind_star, mut rest)) = again.take() else { return false };
                if rest.next().is_none() {
                    return false;
                }
                (pattern, text) = (behind_star.clone(), rest.clone());
                again = Some((behind_star, rest));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HASH: &str = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";

    fn finds(query: &str, name: &str) -> bool {
        Query::parse(query).unwrap().matches(&FileName::new(name).unwrap(), &ContentId::of(b""))
    }

    #[test]
    fn what_a_user_writes_finds_what_a_user_means() {
        let name = "Models/Llama-3 8B.Q4.gguf";
        for query in [
            "",
            "  ",
            "llama",
            "LLAMA gguf",
            "q4",
            "8",
            "^models/",
            "prefix:MODELS",
            "*.gguf",
            "models/*",
            "m*3?8b*",
            "**q4**",
            "hash:",
            HASH,
        ] {
            let query = if query == "hash:" { format!("hash:{HASH}") } else { query.into() };
            assert!(finds(&query, name), "{query:?}");
        }
        let other = HASH.replace('a', "b");
        for query in
            ["mistral", "llama mistral", "lama-38", "ma", "^llama", "*.ggu", "llama*", "?", &other]
        {
            assert!(!finds(query, name), "{query:?}");
        }
    }

    #[test]
    fn only_two_characters_are_special_and_marks_make_them_plain() {
        assert!(finds("100%_[a]", "x/100%_[a]\\") && !finds("100%_[a]", "x/100xy[a]"));
        assert!(finds("[a]*", "[a]b") && !finds("[a]*", "ab"));
        assert!(finds("^a*b", "a*bc") && !finds("^a*b", "axb"));
        assert_eq!(Query::parse("a***b?"), Ok(Query { terms: vec![Term::Glob("a*b?".into())] }));
    }

    #[test]
    fn what_can_never_match_is_refused() {
        let long = "x".repeat(513);
        assert_eq!(Query::parse(&long), Err(InvalidQuery::TooLong(513)));
        assert_eq!(Query::parse("a b c d e f g h i"), Err(InvalidQuery::TooManyTerms(9)));
        assert_eq!(Query::parse("hash:12"), Err(InvalidQuery::NotAHash("hash:12".into())));
        for query in ["^", "prefix:"] {
            assert_eq!(Query::parse(query), Err(InvalidQuery::EmptyPrefix(query.into())));
        }
        for query in ["-", "a-", "//"] {
            assert_eq!(Query::parse(query), Err(InvalidQuery::TooShort(query.into())));
        }
    }

    /// The plainest matcher there is: exponential, and right.
    fn plain_match(pattern: &[char], text: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['*', rest @ ..] => (0..=text.len()).any(|skip| plain_match(rest, &text[skip..])),
            [wanted, rest @ ..] => {
                text.first().is_some_and(|found| *wanted == '?' || wanted == found)
                    && plain_match(rest, &text[1..])
            }
        }
    }

    proptest! {
        #[test]
        fn a_glob_means_what_the_plainest_matcher_says(
            pattern in "[ab*?/]{0,8}",
            text in "[ab/]{0,10}",
        ) {
            let chars: Vec<char> = pattern.chars().collect();
            let letters: Vec<char> = text.chars().collect();
            prop_assert_eq!(looks_like(&pattern, &text), plain_match(&chars, &letters));
            prop_assert_eq!(looks_like(&collapse(&pattern), &text), plain_match(&chars, &letters));
        }

        #[test]
        fn any_text_is_a_query_or_an_error(text in "\\PC{0,80}") {
            if let Ok(query) = Query::parse(&text) {
                query.matches(&FileName::new("some/name").unwrap(), &ContentId::of(b""));
            }
        }

        #[test]
        fn a_part_of_a_name_in_any_case_finds_it(
            name in "[\\PC&&[^/*?^:\\s]]{3,20}",
            from in 0usize..18,
            upper in any::<bool>(),
        ) {
            prop_assume!(FileName::new(&name).is_ok());
            let part: String = name.chars().skip(from).take(TRIGRAM + 2).collect();
            prop_assume!(part.chars().count() >= TRIGRAM);
            // Only where upper case is a mere change of case, as it is not for ß.
            let raised: String = part.to_uppercase();
            let part = if upper && fold(&raised) == fold(&part) { raised } else { part };
            prop_assert!(finds(&part, &name), "{:?} in {:?}", part, name);
        }

        #[test]
        fn word_starts_are_what_short_terms_find(
            name in "[a-cA-C0-1ß_./ -]{1,12}",
            term in "[a-c0-1ß]{1,2}",
        ) {
            prop_assume!(FileName::new(&name).is_ok());
            let indexed = word_starts(&fold(&name)).contains(&fold(&term));
            prop_assert_eq!(finds(&term, &name), indexed);
        }
    }
}
