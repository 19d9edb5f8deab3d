use std::collections::BTreeMap;

use peral_central::store::files::FileSearch;
use peral_model::{Content, FileName, search::Query};
use peral_wire::rest::files::{FileChange, Right};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::support::*;

/// Parts of names that meet what is special to the databases: case, accents, other scripts,
/// wildcards, quotes, marks.
const PARTS: [&str; 24] = [
    "model",
    "Model",
    "MOD",
    "data",
    "set",
    "ünï",
    "ÇA",
    "日本語",
    "语",
    "50%",
    "a_b",
    "x-y",
    "it's",
    "\"q\"",
    "[ab]",
    "back\\slash",
    "v2",
    "7",
    "q4",
    "\u{1}mo",
    "ß",
    "İ",
    ".",
    " ",
];

fn draw<'a>(rng: &mut StdRng, from: &[&'a str]) -> &'a str {
    from[rng.random_range(0..from.len())]
}

fn generated(rng: &mut StdRng) -> Option<FileName> {
    let segments = rng.random_range(1..=3);
    let text: Vec<String> = (0..segments)
        .map(|_| (0..rng.random_range(1..=3)).map(|_| draw(rng, &PARTS)).collect())
        .collect();
    FileName::new(text.join("/")).ok()
}

fn term(rng: &mut StdRng, names: &[FileName]) -> String {
    let folded = names[rng.random_range(0..names.len())].folded();
    let chars: Vec<char> = folded.chars().collect();
    let start = rng.random_range(0..chars.len());
    let piece: String = chars.iter().skip(start).take(rng.random_range(1..=6)).collect();
    match rng.random_range(0..6) {
        0 => format!("^{}", chars.iter().take(rng.random_range(1..=5)).collect::<String>()),
        1 => format!("*{piece}*"),
        2 => format!("{}?{}*", draw(rng, &PARTS), draw(rng, &PARTS)),
        3 => draw(rng, &["m", "mo", "da", "7", "日本", "v", "s"]).into(),
        4 => format!("{}*", chars.iter().take(3).collect::<String>()),
        _ => piece,
    }
}

