//! The administrator, at a desk outside the cluster: `kubectl port-forward` and the `peral` command
//! of this machine.

use std::{fs, process::Command};

use serde_json::Value;
use tempfile::TempDir;

use super::{Forward, Space, run, settings};

/// A login as the administrator that the chart made.
#[derive(Debug)]
pub struct Admin<'a> {
    space: &'a Space,
    home: TempDir,
    forward: Forward,
}

impl<'a> Admin<'a> {
    /// Logs in with what the Secret and the ConfigMap of the release say.
    pub fn log_in(space: &'a Space) -> Self {
        let home = tempfile::Builder::new().prefix("peral-e2e-").tempdir().unwrap();
        let secret = |key: &str| {
            space.ok(&[
                "get",
                "secret/peral-administrator",
                "-o",
                &format!("go-template={{{{.data.{key}|base64decode}}}}"),
            ])
        };
        let authority = space.ok(&[
            "get",
            "configmap/peral-ca",
            "-o",
            "go-template={{index .data \"ca.pem\"}}",
        ]);
        let (password, ca) = (home.path().join("password"), home.path().join("ca.pem"));
        fs::write(&password, secret("password")).unwrap();
        fs::write(&ca, authority).unwrap();
        let admin = Self { space, home, forward: Forward::open(space, "svc/peral-central", 7070) };
        let (password, ca) = (password.to_str().unwrap(), ca.to_str().unwrap());
        admin.ok(&[
            "login",
            "--ca-file",
            ca,
            "--account",
            &secret("username"),
            "--password-file",
            password,
        ]);
        admin
    }

    /// Runs a command, which must succeed; what it says.
    pub fn ok(&self, args: &[&str]) -> Value {
        let mut command = Command::new(&settings().peral);
        command
            .env_clear()
            .env("HOME", self.home.path())
            .env("PERAL_CONFIG_DIR", self.home.path().join("config"));
        command.env("PERAL_DATA", self.home.path().join("no-peer"));
        command.args(args).args([
            "--output",
            "json",
            "--central",
            &format!("https://127.0.0.1:{}", self.forward.port),
        ]);
        run(command).ok()
    }

    /// Makes an account with an API token, and keeps the token in a Secret, under the key `token`.
    pub fn token_secret(&self, account: &str, secret: &str) {
        self.ok(&["user", "add", account, "--no-password"]);
        let token = self.ok(&["token", "add", account, "--account", account]);
        let literal = format!("--from-literal=token={}", token["secret"].as_str().unwrap());
        self.space.ok(&["create", "secret", "generic", secret, &literal]);
    }
}
