//! A node is cut off from the others, and mended.

use std::{process::Command, time::Instant};

use serde_json::json;

use crate::harness::{
    PATIENCE, Pod, Release, Space, b3sum, eventually, figure, noise_file, run, settings,
};

/// A node that is cut off; mended when dropped, however the test ends.
struct Cut<'a> {
    node: &'a str,
    mended: bool,
}

impl<'a> Cut<'a> {
    fn off(node: &'a str) -> Self {
        run(cut(&[node])).success();
        Self { node, mended: false }
    }

    fn mend(&mut self) {
        if !std::mem::replace(&mut self.mended, true) {
            run(cut(&["--mend", self.node]));
        }
    }
}

impl Drop for Cut<'_> {
    fn drop(&mut self) {
        self.mend();
    }
}

fn cut(args: &[&str]) -> Command {
    let mut command = Command::new(settings().cut.as_ref().unwrap());
    command.args(args);
    command
}

/// The peer on a node that can be cut off without central, and the others.
fn alone(pods: &[Pod], central: &Pod) -> (usize, Vec<usize>) {
    let number = |pod: &Pod| pod.name.rsplit('-').next().unwrap().parse().unwrap();
    let is_alone = |pod: &&Pod| {
        pod.node != "node1"
            && pod.node != central.node
            && pods.iter().filter(|other| other.node == pod.node).count() == 1
    };
    let chosen = pods.iter().find(is_alone).unwrap_or_else(|| {
        panic!("the peers were not spread over the nodes: {pods:?}, central {central:?}")
    });
    (number(chosen), pods.iter().filter(|pod| pod.name != chosen.name).map(number).collect())
}

/// Shows: when a node is cut off, its peer's lease ends, and a download that had it as a source
/// goes on from the other one. When the node is mended, the peer comes back by itself: the same
/// pod, not restarted, the same id.
///
/// Run alone (other tests' pods are on that node too), and only where scripts/e2e was given a way
/// to cut nodes off (E2E_CUT).
#[test]
#[ignore = "cuts a node off: scripts/e2e runs it by name, after the others, where E2E_CUT is set"]
fn a_cut_off_node_is_done_without_and_comes_back() {
    let space = Space::new("cut");
    let release = Release::install(&space, &["peer.replicas=3", "peer.uploadRate=3M"]);
    let (lost, others) = alone(&release.ready("peer", 3), &release.central());
    let (holder, receiver) = (others[0], others[1]);
    let file = noise_file("cut", 128 << 20);
    release.upload(holder, &file, "cut/a.bin");
    // Both hold it before the receiver begins. The rate is for each sender, so this takes its time.
    release.peral(lost, &["download", "cut/a.bin"]);
    release.sources(receiver, "cut/a.bin", 2);
    let (id, pod) =
        (release.status(lost)["peer"].clone(), release.pod(&format!("peral-peer-{lost}")).unwrap());

    let mut download = release.begin(receiver, &["download", "cut/a.bin", "--wait", "300"]);
    download.moved_within(PATIENCE, 12 << 20);
    let (mut cut, begin) = (Cut::off(&pod.node), Instant::now());
    let away = release.listed(receiver, &pod.name, "away");
    assert_eq!(away["id"], id);
    figure("cut", json!({ "seconds_until_away": begin.elapsed().as_secs_f64() }));
    assert_eq!(
        release.file(receiver, "cut/a.bin").unwrap()["sources"],
        1,
        "a source that is cut off is still named"
    );
    assert_eq!(download.finish_within(PATIENCE).ok()["hash"], *b3sum(&file));

    cut.mend();
    let begin = Instant::now();
    let back = release.listed(receiver, &pod.name, "ready");
    assert_eq!((&back["id"], &back["address"]), (&id, &format!("{}:7071", pod.ip).into()));
    figure("mended", json!({ "seconds_until_ready_again": begin.elapsed().as_secs_f64() }));
    let now =
        eventually("its pod is ready", PATIENCE, || release.pod(&pod.name).filter(|pod| pod.ready));
    assert_eq!((now.uid, now.restarts), (pod.uid, 0), "it came back by a restart");
    release.sources(receiver, "cut/a.bin", 3);
    assert_eq!(release.status(lost)["state"], "ready");
}
