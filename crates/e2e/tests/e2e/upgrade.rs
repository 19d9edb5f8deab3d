//! `helm upgrade`, `helm rollback`, `helm uninstall` and install again.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::harness::{PATIENCE, Release, Space, b3sum, eventually, noise_file, run, settings};

/// What must outlive everything: Secrets, the authority, claims; each by its uid, which no other
/// object ever has.
fn kept(space: &Space) -> BTreeMap<String, String> {
    let list = space.get("secrets,configmaps,persistentvolumeclaims");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let is_ours = |name: &str| name.starts_with("peral-") && !name.contains("dashboard");
    let rows = list["items"].as_array().unwrap().iter().map(|one| {
        let name = text(&one["metadata"]["name"]);
        (format!("{}/{name}", text(&one["kind"])), name, text(&one["metadata"]["uid"]))
    });
    rows.filter(|(_, name, _)| is_ours(name)).map(|(what, _, uid)| (what, uid)).collect()
}

/// Shows: upgrade, rollback, and uninstall with another install after it: volumes, keys and
/// accounts are the same ones, each peer has its id, the files are there, with the bytes that they
/// had. Only a value that says so takes the peers' volumes away with the release.
#[test]
fn upgrade_rollback_and_a_new_install_keep_volumes_and_keys() {
    let space = Space::new("upgrade");
    let mut release = Release::install(&space, &["peer.replicas=2"]);
    let file = noise_file("upgrade", 24 << 20);
    release.upload(1, &file, "kept/a.bin");
    let before = kept(&space);
    for what in ["Secret/peral-keys", "Secret/peral-administrator", "ConfigMap/peral-ca"] {
        assert!(before.contains_key(what), "{what} is missing: {before:?}");
    }
    assert_eq!(
        before.keys().filter(|what| what.starts_with("PersistentVolumeClaim/")).count(),
        3,
        "{before:?}"
    );
    let ids = |release: &Release<'_>| {
        (release.status(0)["peer"].clone(), release.status(1)["peer"].clone())
    };
    let peers = ids(&release);

    release.upgrade(&settings().next, &[]).finish_within(PATIENCE).success();
    check(&release, &before, settings().next.as_str());
    run(space.helm(&["rollback", "peral", "--wait", "--timeout", "180s"])).success();
    check(&release, &before, settings().image.as_str());

    release.uninstall();
    assert_eq!(kept(&space), before, "uninstalling took away what must stay");
    release.install_again();
    check(&release, &before, settings().image.as_str());
    assert_eq!(ids(&release), peers);
    assert_eq!(release.peral(0, &["download", "kept/a.bin"])["hash"], *b3sum(&file));
    assert_eq!(release.b3sum(1, "kept/a.bin"), b3sum(&file));

    // Volumes go where that was asked for; keys stay even then.
    let deleting = release.upgrade(&settings().image, &["peer.storage.whenDeleted=Delete"]);
    deleting.finish_within(PATIENCE).success();
    release.uninstall();
    let left: Vec<_> = eventually("the claims of the peers are gone", PATIENCE, || {
        let left: Vec<_> = kept(&space).into_keys().collect();
        (!left.iter().any(|what| what.contains("peral-peer"))).then_some(left)
    });
    assert!(
        left.contains(&"Secret/peral-keys".to_owned())
            && left.contains(&"PersistentVolumeClaim/peral-central".to_owned()),
        "{left:?}"
    );
}

fn check(release: &Release<'_>, before: &BTreeMap<String, String>, image: &str) {
    let pods = [release.ready("peer", 2), release.ready("central", 1)].concat();
    for pod in &pods {
        let said = release.space.get(&format!("pod/{}", pod.name));
        assert_eq!(said["spec"]["containers"][0]["image"], image);
        assert_eq!(pod.restarts, 0, "{pod:?}");
    }
    assert_eq!(&kept(release.space), before);
    release.sources(0, "kept/a.bin", 1);
}
