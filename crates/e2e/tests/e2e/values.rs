//! Invalid values.

use crate::harness::{Release, Space};

/// Values, and what the error must name.
const WRONG: &[(&[&str], &str)] = &[
    (&["peer.replica=3"], "replica"),
    (&["centrall.replicas=1"], "centrall"),
    (&["peer.replicas=many"], "replicas"),
    (&["peer.storage.size=lots"], "size"),
    (&["database.mode=oracle"], "mode"),
    (&["database.mode=external"], "database.external.existingSecret"),
    (&["central.replicas=2"], "central.replicas"),
];

/// Shows: a misspelt or contradictory value stops `helm install` with an error that names the
/// value, before anything is created.
#[test]
fn a_wrong_value_is_one_readable_error() {
    let space = Space::new("values");
    for (values, named) in WRONG {
        let said = Release::attempt(&space, values);
        assert_ne!(said.code, Some(0), "it was installed: {said:#?}");
        assert!(said.err.contains(named), "{named} is not named: {said:#?}");
        assert!(
            !said.err.contains("nil pointer") && !said.err.contains("template: "),
            "this is for people: {said:#?}"
        );
        assert!(said.err.lines().count() <= 6, "one error, not a page: {said:#?}");
    }
    let made = space.get("deployments,statefulsets,jobs,secrets,persistentvolumeclaims");
    assert_eq!(made["items"].as_array().unwrap().len(), 0, "{made:#}");
}
