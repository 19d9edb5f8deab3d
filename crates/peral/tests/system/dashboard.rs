//! The Grafana dashboard against what is really served: a real Prometheus scrapes real processes,
//! and each query of the dashboard is put to it.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use peral_testkit::{Process, eventually, net, sample::noise_file};
use serde_json::{Value, json};

use crate::{metrics::admin, network::Network};

/// Panels whose queries find nothing while all is well: they are of failures. The metrics in them
/// must be there all the same.
const MAY_BE_EMPTY: [&str; 2] = ["Refused requests", "Calls to peers"];
/// Units of Grafana that the panels may have.
const UNITS: [&str; 6] = ["short", "s", "bytes", "binBps", "reqps", "cps"];

fn dashboard() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../helm/peral/dashboards/peral.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a Vec<Value> {
    value[key].as_array().unwrap_or_else(|| panic!("no {key} in {value}"))
}

/// Panels with queries.
fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    list(dashboard, "panels").iter().filter(|panel| panel["type"] != "row")
}

#[test]
fn the_dashboard_is_whole() {
    let dashboard = dashboard();
    assert_eq!(
        (dashboard["uid"].as_str(), dashboard["title"].as_str()),
        (Some("peral"), Some("Peral"))
    );
    let variables: Vec<&str> = list(&dashboard["templating"], "list")
        .iter()
        .map(|variable| variable["name"].as_str().unwrap())
        .collect();
    assert_eq!(variables, ["datasource", "namespace", "release"]);
    let mut ids = BTreeSet::new();
    for panel in list(&dashboard, "panels") {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "an id twice: {}", panel["title"]);
    }
    for panel in panels(&dashboard) {
        let title = panel["title"].as_str().unwrap();
        let unit = panel["fieldConfig"]["defaults"]["unit"].as_str().unwrap_or_default();
        assert!(UNITS.contains(&unit), "{title} has the unit {unit:?}");
        assert!(
            panel["description"].as_str().is_some_and(|text| text.ends_with('.')),
            "{title} says nothing"
        );
        for target in list(panel, "targets") {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
            let expr = target["expr"].as_str().unwrap();
            let selectors = expr.matches('{').count();
            assert!(
                selectors > 0
                    && expr
                        .matches(
                            "namespace=~\"$namespace\", app_kubernetes_io_instance=~\"$release\""
                        )
                        .count()
                        == selectors,
                "{expr}"
            );
        }
    }
    let titles: BTreeSet<&str> =
        panels(&dashboard).map(|panel| panel["title"].as_str().unwrap()).collect();
    assert!(MAY_BE_EMPTY.iter().all(|title| titles.contains(title)));
}

/// A Prometheus that scrapes some processes each second.
struct Prometheus {
    process: Process,
    address: String,
}

impl Prometheus {
    /// Starts it, with the labels that discovery in Kubernetes gives.
    fn start(network: &Network, targets: &[(&str, String)]) -> Self {
        let target = |(pod, address): &(&str, String)| {
            let labels = json!({
                "namespace": "orchard", "app_kubernetes_io_instance": "peral", "pod": pod,
            });
            json!({ "targets": [address], "labels": labels })
        };
        let targets: Vec<Value> = targets.iter().map(target).collect();
        let scrape = json!({
            "job_name": "peral", "scrape_interval": "1s", "scrape_timeout": "1s",
            "static_configs": targets,
        });
        let config = network.path("prometheus.yml");
        // JSON is YAML.
        fs::write(&config, json!({ "scrape_configs": [scrape] }).to_string()).unwrap();
        for _ in 0..5 {
            let address = net::free_address().to_string();
            let mut command = Command::new("prometheus");
            command
                .current_dir(network.root.path())
                .arg(format!("--config.file={}", config.display()));
            command
                .arg(format!("--storage.tsdb.path={}", network.path("prometheus").display()))
                .arg(format!("--web.listen-address={address}"));
            let found = Command::new("prometheus").arg("--version").output();
            assert!(
                found.is_ok_and(|said| said.status.success()),
                "prometheus is not on the PATH: `make test` installs it"
            );
            let mut process = Process::start(command, &network.path("prometheus.log"));
            // Somebody else may have taken the port meanwhile.
            eventually("Prometheus is ready, or has ended", || {
                process.ended() || get(&address, "/-/ready").is_some()
            });
            if !process.ended() {
                return Self { process, address };
            }
        }
        panic!("Prometheus found no port")
    }

    /// What a query gives now.
    fn query(&mut self, expr: &str) -> Vec<Value> {
        assert!(!self.process.ended(), "{}", self.process.err());
        let mut url = reqwest::Url::parse("http://prometheus/api/v1/query").unwrap();
        url.query_pairs_mut().append_pair("query", expr);
        let path = format!("{}?{}", url.path(), url.query().unwrap());
        let answer =
            get(&self.address, &path).unwrap_or_else(|| panic!("Prometheus refuses {expr}"));
        assert_eq!(answer["status"], "success", "{expr}: {answer}");
        list(&answer["data"], "result").clone()
    }

