//! A page of metrics as Prometheus reads it.

use super::Space;

/// The samples of one page.
#[derive(Debug, Clone)]
pub struct Metrics(Vec<(String, String, f64)>);

impl Metrics {
    /// Reads a page of the text format.
    pub fn read(page: &str) -> Self {
        let samples = page.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let (series, values) =
                line.split_at(line.rfind('}').map_or_else(|| line.find(' '), |end| Some(end + 1))?);
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            // A time may follow the value.
            Some((
                name.to_owned(),
                labels.trim_end_matches('}').to_owned(),
                values.split_whitespace().next()?.parse().ok()?,
            ))
        });
        Self(samples.collect())
    }

    /// Sum of the series with this name whose labels contain all of `labels`, such as
    /// `zone="other"`.
    ///
    /// # Panics
    /// There is no series with this name: a metric that was renamed must not pass for one that is
    /// 0.
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        assert!(
            self.0.iter().any(|(series, ..)| series == name),
            "no metric is called {name}: {:?}",
            self.names()
        );
        self.0
            .iter()
            .filter(|(series, has, _)| {
                series == name && labels.iter().all(|label| has.contains(label))
            })
            .map(|sample| sample.2)
            .sum()
    }

    fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.0.iter().map(|(name, ..)| name.as_str()).collect();
        names.dedup();
        names
    }
}

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
