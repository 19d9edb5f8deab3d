//! Volumes that cannot be used, and volumes that are full.

use peral_testkit::Said;
use serde_json::{Value, json};

use crate::{
    application::Application,
    harness::{Admin, PATIENCE, Release, Space, Toolbox, b3sum, eventually, noise_file, settings},
};

/// Shows: a peer whose volume cannot be written is not ready and says why in /readyz and in its
/// log; it does not crash-loop; when the volume can be used again it is the peer that it was.
#[test]
fn a_pod_without_a_usable_volume_is_not_ready_and_says_why() {
    let space = Space::new("unusable");
    let release = Release::install(&space, &["peer.replicas=2"]);
    let (id, pod) = (release.status(1)["peer"].clone(), release.pod("peral-peer-1").unwrap());
    let toolbox = Toolbox::start(&space, "hand", &json!({}), Some("peral-peral-peer-1"));
    toolbox.shell("chmod 0500 /peral/data && ! touch /peral/data/x 2> /dev/null").success();
    space.ok(&["delete", "pod/peral-peer-1", "--grace-period=1"]);

    let text = eventually("the peer says that its folder cannot be used", PATIENCE, || {
        let now =
            release.pod("peral-peer-1").filter(|now| now.uid != pod.uid && !now.ip.is_empty())?;
        assert!(!now.ready, "it is ready without a volume");
        let log = space.kubectl(&["logs", &now.name]).out;
        log.lines()
            .find(|line| {
                line.contains("/peral/data") && (line.contains("denied") || line.contains("cannot"))
            })
            .map(str::to_owned)
    });
    let page = release.admin("peral-peer-1", "/readyz");
    assert_eq!(page.status, 503, "{page:?}");
    assert!(page.body.contains("/peral/data"), "/readyz says {page:?}, the log says {text}");
    assert_eq!(release.pod("peral-peer-1").unwrap().restarts, 0, "it crash-loops");

    toolbox.shell("chmod 0700 /peral/data").success();
    eventually("the peer is ready again", PATIENCE, || {
        release.pod("peral-peer-1").filter(|pod| pod.ready)
    });
    assert_eq!(release.status(1)["peer"], id);
}

/// A StorageClass of one small volume: a tmpfs of `mib` MiB on a node, which a pod with rights
/// mounts there.
struct SmallVolume<'a> {
    helper: &'a Space,
    path: String,
}

impl<'a> SmallVolume<'a> {
    fn make(helper: &'a Space, mib: u32) -> Self {
        let path = format!("/tmp/{}", helper.name);
        let nodes = helper.get("nodes")["items"].as_array().unwrap().clone();
        let node = nodes
            .iter()
            .find(|node| node["spec"]["taints"].is_null())
            .unwrap_or_else(|| panic!("no node takes any pod: {nodes:?}"));
        let node =
            node["metadata"]["labels"]["kubernetes.io/hostname"].as_str().unwrap().to_owned();
        helper.apply(&json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "mounter" },
            "spec": {
                "nodeSelector": { "kubernetes.io/hostname": node },
                "terminationGracePeriodSeconds": 0,
                "containers": [{
                    "name": "tool", "image": settings().toolbox, "imagePullPolicy": "IfNotPresent",
                    "securityContext": { "privileged": true, "runAsUser": 0 },
                    "command": ["bash", "-c", format!("mount -t tmpfs -o size={mib}m,mode=0777 \
                        tmpfs /small && sleep \
                        infinity")],
                    "readinessProbe": {
                        "exec": { "command": ["mountpoint", "/small"] }, "periodSeconds": 1,
                    },
                    "volumeMounts": [
                        {
                            "name": "small", "mountPath": "/small",
                            "mountPropagation": "Bidirectional",
                        },
                    ],
                }],
                "volumes": [
                    { "name": "small", "hostPath": { "path": path, "type": "DirectoryOrCreate" } },
                ],
            },
        }));
        helper.ok(&["wait", "--for=condition=Ready", "pod/mounter", "--timeout=90s"]);
        let class = &helper.name;
        helper.keep_outside(&format!("storageclass/{class}"));
        helper.apply(&json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
            "metadata": { "name": class },
            "provisioner": "kubernetes.io/no-provisioner",
            "volumeBindingMode": "WaitForFirstConsumer",
        }));
        helper.keep_outside(&format!("persistentvolume/{class}"));
        helper.apply(&json!({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": { "name": class },
            "spec": {
                "capacity": { "storage": "100Gi" }, "accessModes": ["ReadWriteOnce"],
                "storageClassName": class, "persistentVolumeReclaimPolicy": "Retain",
                "hostPath": { "path": path },
                "nodeAffinity": { "required": { "nodeSelectorTerms": [{ "matchExpressions": [
                    { "key": "kubernetes.io/hostname", "operator": "In", "values": [node] },
                ] }] } },
            },
        }));
        Self { helper, path }
    }
}

impl Drop for SmallVolume<'_> {
    fn drop(&mut self) {
        self.helper.kubectl(&["exec", "mounter", "--", "umount", "-l", "/small"]);
        let _ = &self.path;
    }
}

/// Shows: a peer whose volume has little room left stays ready and goes on serving what it has; it
/// refuses uploads with a clear error; its status, a metric and its log say that it is full.
#[test]
fn a_full_peer_stays_ready_and_refuses_writes() {
    let (space, helper) = (Space::new("full"), Space::with_security("full-volume", "privileged"));
    let volume = SmallVolume::make(&helper, 400);
    let class = format!("peer.storage.storageClass={}", helper.name);
    let release = Release::install(&space, &["peer.replicas=1", &class]);
    // 64 MiB are kept for the peer itself, and with less than 256 MiB of room beside them it is
    // full.
    let first = noise_file("full", 48 << 20);
    release.upload(0, &first, "full/first.bin");
    release.peral(0, &["upload", "/usr/local/bin/peral", "--name", "full/second.bin"]);

    let status = eventually("its status says full", PATIENCE, || {
        Some(release.status(0)).filter(|status| status["state"] == "full")
    });
    assert!(status["room"].as_u64().unwrap() < 256 << 20, "{status}");
    release.listed(0, "peral-peer-0", "full");
    refused(&release.try_upload(0, &noise_file("more", 64 << 10), "full/more.bin"));
    assert!(release.file(0, "full/more.bin").is_none());

    let pod = release.pod("peral-peer-0").unwrap();
    assert!(pod.ready && pod.restarts == 0, "{pod:?}");
    eventually("a metric says full", PATIENCE, || {
        release.metrics(&pod.name).sum("peral_full", &[]) > 0.5
    });
    let log = release.log(&pod.name);
    assert!(log.contains("the volume is full"), "its log does not say so:\n{log}");
    Admin::log_in(&space).token_secret("reader", "reader");
    assert_eq!(
        Application::start(&space, "reader", "reader", "full/first.bin", 60).finished(),
        b3sum(&first),
        "it serves no longer"
    );
    drop(volume);
}

fn refused(said: &Said) {
    assert_eq!(said.failed(), "NO_SPACE", "{said:#?}");
    let detail: Value = said.json()["error"]["detail"].clone();
    let detail = detail.as_str().unwrap();
    assert!(detail.contains("full") || detail.contains("room"), "{detail}");
}