/// All pages of a search, by name.
async fn pages(world: &World, search: FileSearch) -> Vec<String> {
    let (mut found, mut after) = (Vec::new(), search.after.clone());
    loop {
        let page = world.store.search(FileSearch { after, ..search.clone() }).await.unwrap();
        assert!(page.items.len() <= search.limit as usize);
        found.extend(page.items.iter().map(|file| file.name.to_string()));
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

pub async fn it_finds_what_a_query_matches(world: &World) {
    let mut rng = StdRng::seed_from_u64(7);
    let mut files: BTreeMap<FileName, Content> = BTreeMap::new();
    while files.len() < 400 {
        let number = rng.random_range(0..40_u32);
        if let Some(name) = generated(&mut rng) {
            files.insert(name, content(&number.to_string()));
        }
    }
    let peer = world.peer(world.account("alice").await).await;
    let versions = files.iter().map(|(name, content)| peral_central::store::publish::NewVersion {
        content: *content,
        ..fresh(name.as_str(), "")
    });
    assert!(world.publish_all(peer, versions.collect()).await.unwrap().iter().all(Result::is_ok));
    let names: Vec<FileName> = files.keys().cloned().collect();
    let (mut asked, mut found_some) = (0, 0);
    while asked < 400 {
        let mut text = term(&mut rng, &names);
        if rng.random_bool(0.3) {
            text = format!("{text} {}", term(&mut rng, &names));
        }
        if rng.random_bool(0.05) {
            text =
                format!("{text} hash:{}", content(&rng.random_range(0..40_u32).to_string()).hash);
        }
        let Ok(query) = Query::parse(&text) else { continue };
        let expected: Vec<String> = files
            .iter()
            .filter(|(name, content)| query.matches(name, &content.hash))
            .map(|(name, _)| name.to_string())
            .collect();
        let found = pages(world, FileSearch { query, limit: 7, ..look("", world.admin()) }).await;
        assert_eq!(found, expected, "{text:?}");
        asked += 1;
        found_some += usize::from(!expected.is_empty());
    }
    assert!(found_some > 150, "the queries must find something to prove something: {found_some}");
    let all = pages(world, FileSearch { limit: 33, ..look("", world.admin()) }).await;
    assert_eq!(
        all,
        names.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "in the order of their bytes"
    );
}

pub async fn pages_are_stable_while_names_are_added(world: &World) {
    let peer = world.peer(world.account("alice").await).await;
    let batch = |from: usize, step: usize| {
        (from..200)
            .step_by(step)
            .map(|number| fresh(&format!("term {number:03}"), "x"))
            .collect::<Vec<_>>()
    };
    world.publish_all(peer, batch(0, 2)).await.unwrap();
    let first =
        world.store.search(FileSearch { limit: 40, ..look("term", world.admin()) }).await.unwrap();
    world.publish_all(peer, batch(1, 2)).await.unwrap();
    let rest = pages(
        world,
        FileSearch { limit: 40, after: first.next.clone(), ..look("term", world.admin()) },
    )
    .await;
    let seen: Vec<String> =
        first.items.iter().map(|file| file.name.to_string()).chain(rest).collect();
    assert!(seen.is_sorted() && seen.windows(2).all(|pair| pair[0] != pair[1]), "nothing twice");
    assert!(
        batch(0, 2).iter().all(|version| seen.contains(&version.name.to_string())),
        "nothing that was there is missing"
    );
}

pub async fn filters_narrow_it(world: &World) {
    let (alice, bob) = (world.account("alice").await, world.account("bob").await);
    let (peer, other) = (world.peer(alice).await, world.peer(bob).await);
    world.publish_all(peer, vec![fresh("one.bin", "1"), fresh("two.bin", "2")]).await.unwrap();
    world.publish_all(other, vec![fresh("three.bin", "1")]).await.unwrap();
    let tags =
        FileChange { tags: Some(vec!["good".into(), "new".into()]), ..FileChange::default() };
    world.store.change_file(&name("two.bin"), member(alice), tags, seal(), NOW).await.unwrap();
    let all = || look("", world.admin());
    let owner = |name: &str| Some(name.to_owned());
    assert_eq!(
        pages(world, FileSearch { owner: owner("alice"), ..all() }).await,
        ["one.bin", "two.bin"]
    );
    assert_eq!(
        pages(world, FileSearch { owner: owner("alice"), after: Some("one.bin".into()), ..all() })
            .await,
        ["two.bin"]
    );
    assert_eq!(
        pages(world, FileSearch { owner: owner("bob"), ..look("bin", world.admin()) }).await,
        ["three.bin"]
    );
    assert!(pages(world, FileSearch { owner: owner("nobody"), ..all() }).await.is_empty());
    assert_eq!(pages(world, FileSearch { tag: owner("good"), ..all() }).await, ["two.bin"]);
    assert!(
        pages(world, FileSearch { tag: owner("good"), ..look("one", world.admin()) })
            .await
            .is_empty()
    );
    let hash = Some(content("1").hash);
    assert_eq!(pages(world, FileSearch { hash, ..all() }).await, ["one.bin", "three.bin"]);
    assert_eq!(
        pages(world, FileSearch { hash, ..look("^th", world.admin()) }).await,
        ["three.bin"]
    );
    // A content that a file no longer has as its current one does not find it.
    let one = world.current(&name("one.bin")).await;
    world.publish(peer, after(one, "one.bin", "next")).await.unwrap();
    assert_eq!(pages(world, FileSearch { hash, ..all() }).await, ["three.bin"]);
    let shown = world.store.search(look("two", world.admin())).await.unwrap().items.remove(0);
    assert_eq!(
        (shown.owner.as_str(), shown.tags, shown.size, shown.version),
        ("alice", vec!["good".to_owned(), "new".to_owned()], 1, 1)
    );
}

/// I3: deny by default.
pub async fn hidden_files_are_not_found(world: &World) {
    let (alice, bob) = (world.account("alice").await, world.account("bob").await);
    let peer = world.peer(alice).await;
    let versions = (0..30).map(|number| {
        if number % 3 == 0 {
            private(&format!("term{number:02}"), "x")
        } else {
            fresh(&format!("term{number:02}"), "x")
        }
    });
    world.publish_all(peer, versions.collect()).await.unwrap();
    world.grant("term03", alice, "bob", Right::Read).await;
    for query in ["", "term", "te", "^term", "term*", &format!("hash:{}", content("x").hash)] {
        assert_eq!(
            pages(world, FileSearch { limit: 4, ..look(query, member(alice)) }).await.len(),
            30,
            "{query:?}"
        );
        let found = pages(world, FileSearch { limit: 4, ..look(query, member(bob)) }).await;
        assert_eq!(found.len(), 21, "{query:?}");
        assert!(found.contains(&"term03".to_owned()) && !found.contains(&"term00".to_owned()));
    }
    let owner = Some("alice".to_owned());
    assert_eq!(pages(world, FileSearch { owner, ..look("", member(bob)) }).await.len(), 21);
}

pub async fn common_terms_are_found_wherever_they_are(world: &World) {
    let peer = world.peer(world.account("alice").await).await;
    // More names than a walk looks at, and behind them more of one term than the index is asked
    // for.
    let names: Vec<String> = (0..21_000)
        .map(|number| format!("a{number:05} near"))
        .chain((0..2_500).map(|number| format!("z{number:04} far")))
        .collect();
    for part in names.chunks(1000) {
        let results = world
            .publish_all(peer, part.iter().map(|name| fresh(name, "x")).collect())
            .await
            .unwrap();
        assert!(results.iter().all(Result::is_ok));
    }
    let hash = format!("hash:{}", content("x").hash);
    for (query, expected) in [
        ("near", &names[..30]),
        ("ne", &names[..30]),
        ("far", &names[21_000..21_030]),
        ("fa", &names[21_000..21_030]),
    ] {
        let page = world
            .store
            .search(FileSearch { limit: 30, ..look(query, world.admin()) })
            .await
            .unwrap();
        let found: Vec<String> = page.items.iter().map(|file| file.name.to_string()).collect();
        assert_eq!(
            (found.as_slice(), page.next.as_ref()),
            (expected, expected.last()),
            "{query:?}"
        );
    }
    for query in ["far", "^z", "*far", "fa", &format!("far {hash}")] {
        let found = pages(world, FileSearch { limit: 1000, ..look(query, world.admin()) }).await;
        assert!(found == names[21_000..], "{query:?}: {}", found.len());
    }
    for owner in [Some("alice".to_owned()), None] {
        let page = world
            .store
            .search(FileSearch { owner, limit: 1000, ..look("far", world.admin()) })
            .await
            .unwrap();
        assert_eq!(page.items.len(), 1000);
    }
}
