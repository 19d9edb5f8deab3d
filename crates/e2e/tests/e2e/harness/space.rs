//! A namespace for one test.

use std::{
    cell::RefCell,
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use peral_testkit::{Process, Said};
use serde_json::{Value, json};

use super::{run, settings};

/// Longest that applying a manifest may take.
const APPLY: Duration = Duration::from_secs(60);

/// A namespace, with what was installed in it. Dropped, it goes, and so does all in it; if the test
/// failed, what can be learnt of it is written into a folder first.
#[derive(Debug)]
pub struct Space {
    /// Name of the namespace.
    pub name: String,
    releases: RefCell<Vec<String>>,
    /// Things without a namespace, as `kind/name`.
    outside: RefCell<Vec<String>>,
}

impl Space {
    /// A namespace in which Pod Security "restricted" is enforced.
    pub fn new(test: &str) -> Self {
        Self::with_security(test, "restricted")
    }

    /// A namespace with another level of Pod Security.
    pub fn with_security(test: &str, level: &str) -> Self {
        let name = format!("e2e-{test}-{}", std::process::id());
        let space = Self { name, releases: RefCell::default(), outside: RefCell::default() };
        space.apply(&json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": { "name": space.name, "labels": {
                "peral-e2e": settings().run,
                "pod-security.kubernetes.io/enforce": level,
                "pod-security.kubernetes.io/warn": level,
            } },
        }));
        space
    }

    /// `kubectl` in this namespace.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command.args(["-n", &self.name]).args(args);
        command
    }

    /// Runs `kubectl` in this namespace.
    pub fn kubectl(&self, args: &[&str]) -> Said {
        run(self.command(args))
    }

    /// The same, which must succeed; what it wrote.
    pub fn ok(&self, args: &[&str]) -> String {
        self.kubectl(args).success().out
    }

    /// Objects as JSON: `get("pods")`, `get("pod/x")`.
    pub fn get(&self, what: &str) -> Value {
        self.kubectl(&["get", what, "-o", "json"]).ok()
    }

    /// An object as JSON, if it is there.
    pub fn find(&self, what: &str) -> Option<Value> {
        let said = self.kubectl(&["get", what, "-o", "json", "--ignore-not-found"]).success();
        (!said.out.trim().is_empty()).then(|| said.json())
    }

    /// Makes or changes an object.
    pub fn apply(&self, manifest: &Value) {
        self.apply_text(&manifest.to_string()).success();
    }

    /// The same from a text of YAML or JSON.
    pub fn apply_text(&self, manifest: &str) -> Said {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(manifest.as_bytes()).unwrap();
        let mut command = self.command(&["apply", "-f", "-"]);
        command.stdin(Stdio::from(file.reopen().unwrap()));
        Process::spawn(command).finish_within(APPLY)
    }

    /// `helm` in this namespace.
    pub fn helm(&self, args: &[&str]) -> Command {
        let mut command = Command::new("helm");
        command.args(args).args(["--namespace", &self.name]).current_dir(&settings().repository);
        command
    }

    /// A release that goes with the namespace.
    pub fn keep_release(&self, name: &str) {
        let mut releases = self.releases.borrow_mut();
        if !releases.iter().any(|kept| kept == name) {
            releases.push(name.to_owned());
        }
    }

    /// Something without a namespace that goes with it, as `kind/name`.
    pub fn keep_outside(&self, what: &str) {
        self.outside.borrow_mut().push(what.to_owned());
    }

    /// Writes what can be learnt of a test that failed.
    fn diagnose(&self) {
        let folder = settings().logs.join(&self.name);
        if fs::create_dir_all(&folder).is_err() {
            return;
        }
        let looks: [(&str, &[&str]); 5] = [
            ("all.txt", &["get", "all,pvc,configmap,secret,networkpolicy", "-o", "wide"]),
            ("pods.txt", &["describe", "pods"]),
            ("workloads.txt", &["describe", "statefulsets,deployments,jobs,pvc"]),
            ("events.txt", &["get", "events", "--sort-by=.lastTimestamp"]),
            ("nodes.txt", &["get", "nodes", "-o", "wide"]),
        ];
        for (name, args) in looks {
            self.note(&folder.join(name), args);
        }
        let pods = self.kubectl(&["get", "pods", "-o", "name"]).out;
        for pod in pods.lines() {
            let name = pod.trim_start_matches("pod/");
            let args = ["logs", pod, "--all-containers", "--prefix", "--tail=3000"];
            self.note(&folder.join(format!("{name}.log")), &args);
            self.note(
                &folder.join(format!("{name}.before.log")),
                &[&args[..], &["--previous"]].concat(),
            );
        }
        eprintln!("\nwhat is known of the namespace {} is in {}", self.name, folder.display());
    }

    fn note(&self, path: &Path, args: &[&str]) {
        let said = self.kubectl(args);
        if said.code == Some(0) {
            drop(fs::write(path, said.out));
        }
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        if thread::panicking() {
            self.diagnose();
        }
        if std::env::var_os("E2E_KEEP").is_some() {
            eprintln!("the namespace {} is left as it is", self.name);
            return;
        }
        for release in self.releases.borrow().iter() {
            run(self.helm(&["uninstall", release, "--ignore-not-found", "--no-hooks"]));
        }
        for what in self.outside.borrow().iter() {
            self.kubectl(&["delete", what, "--ignore-not-found", "--wait=false"]);
        }
        self.kubectl(&["delete", "namespace", &self.name, "--wait=false"]);
    }
}
