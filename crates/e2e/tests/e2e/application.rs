//! Pods that are not peers: applications that need a file before they start.

use std::{fs, time::Duration};

use peral_testkit::progress;
use serde_json::json;

use crate::harness::{
    Admin, PATIENCE, Release, Space, b3sum, client_label, eventually, noise_file, piped_b3sum,
    restricted, restricted_container, settings,
};

/// A pod whose init container fetches a file with an API token, into a volume that its main
/// container reads.
#[derive(Debug)]
pub struct Application<'a> {
    space: &'a Space,
    name: String,
}

impl<'a> Application<'a> {
    /// Starts one. `secret` holds the token.
    pub fn start(space: &'a Space, name: &str, secret: &str, file: &str, wait: u32) -> Self {
        let fetch = json!({
            "name": "fetch", "image": settings().image, "imagePullPolicy": "IfNotPresent",
            "args": [
                "download", file, "--to", "/data/file", "--wait", wait.to_string(), "--output",
                "json",
            ],
            "env": [
                { "name": "PERAL_CENTRAL", "value": "https://peral-central:7070" },
                { "name": "PERAL_CA_FILE", "value": "/etc/peral/ca/ca.pem" },
                { "name": "PERAL_TOKEN_FILE", "value": "/etc/peral/token/token" },
            ],
            "securityContext": restricted_container(),
            "volumeMounts": [
                { "name": "data", "mountPath": "/data" },
                { "name": "ca", "mountPath": "/etc/peral/ca" },
                { "name": "token", "mountPath": "/etc/peral/token" },
            ],
        });
        let main = json!({
            "name": "main", "image": settings().toolbox, "imagePullPolicy": "IfNotPresent",
            "command": ["sleep", "infinity"],
            "securityContext": restricted_container(),
            "volumeMounts": [{ "name": "data", "mountPath": "/data" }],
        });
        space.apply(&json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": name, "labels": client_label("peral") },
            "spec": {
                "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 0,
                "restartPolicy": "Always",
                "securityContext": restricted(), "initContainers": [fetch], "containers": [main],
                "volumes": [
                    { "name": "data", "emptyDir": {} },
                    { "name": "ca", "configMap": { "name": "peral-ca" } },
                    { "name": "token", "secret": { "secretName": secret, "defaultMode": 0o440 } },
                ],
            },
        }));
        Self { space, name: name.to_owned() }
    }

    /// Waits until its download has reported so many bytes.
    pub fn moved(&self, bytes: u64) {
        eventually("the pod's download is under way", PATIENCE, || {
            let log = self.space.kubectl(&["logs", &self.name, "-c", "fetch"]);
            progress(&log.out).filter(|done| *done >= bytes)
        });
    }

    /// Waits until the main container runs; BLAKE3 of what it sees.
    pub fn finished(&self) -> String {
        self.space.ok(&[
            "wait",
            "--for=condition=Ready",
            &format!("pod/{}", self.name),
            "--timeout=230s",
        ]);
        piped_b3sum(self.space.command(&[
            "exec",
            &self.name,
            "-c",
            "main",
            "--",
            "cat",
            "/data/file",
        ]))
    }

    /// How often its download was begun again by the kubelet, because it had failed.
    pub fn restarts(&self) -> u64 {
        let pod = self.space.get(&format!("pod/{}", self.name));
        pod["status"]["initContainerStatuses"][0]["restartCount"].as_u64().unwrap()
    }
}

/// Shows: the recipe in k8s/example-app.yaml works as it stands, with the image that is tested
/// here: the application starts when the file is there, also when the file comes only later.
#[test]
fn an_application_pod_starts_with_its_file() {
    let space = Space::new("app");
    let release = Release::install(&space, &["peer.replicas=1"]);
    Admin::log_in(&space).token_secret("example-app", "example-app-peral");
    let example = fs::read_to_string(settings().repository.join("k8s/example-app.yaml")).unwrap();
    let example = settled(&example);
    space.apply_text(&example).success();
    let pod = eventually("the pod was made", PATIENCE, || {
        let pods = space.get("pods");
        let all = pods["items"].as_array().unwrap().clone();
        all.into_iter().find(|pod| {
            pod["spec"]["initContainers"].is_array()
                && pod["metadata"]["labels"]["peral-client"] == "peral"
        })
    });
    let name = format!("pod/{}", pod["metadata"]["name"].as_str().unwrap());
    let command = pod["spec"]["initContainers"][0]["args"]
        .as_array()
        .or(pod["spec"]["initContainers"][0]["command"].as_array())
        .unwrap()
        .clone();
    let wanted = command
        .iter()
        .skip_while(|word| *word != "download")
        .nth(1)
        .unwrap()
        .as_str()
        .unwrap()
        .to_owned();

    // It waits: there is no such file yet.
    eventually("its download is running", PATIENCE, || {
        let pod = space.get(&name);
        pod["status"]["initContainerStatuses"][0]["state"]["running"].is_object()
    });
    let file = noise_file("application", 8 << 20);
    release.upload(0, &file, &wanted);
    space.ok(&[
        "wait",
        "--for=condition=Ready",
        &name,
        &format!("--timeout={}s", Duration::from_secs(120).as_secs()),
    ]);
    let hash = b3sum(&file);
    assert_eq!(release.file(0, &wanted).unwrap()["hash"], *hash);
    let mount = pod["spec"]["containers"][0]["volumeMounts"][0]["mountPath"].as_str().unwrap();
    let container = pod["spec"]["containers"][0]["name"].as_str().unwrap();
    let found = space.ok(&["exec", &name, "-c", container, "--", "find", mount, "-type", "f"]);
    let path =
        found.lines().next().unwrap_or_else(|| panic!("the application sees no file in {mount}"));
    assert_eq!(
        piped_b3sum(space.command(&["exec", &name, "-c", container, "--", "cat", path])),
        hash
    );
}

/// The example with images that this cluster has.
fn settled(example: &str) -> String {
    let lines = example.lines().map(|line| {
        match line.trim_start().trim_start_matches("- ").strip_prefix("image:") {
            Some(image) if image.contains("peral") => format!(
                "{}{}",
                &line[..line.find("image:").unwrap()],
                format_args!("image: {}", settings().image)
            ),
            Some(_) => format!(
                "{}{}",
                &line[..line.find("image:").unwrap()],
                format_args!("image: {}", settings().toolbox)
            ),
            None => line.to_owned(),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}
