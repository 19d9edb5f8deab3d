//! Pods of the tests' own, within what Pod Security "restricted" allows.

use std::time::Duration;

use peral_testkit::Said;
use serde_json::{Value, json};

use super::{Space, eventually, piped_b3sum, settings};

/// Longest that a pod may take to be ready.
const PATIENCE: Duration = Duration::from_secs(120);

/// The label that the network policies of a release let through.
pub fn client_label(release: &str) -> Value {
    json!({ "peral-client": release })
}

/// What "restricted" wants of a pod, as the image's user.
pub fn restricted() -> Value {
    json!({
        "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
        "seccompProfile": { "type": "RuntimeDefault" },
    })
}

/// What "restricted" wants of a container.
pub fn restricted_container() -> Value {
    json!({
        "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
        "capabilities": { "drop": ["ALL"] },
    })
}

/// A pod with a shell and the usual tools, in which the tests look at things from inside.
#[derive(Debug)]
pub struct Toolbox<'a> {
    space: &'a Space,
    name: String,
}

impl<'a> Toolbox<'a> {
    /// Starts one, with labels, and a claim mounted at /peral where one is given.
    pub fn start(space: &'a Space, name: &str, labels: &Value, claim: Option<&str>) -> Self {
        let volumes: Vec<_> = claim
            .iter()
            .map(
                |claim| json!({ "name": "peral", "persistentVolumeClaim": { "claimName": claim } }),
            )
            .collect();
        let mounts: Vec<_> =
            claim.iter().map(|_| json!({ "name": "peral", "mountPath": "/peral" })).collect();
        space.apply(&json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "labels": labels },
            "spec": {
                "automountServiceAccountToken": false, "enableServiceLinks": false,
                "terminationGracePeriodSeconds": 0, "securityContext": restricted(),
                "containers": [{
                    "name": "tool", "image": settings().toolbox,
                    "imagePullPolicy": "IfNotPresent", "command": ["sleep", "infinity"],
                    "securityContext": restricted_container(), "volumeMounts": mounts,
                    "resources": { "requests": { "cpu": "5m", "memory": "8Mi" } },
                }],
                "volumes": volumes,
            },
        }));
        let toolbox = Self { space, name: name.to_owned() };
        toolbox.space.ok(&[
            "wait",
            "--for=condition=Ready",
            &format!("pod/{name}"),
            &format!("--timeout={}s", PATIENCE.as_secs()),
        ]);
        toolbox
    }

    /// Runs a line of shell in it.
    pub fn shell(&self, line: &str) -> Said {
        self.space.kubectl(&["exec", &self.name, "-c", "tool", "--", "bash", "-c", line])
    }

    /// BLAKE3 of a file that it sees, by b3sum on this machine.
    pub fn b3sum(&self, path: &str) -> String {
        piped_b3sum(self.space.command(&["exec", &self.name, "-c", "tool", "--", "cat", path]))
    }

    /// Which of these ports it can connect to.
    pub fn reaches(&self, ports: &[(String, u16)]) -> Vec<(String, u16)> {
        let tries = ports.iter().map(|(host, port)| {
            format!(
                "(timeout 4 bash -c 'exec 3<>/dev/tcp/{host}/{port}' 2>/dev/null && echo open \
                {host} {port} || echo shut {host} {port}) & "
            )
        });
        let said = self.shell(&(tries.collect::<String>() + "wait")).success();
        let count = said
            .out
            .lines()
            .filter(|line| line.starts_with("open ") || line.starts_with("shut "))
            .count();
        assert_eq!(count, ports.len(), "not every port was tried: {said:#?}");
        let is_open = |host: &str, port: u16| {
            said.out.lines().any(|line| line == format!("open {host} {port}"))
        };
        ports.iter().filter(|(host, port)| is_open(host, *port)).cloned().collect()
    }

    /// Ends it, and waits until it is gone: its claim is free then.
    pub fn end(self) {
        self.space.ok(&["delete", "pod", &self.name, "--grace-period=0", "--wait=false"]);
        eventually("the toolbox is gone", PATIENCE, || {
            self.space.find(&format!("pod/{}", self.name)).is_none()
        });
    }
}
