//! A page of metrics as Prometheus reads it.

/// The samples of one page.
#[derive(Debug, Clone)]
pub struct Metrics(Vec<Sample>);

#[derive(Debug, Clone)]
struct Sample {
    name: String,
    labels: String,
    value: f64,
}

impl Metrics {
    /// Reads a page of the text format.
    pub fn read(page: &str) -> Self {
        let lines = page.lines().filter(|line| !line.starts_with('#'));
        Self(lines.filter_map(Sample::read).collect())
    }

    /// Sum of the series with this name whose labels contain all of `labels`, such as
    /// `zone="other"`; nothing where there are none.
    pub fn find(&self, name: &str, labels: &[&str]) -> Option<f64> {
        let fits = |sample: &&Sample| {
            sample.name == name && labels.iter().all(|label| sample.labels.contains(label))
        };
        let found: Vec<f64> = self.0.iter().filter(fits).map(|sample| sample.value).collect();
        (!found.is_empty()).then(|| found.iter().sum())
    }

    /// The same; 0 where no series has these labels.
    ///
    /// # Panics
    /// There is no series with this name: a metric that was renamed must not pass for one that is
    /// 0.
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let names = self.names();
        assert!(names.contains(&name), "no metric is called {name}: {names:?}");
        self.find(name, labels).unwrap_or_default()
    }

    fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.0.iter().map(|sample| sample.name.as_str()).collect();
        names.dedup();
        names
    }
}

impl Sample {
    fn read(line: &str) -> Option<Self> {
        let end = line.rfind('}').map_or_else(|| line.find(' '), |end| Some(end + 1))?;
        let (series, values) = line.split_at(end);
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        // A time may follow the value.
        let value = values.split_whitespace().next()?.parse().ok()?;
        Some(Self { name: name.into(), labels: labels.trim_end_matches('}').into(), value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_summed_by_their_labels() {
        let page = Metrics::read("# HELP a b\na{x=\"1\",y=\"2\"} 3 1700\na{x=\"2\"} 4\nb 5\n");
        assert_eq!(page.find("a", &[]), Some(7.0));
        assert_eq!(page.find("a", &["y=\"2\"", "x=\"1\""]), Some(3.0));
        assert_eq!((page.find("a", &["x=\"3\""]), page.find("c", &[])), (None, None));
        assert_eq!((page.sum("b", &[]), page.sum("a", &["x=\"3\""])), (5.0, 0.0));
    }

    #[test]
    #[should_panic(expected = "no metric is called c: [\"a\"]")]
    fn a_metric_that_is_not_there_is_not_0() {
        Metrics::read("a 1\n").sum("c", &[]);
    }
}
