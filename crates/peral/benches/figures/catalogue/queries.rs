//! Questions: as clients ask them over HTTPS, and the same statements without anything around them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use peral_model::FileName;
use peral_wire::{Catalogue, catalogue::Search};
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use tokio::task::JoinSet;

use super::{ASKING, CONNECTIONS, FILES, name, word};
use crate::{
    process::{run, text},
    stand::Stand,
};

/// Rows that a search asks for.
const LIMIT: u32 = 50;
/// Statements of a run of SQLite's shell, in all: some seconds' worth of each kind.
const EXACT: usize = 40_000;
const BY_WORDS: usize = 2_000;

/// What came of asking.
pub struct Asked {
    pub rate: f64,
    pub p99_ms: f64,
}

/// A client for each connection.
pub struct Asker(Vec<Catalogue>);

impl Asker {
    pub fn new(stand: &Stand) -> Self {
        Self((0..CONNECTIONS).map(|_| stand.catalogue()).collect())
    }

    /// `GET /v1/search/{name}`.
    pub async fn exact(&self) -> Asked {
        self.ask(|catalogue, mut rng| async move {
            let name = FileName::new(name(rng.random_range(0..FILES))).expect("a name");
            catalogue.locate(&name).await.expect("the file is there");
        })
        .await
    }

    /// `GET /v1/search?q=` with two words.
    pub async fn words(&self) -> Asked {
        self.ask(|catalogue, mut rng| async move {
            let (a, b) = two_words(&mut rng);
            let q = format!("{a} {b}");
            let search = Search { q, limit: Some(LIMIT), ..Search::default() };
            catalogue.search(&search).await.expect("an answer");
        })
        .await
    }

    async fn ask<F: Future<Output = ()> + Send + 'static>(
        &self,
        question: impl Fn(Catalogue, SmallRng) -> F + Send + Sync + 'static,
    ) -> Asked {
        let question = Arc::new(question);
        let start = Instant::now();
        let mut running = JoinSet::new();
        for (i, catalogue) in self.0.iter().cloned().enumerate() {
            let question = Arc::clone(&question);
            running.spawn(async move {
                let mut rng = SmallRng::seed_from_u64(i as u64);
                let mut times = Vec::new();
                while start.elapsed() < ASKING {
                    let asked = Instant::now();
                    question(catalogue.clone(), SmallRng::seed_from_u64(rng.random())).await;
                    times.push(asked.elapsed());
                }
                times
            });
        }
        let mut times: Vec<Duration> = running.join_all().await.into_iter().flatten().collect();
        let rate = times.len() as f64 / start.elapsed().as_secs_f64();
        times.sort_unstable();
        let p99 = times.get(times.len() * 99 / 100).copied().unwrap_or_default();
        Asked { rate, p99_ms: p99.as_secs_f64() * 1e3 }
    }
}

/// A database without a central before it.
pub enum Bare<'a> {
    Sqlite { database: &'a Path, scratch: &'a Path, account: String },
    Postgres { url: &'a str, scratch: &'a Path, account: String },
}

const COLUMNS: &str = "f.id, f.name, o.name AS owner, f.public, f.version, f.hash, f.size,
    f.published_ms, f.last_seen_ms,
 (SELECT TAGS FROM tags t WHERE t.file = f.id) AS tags,
 (SELECT count(*) FROM holdings h JOIN leases l ON l.peer = h.peer WHERE h.file = f.id AND
 h.version = f.version AND h.whole AND l.ends_ms > 1 AND l.state <> 2) AS sources,
 (SELECT max(l.seen_ms) FROM holdings h JOIN leases l ON l.peer = h.peer WHERE h.file = f.id AND
 h.version = f.version) AS seen_ms";

impl<'a> Bare<'a> {
    pub fn sqlite(database: &'a Path, scratch: &'a Path) -> Self {
        let account = text(
            Command::new("sqlite3")
                .arg(database)
                .arg("SELECT 'X''' || hex(id) || '''' FROM accounts WHERE name = 'admin'"),
        );
        Self::Sqlite { database, scratch, account: account.trim().to_owned() }
    }

    pub fn postgres(url: &'a str, scratch: &'a Path) -> Self {
        let account = text(
            Command::new("psql")
                .arg(url)
                .args(["-Atqc", "SELECT '''' || id || '''' FROM accounts WHERE name = 'admin'"]),
        );
        Self::Postgres { url, scratch, account: account.trim().to_owned() }
    }

    /// What `GET /v1/search/{name}` asks the database; answers a second.
    pub fn exact(&self) -> f64 {
        match self {
            Self::Sqlite { account, .. } => self.by_shell(EXACT, |rng| {
                exact(
                    &format!("'{}'", name(rng.random_range(0..FILES))),
                    account,
                    "group_concat(t.tag, char(31))",
                    "",
                )
            }),
            Self::Postgres { account, .. } => {
                let words = array();
                let named = format!(
                    "({words})[1 + :i % 64] || '/' || ({words})[1 + :i / 64 % 64] || '/' || \
                     ({words})[1 + :i / 4096 % 64] || '-' || lpad((:i)::text, 7, '0') || '.bin'"
                );
                self.by_pgbench(&format!(
                    "\\set i random(0, {})\n{}",
                    FILES - 1,
                    exact(&named, account, "string_agg(t.tag, chr(31))", "COLLATE \"C\"")
                ))
            }
        }
    }

