//! Reads the forms of results from the page that `peral json` prints.

use std::{collections::BTreeMap, iter::Peekable, str::Chars};

use serde_json::Value;
use uuid::Uuid;

/// A documented field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    pub optional: bool,
    pub kind: Kind,
}

/// A documented kind of value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Text,
    Number,
    Bytes,
    Time,
    Bool,
    Id,
    Hash,
    OneOf(Vec<String>),
    List(Box<Kind>),
    Object(Vec<Field>),
}

impl Kind {
    /// Whether a value, which has no parts, is of this kind.
    pub fn is_of(&self, value: &Value) -> bool {
        let text = value.as_str();
        match self {
            Self::Text => text.is_some(),
            Self::Number => value.is_number(),
            Self::Bytes => value.is_u64(),
            Self::Time => value.is_i64(),
            Self::Bool => value.is_boolean(),
            Self::Id => text.is_some_and(|text| Uuid::try_parse(text).is_ok()),
            Self::Hash => text.is_some_and(|text| {
                text.len() == 64 && text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
            }),
            Self::OneOf(texts) => text.is_some_and(|text| texts.iter().any(|one| one == text)),
            Self::List(_) | Self::Object(_) => false,
        }
    }
}

/// The fields of each form, by its schema.
pub fn forms(page: &str) -> BTreeMap<String, Vec<Field>> {
    let (_, forms) = page.split_once("\nThe forms").expect("the part with the forms");
    let mut bodies: BTreeMap<String, String> = BTreeMap::new();
    let mut schema = String::new();
    for line in forms.lines().skip(1).filter(|line| !line.is_empty()) {
        if line.starts_with("    ") {
            bodies.get_mut(&schema).expect("a schema above the fields").push_str(line);
        } else {
            schema = line.trim().to_owned();
            assert!(bodies.insert(schema.clone(), String::new()).is_none(), "{schema} twice");
        }
    }
    let parse = |body: String| Parser { text: body.chars().peekable() }.fields(None);
    bodies.into_iter().map(|(schema, body)| (schema, parse(body))).collect()
}

struct Parser<'a> {
    text: Peekable<Chars<'a>>,
}

impl Parser<'_> {
    /// Fields up to a closing bracket, or to the end of the text.
    fn fields(&mut self, end: Option<char>) -> Vec<Field> {
        let mut fields = Vec::new();
        loop {
            let word = self.word();
            let name = word.trim_end_matches('?').to_owned();
            let optional = word.ends_with('?');
            self.expect(':');
            fields.push(Field { name, optional, kind: self.kind() });
            match self.next() {
                Some(',') => {}
                next if next == end => return fields,
                next => panic!("{next:?} after {:?}", fields.last()),
            }
        }
    }

    fn kind(&mut self) -> Kind {
        match self.peek() {
            Some('[') => {
                self.expect('[');
                let kind = self.kind();
                self.expect(']');
                Kind::List(Box::new(kind))
            }
            Some('{') => {
                self.expect('{');
                Kind::Object(self.fields(Some('}')))
            }
            Some('"') => {
                let mut texts = vec![self.quoted()];
                while self.peek() == Some('|') {
                    self.expect('|');
                    texts.push(self.quoted());
                }
                Kind::OneOf(texts)
            }
            _ => match self.word().as_str() {
                "text" => Kind::Text,
                "number" => Kind::Number,
                "bytes" => Kind::Bytes,
                "time" => Kind::Time,
                "bool" => Kind::Bool,
                "id" => Kind::Id,
                "hash" => Kind::Hash,
                other => panic!("{other:?} is not a documented kind"),
            },
        }
    }

    fn quoted(&mut self) -> String {
        self.expect('"');
        let text = self.word();
        self.expect('"');
        text
    }

    fn word(&mut self) -> String {
        self.peek();
        let mut word = String::new();
        while let Some(c) =
            self.text.next_if(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '?'))
        {
            word.push(c);
        }
        word
    }

    fn peek(&mut self) -> Option<char> {
        while self.text.next_if(char::is_ascii_whitespace).is_some() {}
        self.text.peek().copied()
    }

    fn next(&mut self) -> Option<char> {
        self.peek();
        self.text.next()
    }

    fn expect(&mut self, c: char) {
        assert_eq!(self.next(), Some(c));
    }
}
