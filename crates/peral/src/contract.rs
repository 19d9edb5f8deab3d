//! What programs and people can rely on: each JSON result has exactly the fields that `peral json`
//! documents, and the listings look as they do in the snapshots.

mod examples;
mod grammar;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use self::grammar::{Field, Kind};
use crate::command::help::JSON_PAGE;

/// Compares values with the documented kinds, and remembers which fields it has seen.
#[derive(Default)]
struct Comparison {
    differences: Vec<String>,
    present: BTreeSet<String>,
    missing: BTreeSet<String>,
}

impl Comparison {
    fn object(&mut self, at: &str, fields: &[Field], value: &Value) {
        let Some(object) = value.as_object() else {
            self.differences.push(format!("{at} is not an object: {value}"));
            return;
        };
        for name in object.keys().filter(|name| !fields.iter().any(|field| field.name == **name)) {
            self.differences.push(format!("{at}.{name} is not documented"));
        }
        for field in fields {
            let at = format!("{at}.{}", field.name);
            match object.get(&field.name) {
                Some(value) => {
                    self.value(&at, &field.kind, value);
                    self.present.insert(at);
                }
                None if field.optional => {
                    self.missing.insert(at);
                }
                None => self.differences.push(format!("{at} is documented and missing")),
            }
        }
    }

    fn value(&mut self, at: &str, kind: &Kind, value: &Value) {
        match (kind, value) {
            (Kind::Object(fields), _) => self.object(at, fields, value),
            (Kind::List(kind), Value::Array(items)) => {
                let at = format!("{at}[]");
                for item in items {
                    self.value(&at, kind, item);
                    self.present.insert(at.clone());
                }
            }
            _ if kind.is_of(value) => {}
            _ => self.differences.push(format!("{at} is not {kind:?}: {value}")),
        }
    }

    /// Fields that no example has, and optional ones that every example has.
    fn not_shown(&self, at: &str, fields: &[Field]) -> Vec<String> {
        let mut not_shown = Vec::new();
        for field in fields {
            let at = format!("{at}.{}", field.name);
            if !self.present.contains(&at) {
                not_shown.push(format!("no example has {at}"));
            }
            if field.optional && !self.missing.contains(&at) {
                not_shown.push(format!("every example has {at}, which can be missing"));
            }
            let (at, kind) = match &field.kind {
                Kind::List(kind) => (format!("{at}[]"), kind.as_ref()),
                kind => (at, kind),
            };
            match kind {
                Kind::Object(fields) => not_shown.extend(self.not_shown(&at, fields)),
                _ if at.ends_with("[]") && !self.present.contains(&at) => {
                    not_shown.push(format!("no example has an item of {at}"));
                }
                _ => {}
            }
        }
        not_shown
    }
}

#[test]
fn each_json_result_has_exactly_the_documented_fields() {
    let documented: BTreeMap<String, Vec<Field>> = grammar::forms(JSON_PAGE);
    let mut comparison = Comparison::default();
    let mut shown = BTreeSet::new();
    for mut example in examples::json() {
        let schema = example["schema"].as_str().unwrap().to_owned();
        example.as_object_mut().unwrap().remove("schema");
        let fields = documented.get(&schema);
        comparison.object(&schema, fields.expect("a documented form"), &example);
        shown.insert(schema);
    }
    assert_eq!(comparison.differences, Vec::<String>::new());
    let not_shown: Vec<String> = documented
        .iter()
        .flat_map(|(schema, fields)| comparison.not_shown(schema, fields))
        .collect();
    assert_eq!(not_shown, Vec::<String>::new());
    assert_eq!(shown, documented.into_keys().collect(), "every documented form has an example");
}

#[test]
fn every_schema_in_the_source_is_documented() {
    let documented = grammar::forms(JSON_PAGE);
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut found = BTreeSet::new();
    while let Some(path) = folders.pop() {
        if path.is_dir() {
            folders.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let schemas = text.lines().filter_map(|line| line.trim().strip_prefix("const SCHEMA"));
        found.extend(
            schemas
                .filter_map(|rest| rest.split('"').nth(1).map(str::to_owned))
                .filter(|schema| schema != "peral.numbers/1"),
        );
    }
    assert_eq!(found, documented.into_keys().collect());
}

#[test]
fn a_difference_from_the_page_is_found() {
    let forms = grammar::forms(
        "\nThe forms:\n\n  peral.x/1\n    a: text, b?: [{c: id}],\n    d: \"x\" | \"y\"\n",
    );
    let compare = |value: Value| {
        let mut comparison = Comparison::default();
        comparison.object("x", &forms["peral.x/1"], &value);
        comparison.differences.len()
    };
    let id = "01900000-0000-7000-8000-000000000000";
    assert_eq!(compare(serde_json::json!({"a": "", "b": [{"c": id}], "d": "y"})), 0);
    assert_eq!(compare(serde_json::json!({"a": "", "d": "x"})), 0);
    for wrong in [
        serde_json::json!({"a": 1, "d": "x"}),
        serde_json::json!({"a": "", "d": "z"}),
        serde_json::json!({"a": ""}),
        serde_json::json!({"a": "", "d": "x", "e": 1}),
        serde_json::json!({"a": "", "b": [{"c": "1"}], "d": "x"}),
        serde_json::json!({"a": "", "b": {"c": id}, "d": "x"}),
    ] {
        assert_eq!(compare(wrong.clone()), 1, "{wrong}");
    }
}

#[test]
fn listings_look_like_this() {
    for (name, text) in examples::texts() {
        insta::assert_snapshot!(name, text);
    }
}