    /// All values of a label, as a variable of the dashboard asks for them.
    fn values(&self, label: &str) -> Vec<Value> {
        get(&self.address, &format!("/api/v1/label/{label}/values"))
            .map(|answer| list(&answer, "data").clone())
            .unwrap_or_default()
    }

    /// Waits until each target was scraped so often from now on.
    fn scraped(&mut self, targets: usize) {
        let scrapes = |this: &mut Self| {
            let seen = this.query("count_over_time(up[1h])");
            let count = |found: &Value| found["value"][1].as_str().unwrap().parse::<u64>().unwrap();
            if seen.len() < targets { 0 } else { seen.iter().map(count).min().unwrap_or(0) }
        };
        let before = scrapes(self);
        eventually("all are scraped", || scrapes(self) >= before + 3);
        assert!(self.query("up == 0").is_empty());
    }
}

/// The JSON that is there, or `null` for another text; nothing where it cannot be had.
fn get(address: &str, path: &str) -> Option<Value> {
    let answer = net::get(address, path).ok().filter(|answer| answer.status == 200)?;
    Some(serde_json::from_str(&answer.body).unwrap_or(Value::Null))
}

/// Names of metrics in an expression: words outside of braces, brackets and the lists of `by`, but
/// not functions.
fn names(expr: &str) -> BTreeSet<String> {
    let mut plain = String::new();
    let mut rest = expr;
    while let Some(at) = rest.find(['{', '[']) {
        plain.push_str(&rest[..at]);
        plain.push(' ');
        let close = if rest[at..].starts_with('{') { '}' } else { ']' };
        rest = &rest[at + rest[at..].find(close).unwrap() + 1..];
    }
    plain.push_str(rest);
    let without_by = plain
        .split(" by (")
        .enumerate()
        .map(|(at, part)| if at == 0 { part } else { part.split_once(')').unwrap().1 });
    let words = without_by.collect::<Vec<_>>().join(" ");
    let words = words.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
    words
        .filter(|word| word.contains('_') && *word != "histogram_quantile")
        .map(str::to_owned)
        .collect()
}

#[test]
fn each_query_of_the_dashboard_finds_something() {
    let network = Network::start_with(None, &["--count-seconds", "1"]);
    network.ok(&network.admin, &["user", "add", "peers", "--no-password"]);
    let (one, two) = (network.peer("one", "peers", &[]), network.peer("two", "peers", &[]));
    let targets = [
        ("peral-central-0", admin(&network.central)),
        ("peral-peer-0", admin(&one.process)),
        ("peral-peer-1", admin(&two.process)),
    ];
    let mut prometheus = Prometheus::start(&network, &targets);
    prometheus.scraped(targets.len());
    let (source, target): (PathBuf, PathBuf) = (network.path("a.bin"), network.path("fetched"));
    noise_file(&source, "a", 5 << 20);
    network.at(&one, &network.admin, &["upload", source.to_str().unwrap()]).ok();
    network.at(&two, &network.admin, &["search", "a.bin"]).ok();
    network.at(&two, &network.admin, &["download", "a.bin", "-o", target.to_str().unwrap()]).ok();
    prometheus.scraped(targets.len());

    for variable in ["namespace", "app_kubernetes_io_instance"] {
        assert_eq!(prometheus.values(variable).len(), 1, "{variable}");
    }
    let known: BTreeSet<String> = prometheus
        .values("__name__")
        .iter()
        .map(|name| name.as_str().unwrap().to_owned())
        .collect();
    for panel in panels(&dashboard()) {
        finds(&mut prometheus, panel, &known);
    }
}

/// Each query of a panel names metrics that are known, and finds something in its own namespace
/// alone.
fn finds(prometheus: &mut Prometheus, panel: &Value, known: &BTreeSet<String>) {
    let title = panel["title"].as_str().unwrap();
    for expr in list(panel, "targets").iter().map(|target| target["expr"].as_str().unwrap()) {
        let of = |namespace: &str, release: &str| {
            expr.replace("$namespace", namespace)
                .replace("$release", release)
                .replace("$__rate_interval", "1m")
        };
        let unknown: Vec<_> =
            names(expr).into_iter().filter(|name| !known.contains(name)).collect();
        assert!(
            !names(expr).is_empty() && unknown.is_empty(),
            "{title}: nobody serves {unknown:?}"
        );
        for (namespace, release) in [("orchard", "peral"), (".*", ".*")] {
            let asked = of(namespace, release);
            let found = prometheus.query(&asked);
            assert!(
                !found.is_empty() || MAY_BE_EMPTY.contains(&title),
                "{title}: nothing found by {asked}"
            );
        }
        assert!(
            prometheus.query(&of("another", "peral")).is_empty(),
            "{title}: another namespace is not left out"
        );
    }
}

#[test]
fn names_of_metrics_are_found_in_expressions() {
    let expr = "topk(5, histogram_quantile(0.95, sum by (le, http_route) \
        (rate(a_bucket{b_c=~\"x\"}[$__rate_interval])))) / sum(1 - d_e{})";
    assert_eq!(names(expr), BTreeSet::from(["a_bucket".to_owned(), "d_e".into()]));
}
