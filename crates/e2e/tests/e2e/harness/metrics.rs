//! What a namespace uses, as its kubelets tell it.

use peral_testkit::metrics::Metrics;

use super::Space;

/// What the containers of a namespace have used, as their kubelets tell it some seconds late.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Seconds of CPU, since each began.
    pub cpu_seconds: f64,
    /// Memory that is in use, in MiB.
    pub mib: f64,
}

impl Usage {
    /// Of all containers of a namespace that run now.
    pub fn of(space: &Space) -> Self {
        let nodes = space.get("nodes");
        let names = nodes["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|node| node["metadata"]["name"].as_str().unwrap());
        let pages: Vec<_> = names
            .map(|node| {
                Metrics::read(&space.ok(&[
                    "get",
                    "--raw",
                    &format!("/api/v1/nodes/{node}/proxy/metrics/resource"),
                ]))
            })
            .collect();
        let label = format!("namespace=\"{}\"", space.name);
        let sum = |name: &str| pages.iter().map(|page| page.sum(name, &[&label])).sum::<f64>();
        Self {
            cpu_seconds: sum("container_cpu_usage_seconds_total"),
            mib: sum("container_memory_working_set_bytes") / f64::from(1 << 20),
        }
    }
}