    /// What `GET /v1/search?q=` asks the database for two words; answers a second.
    pub fn words(&self) -> f64 {
        match self {
            Self::Sqlite { .. } => self.by_shell(BY_WORDS, |rng| {
                let (a, b) = two_words(rng);
                let index = format!(
                    "SELECT f.* FROM names n CROSS JOIN files f ON f.seq = n.rowid AND \
                    n.names MATCH '{}' WHERE f.removed_ms IS NULL AND instr(f.folded, '{a}') > 0 \
                    AND instr(f.folded, '{b}') > 0",
                    trigrams(a, b)
                );
                words(&index, "group_concat(t.tag, char(31))")
            }),
            Self::Postgres { .. } => {
                let like =
                    |word: &str| format!("f.folded LIKE '%' || ({})[1 + :{word}] || '%'", array());
                let index = format!(
                    "SELECT f.* FROM files f WHERE f.removed_ms IS NULL AND {} AND {}",
                    like("a"),
                    like("b")
                );
                self.by_pgbench(&format!(
                    "\\set a random(0, 63)\n\\set b (:a + 1 + random(0, 62)) % 64\n{}",
                    words(&index, "string_agg(t.tag, chr(31))")
                ))
            }
        }
    }

    /// Rate of statements made by `one`, in as many shells as central has connections.
    fn by_shell(&self, statements: usize, one: impl Fn(&mut SmallRng) -> String) -> f64 {
        let Self::Sqlite { database, scratch, .. } = self else { return f64::NAN };
        let scripts: Vec<PathBuf> = (0..CONNECTIONS)
            .map(|i| {
                let mut rng = SmallRng::seed_from_u64(i as u64);
                let path = scratch.join(format!("statements-{i}.sql"));
                let statements: String =
                    (0..statements / CONNECTIONS).map(|_| one(&mut rng)).collect();
                fs::write(&path, statements).expect("a file");
                path
            })
            .collect();
        let pairs: Vec<String> = scripts
            .iter()
            .map(|script| {
                format!(
                    "sqlite3 {} < {} > {}.out &",
                    database.display(),
                    script.display(),
                    script.display()
                )
            })
            .collect();
        let wall = run(Command::new("sh").arg("-ec").arg(format!("{} wait", pairs.join(" ")))).wall;
        statements as f64 / wall
    }

    fn by_pgbench(&self, script: &str) -> f64 {
        let Self::Postgres { url, scratch, .. } = self else { return f64::NAN };
        let path = scratch.join("pgbench.sql");
        fs::write(&path, script).expect("a file");
        let mut command = Command::new("pgbench");
        command.args([
            "--no-vacuum",
            "--protocol",
            "prepared",
            "--jobs",
            "2",
            "--client",
            &CONNECTIONS.to_string(),
            "--time",
            &ASKING.as_secs().to_string(),
        ]);
        let said = text(command.arg("--file").arg(&path).arg(url));
        let rate = said
            .lines()
            .find_map(|line| line.strip_prefix("tps = "))
            .and_then(|rest| rest.split_whitespace().next());
        rate.and_then(|rate| rate.parse().ok())
            .unwrap_or_else(|| panic!("pgbench says no rate: {said}"))
    }
}

/// Two different words: about 1,500 names hold both.
fn two_words(rng: &mut SmallRng) -> (&'static str, &'static str) {
    let a = rng.random_range(0..64);
    (word(a), word(a + rng.random_range(1..64)))
}

fn array() -> String {
    let quoted: Vec<String> = (0..64).map(|i| format!("'{}'", word(i))).collect();
    format!("ARRAY[{}]", quoted.join(","))
}

/// The two statements behind an exact name.
fn exact(name: &str, account: &str, tags: &str, collate: &str) -> String {
    let columns = COLUMNS.replace("TAGS", tags);
    format!(
        "SELECT {columns} FROM files f JOIN accounts o ON o.id = f.owner WHERE f.name = ({name})
         {collate} AND f.removed_ms IS NULL AND
         (f.public OR TRUE OR f.owner = {account} OR EXISTS (SELECT 1 FROM access x WHERE x.file
         = f.id
          AND (x.principal = {account} OR x.principal IN (SELECT m.grp FROM members m WHERE
          m.account = {account}))));
         SELECT p.id AS peer, p.address, p.node, p.zone, h.whole FROM holdings h JOIN leases l ON
         l.peer = h.peer JOIN peers p ON p.id = h.peer
         WHERE h.file = (SELECT id FROM files WHERE name = ({name}) {collate} AND removed_ms IS
         NULL) AND h.version = 1 AND l.ends_ms > 1 AND l.state <> 2
         ORDER BY p.id LIMIT 1000;\n"
    )
}

/// The statement behind a search for what is not too common.
fn words(index: &str, tags: &str) -> String {
    let columns = COLUMNS.replace("TAGS", tags);
    format!(
        "WITH hit AS MATERIALIZED ({index} LIMIT 2001), few AS (SELECT * FROM hit WHERE (SELECT
         count(*) FROM hit) <= 2000),
         page AS (SELECT {columns} FROM (SELECT f.* FROM few f WHERE f.removed_ms IS NULL ORDER
         BY f.name LIMIT {}) f JOIN accounts o ON o.id = f.owner ORDER BY f.name)
         SELECT (SELECT count(*) FROM hit) AS hits, page.* FROM (SELECT 1 AS one) always LEFT
         JOIN page ON TRUE ORDER BY page.name;\n",
        LIMIT + 1
    )
}

/// The text index's expression: every three characters of both words.
fn trigrams(a: &str, b: &str) -> String {
    let of = |word: &str| {
        (0..word.len().saturating_sub(2))
            .map(|i| format!("\"{}\"", &word[i..i + 3]))
            .collect::<Vec<_>>()
    };
    [of(a), of(b)].concat().join(" AND ")
}
