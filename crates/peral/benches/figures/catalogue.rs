//! Central under load: a first index of a million names, searching them, and the heartbeats of ten
//! thousand peers.

pub mod beats;
mod queries;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use peral_testkit::Patience;

use crate::{
    process::{run, text},
    report::{print, print_with_p99},
    stand::Stand,
};

/// Files in the catalogue.
pub const FILES: u64 = 1_000_000;
/// Connections that ask at a time.
pub const CONNECTIONS: usize = 8;
/// How long each kind of question is asked.
pub const ASKING: Duration = Duration::from_secs(15);
const INDEXING: Duration = Duration::from_secs(1800);
/// Between two looks at a first index: asking more often would take a good part of the processors
/// that it has.
const LOOK: Duration = Duration::from_millis(500);

const WORDS: [&str; 64] = [
    "amber", "anchor", "apple", "arrow", "atlas", "autumn", "badger", "bamboo", "basalt", "beacon",
    "birch", "bishop", "bridge", "candle", "canyon", "carbon", "cedar", "cipher", "cobalt",
    "comet", "coral", "cotton", "crane", "delta", "desert", "dragon", "ember", "falcon", "fathom",
    "garnet", "glacier", "granite", "harbor", "hazel", "helium", "indigo", "island", "ivory",
    "jasper", "juniper", "lagoon", "lantern", "magnet", "maple", "marble", "meadow", "nectar",
    "nickel", "oasis", "onyx", "orchid", "pepper", "pillar", "quartz", "raven", "saffron",
    "silver", "spruce", "summit", "thunder", "timber", "velvet", "walnut", "zephyr",
];

/// Name of file `i`: words that many share, and a number of its own.
pub fn name(i: u64) -> String {
    format!("{}/{}/{}-{i:07}.bin", word(i), word(i / 64), word(i / 4096))
}

pub fn word(i: u64) -> &'static str {
    usize::try_from(i % 64).ok().and_then(|i| WORDS.get(i)).copied().expect("64 words")
}

/// The files that a first index publishes; made once for both databases.
fn small_files(scratch: &Path) -> PathBuf {
    let share = scratch.join("names");
    if share.exists() {
        return share;
    }
    for i in 0..FILES {
        let path = share.join(name(i));
        if i < 64 * 64 {
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        }
        fs::write(&path, i.to_le_bytes()).expect("room on the disk");
    }
    share
}

/// Starts a peer that shares the files and waits until the last one is published; names a second.
fn publish(stand: &mut Stand, share: &Path) -> f64 {
    let start = Instant::now();
    let data = stand.peer("source", share);
    Patience::most(INDEXING).looking_every(LOOK).eventually("the first index", || {
        let shown = stand
            .command()
            .env("PERAL_DATA", &data)
            .args(["--output", "json", "status"])
            .output()
            .ok()?;
        let status: serde_json::Value = serde_json::from_slice(&shown.stdout).ok()?;
        let shared = status["shares"].get(0)?;
        let all = shared["files"].as_u64() == Some(FILES) && shared["pending"].as_u64() == Some(0);
        all.then_some(())
    });
    FILES as f64 / start.elapsed().as_secs_f64()
}

/// A first index into SQLite, and searches there.
pub async fn on_sqlite(scratch: &Path) {
    let share = small_files(scratch);
    let mut stand = Stand::start(&scratch.join("sqlite"), None);
    let rate = publish(&mut stand, &share);
    let database = stand.sqlite();
    let reference = copied(&database, scratch);
    print(
        "publish.sqlite",
        rate,
        "names/s, first index",
        "copying the same rows into empty tables by SQLite's shell",
        reference,
    );
    let member = queries::Asker::new(&stand);
    let (exact, words) = (member.exact().await, member.words().await);
    stand.stop_peers();
    let bare = queries::Bare::sqlite(&database, scratch);
    print_with_p99(
        "search.exact.sqlite",
        exact.rate,
        "requests/s",
        "the same statements by SQLite's shell",
        bare.exact(),
        exact.p99_ms,
    );
    print_with_p99(
        "search.words.sqlite",
        words.rate,
        "requests/s",
        "the same statements by SQLite's shell",
        bare.words(),
        words.p99_ms,
    );
}

/// The same on Postgres.
pub async fn on_postgres(scratch: &Path) {
    let share = small_files(scratch);
    let url = std::env::var("PERAL_TEST_POSTGRES")
        .expect("PERAL_TEST_POSTGRES names a server: run `make bench`");
    let mut stand = Stand::start(&scratch.join("postgres"), Some(&url));
    let rate = publish(&mut stand, &share);
    let reference =
        FILES as f64 / run(Command::new("psql").arg(&url).args(["-qc", COPY_POSTGRES])).wall;
    print(
        "publish.postgres",
        rate,
        "names/s, first index",
        "copying the same rows into empty tables by psql",
        reference,
    );
    run(Command::new("psql")
        .arg(&url)
        .args(["-qc", "DROP TABLE copy_files, copy_versions, copy_holdings"]));
    run(Command::new("psql").arg(&url).args(["-qc", "VACUUM ANALYZE"]));
    let member = queries::Asker::new(&stand);
    let (exact, words) = (member.exact().await, member.words().await);
    stand.stop_peers();
    let bare = queries::Bare::postgres(&url, scratch);
    print_with_p99(
        "search.exact.postgres",
        exact.rate,
        "requests/s",
        "the same statements by pgbench",
        bare.exact(),
        exact.p99_ms,
    );
    print_with_p99(
        "search.words.postgres",
        words.rate,
        "requests/s",
        "the same statements by pgbench",
        bare.words(),
        words.p99_ms,
    );
}

const COPY_POSTGRES: &str = "
CREATE TABLE copy_files (LIKE files INCLUDING ALL);
CREATE TABLE copy_versions (LIKE versions INCLUDING ALL);
CREATE TABLE copy_holdings (LIKE holdings INCLUDING ALL);
INSERT INTO copy_files SELECT * FROM files;
INSERT INTO copy_versions SELECT * FROM versions;
INSERT INTO copy_holdings SELECT * FROM holdings;";

/// Rows a second when SQLite's own shell copies them, with all indices and constraints but the text
/// index's contents.
fn copied(database: &Path, scratch: &Path) -> f64 {
    let copy: PathBuf = scratch.join("copy.db");
    let schema = text(Command::new("sqlite3").arg(database).arg(
        "SELECT sql || ';' FROM sqlite_schema WHERE tbl_name IN ('files', 'versions', 'holdings', \
         'names') AND type IN ('table', 'index') AND sql IS NOT NULL",
    ));
    run(Command::new("sqlite3").arg(&copy).arg("PRAGMA journal_mode = WAL").arg(schema));
    let fill = format!(
        "ATTACH '{}' AS source; BEGIN; INSERT INTO files SELECT * FROM source.files; INSERT INTO
         versions SELECT * FROM source.versions;
         INSERT INTO holdings SELECT * FROM source.holdings; INSERT INTO names (rowid, text)
         SELECT seq, folded || starts FROM files; COMMIT",
        database.display()
    );
    FILES as f64 / run(Command::new("sqlite3").arg(&copy).arg(fill)).wall
}
