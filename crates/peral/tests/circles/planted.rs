//! The reader itself, on small crates whose arrows are known.

use std::{collections::BTreeMap, path::Path};

use crate::{arrows::arrows, circles, modules::Modules, upward};

type Files = BTreeMap<&'static str, &'static str>;

fn lines(files: &Files) -> Vec<String> {
    let read = |path: &Path| files.get(path.to_str().unwrap()).map(|text| (*text).to_owned());
    let modules = Modules::read(Path::new("lib.rs"), &read);
    arrows(&modules).iter().map(ToString::to_string).collect()
}

fn found(files: &Files) -> Vec<String> {
    let read = |path: &Path| files.get(path.to_str().unwrap()).map(|text| (*text).to_owned());
    circles(&arrows(&Modules::read(Path::new("lib.rs"), &read)))
}

#[test]
fn a_planted_circle_is_found_and_its_arrows_are_said() {
    let mut files = Files::from([
        ("lib.rs", "mod fetch;\nmod send;\nmod limit;"),
        ("fetch.rs", "use crate::send::Offer;\npub struct Target;"),
        ("send.rs", "use crate::limit::LIMIT;\npub struct Offer(crate::fetch::Target);"),
        ("limit.rs", "pub const LIMIT: u8 = 1;"),
    ]);
    assert_eq!(
        found(&files),
        ["  fetch.rs takes Offer from send.rs\n  send.rs takes Target from fetch.rs\n"]
    );
    files.insert("fetch.rs", "use crate::send::Offer;");
    files.insert("send.rs", "pub struct Offer;");
    assert_eq!(found(&files), Vec::<String>::new());
}

#[test]
fn two_circles_apart_are_two() {
    let files = Files::from([
        ("lib.rs", "mod a;\nmod b;\nmod c;\nmod d;\nuse a::A;\nuse c::C;"),
        ("a.rs", "use crate::b::B;\npub struct A;"),
        ("b.rs", "use crate::a::A;\nuse crate::c::C;\npub struct B;"),
        ("c.rs", "use crate::d::D;\npub struct C;"),
        ("d.rs", "use crate::c::C;\npub struct D;"),
    ]);
    assert_eq!(found(&files).len(), 2, "{:?}", found(&files));
}

#[test]
fn a_parent_and_its_child_that_take_from_each_other_are_a_circle() {
    let files = Files::from([
        ("lib.rs", "mod library;"),
        ("library.rs", "mod held;\npub use self::held::Stamp;\npub struct Library;"),
        ("library/held.rs", "use super::Library;\npub struct Stamp;"),
    ]);
    assert_eq!(
        found(&files),
        ["  library/held.rs takes Library from library.rs\n\
          \x20 library.rs takes Stamp from library/held.rs\n"]
    );
}

#[test]
fn a_re_export_is_taken_from_the_file_that_defines_it() {
    let files = Files::from([
        ("lib.rs", "mod library;\nmod rights;\npub use library::{Stamp as Mark, held};"),
        ("library.rs", "pub mod held;\npub use held::*;"),
        ("library/held.rs", "pub struct Stamp;"),
        ("rights.rs", "use crate::{library::Stamp, Mark};\nfn f() { crate::held::Stamp::new() }"),
    ]);
    assert_eq!(
        lines(&files),
        [
            "lib.rs takes Stamp from library/held.rs",
            "library.rs takes * from library/held.rs",
            "rights.rs takes Stamp from library/held.rs",
        ]
    );
}

#[test]
fn what_only_names_a_module_or_stands_in_tests_is_no_arrow() {
    let files = Files::from([
        ("lib.rs", "mod a;\npub mod b;\nmod c { use super::b; pub fn f() { b::g() } }"),
        (
            "a.rs",
            "use crate::b;\nuse std::b::g;\npub(in crate::b) struct A;\n\
             #[cfg(test)] mod tests { use crate::b::g; }\n#[cfg(test)] use crate::b::g as h;",
        ),
        ("b.rs", "pub fn g() {}"),
    ]);
    assert_eq!(lines(&files), ["lib.rs takes g from b.rs"]);
}

#[test]
fn paths_in_macros_attributes_and_functions_count() {
    let files = Files::from([
        ("lib.rs", "mod a;\nmod b;\nmod c;\nmod d;\nmod e;"),
        ("a.rs", "fn f() { println!(\"{}\", crate::b::g(1)); }"),
        ("b.rs", "#[arg(value_parser = crate::c::parse)]\nstruct B;"),
        ("c.rs", "fn f() { use crate::d; d::g(); }"),
        ("d.rs", "#[macro_export]\nmacro_rules! m { () => { $crate::e::h() } }"),
        ("e.rs", "use crate::m;"),
    ]);
    assert_eq!(
        lines(&files),
        [
            "a.rs takes g from b.rs",
            "b.rs takes parse from c.rs",
            "c.rs takes g from d.rs",
            "d.rs takes h from e.rs",
            "e.rs takes m from d.rs",
        ]
    );
}

#[test]
fn a_file_that_two_modules_share_is_one_file() {
    let files = Files::from([
        ("lib.rs", "mod one;\nmod two;"),
        ("one.rs", "#[path = \"shared/sql.rs\"]\nmod sql;\npub fn open() { sql::run() }"),
        ("two.rs", "mod sql { #[path = \"sql.rs\"] pub mod inner; }\npub struct Two;"),
        ("shared/sql.rs", "use super::open;\npub fn run() {}"),
    ]);
    assert_eq!(
        found(&files),
        ["  one.rs takes run from shared/sql.rs\n  shared/sql.rs takes open from one.rs\n"]
    );
}

#[test]
fn an_arrow_upwards_between_layers_is_found() {
    let files = Files::from([
        ("lib.rs", "mod http;\nmod service;\nmod store;"),
        ("http.rs", "use crate::service::find;\npub struct Query;"),
        ("service.rs", "mod search;\nuse crate::store::Store;\npub fn find() {}"),
        ("service/search.rs", "use crate::http::Query;"),
        ("store.rs", "pub struct Store;"),
    ]);
    let read = |path: &Path| files.get(path.to_str().unwrap()).map(|text| (*text).to_owned());
    let arrows = arrows(&Modules::read(Path::new("lib.rs"), &read));
    assert_eq!(
        upward(&arrows, &["http", "service", "store"]),
        ["service/search.rs takes Query from http.rs"]
    );
}
