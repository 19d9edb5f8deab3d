//! What scripts/e2e says of the cluster and of the images, with defaults for a run by hand.

use std::{
    env,
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use serde_json::Value;

/// Where things are.
#[derive(Debug)]
pub struct Settings {
    /// The image under test.
    pub image: String,
    /// The same under a second tag, to roll out.
    pub next: String,
    /// An image with a shell and the usual tools.
    pub toolbox: String,
    /// Jaeger.
    pub jaeger: String,
    /// A real file of over 100 MB.
    pub file: PathBuf,
    /// Another program's BLAKE3.
    pub b3sum: PathBuf,
    /// The `peral` command of this machine.
    pub peral: PathBuf,
    /// Cuts a node off from the others: `cut NODE`, `cut --mend NODE`.
    pub cut: Option<PathBuf>,
    /// Top of the repository.
    pub repository: PathBuf,
    /// What failed tests leave behind, and the figures.
    pub logs: PathBuf,
    /// Label of all that this run makes.
    pub run: String,
}

/// The settings of this run.
pub fn settings() -> &'static Settings {
    static SETTINGS: OnceLock<Settings> = OnceLock::new();
    SETTINGS.get_or_init(|| {
        let repository =
            Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned();
        let text = |name: &str, default: &str| {
            env::var(name)
                .ok()
                .filter(|value| !value.is_empty())
                .unwrap_or_else(|| default.to_owned())
        };
        let path = |name: &str, default: &str| repository.join(text(name, default));
        Settings {
            image: text("E2E_IMAGE", "docker.io/library/peral:dev"),
            next: text("E2E_IMAGE_NEXT", "docker.io/library/peral:next"),
            toolbox: text("E2E_TOOLBOX", "docker.io/library/postgres:18"),
            jaeger: text("E2E_JAEGER", "docker.io/jaegertracing/jaeger:latest"),
            file: path("E2E_FILE", "target/release/peral"),
            b3sum: PathBuf::from(text("E2E_B3SUM", "b3sum")),
            peral: path("E2E_BINARY", "target/release/peral"),
            cut: env::var_os("E2E_CUT").filter(|value| !value.is_empty()).map(PathBuf::from),
            logs: path("E2E_LOGS", "target/e2e"),
            run: text("E2E_RUN", "by-hand"),
            repository,
        }
    })
}

/// Keeps a figure: a line of JSON in figures.jsonl beside the logs, and on stdout.
pub fn figure(name: &str, mut value: Value) {
    value["figure"] = name.into();
    let logs = &settings().logs;
    std::fs::create_dir_all(logs).unwrap();
    let mut file =
        File::options().create(true).append(true).open(logs.join("figures.jsonl")).unwrap();
    writeln!(file, "{value}").unwrap();
    println!("{value}");
}
