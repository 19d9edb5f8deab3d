//! A page of metrics as Prometheus reads it.

/// The samples of one page.
#[derive(Debug, Clone)]
pub struct Metrics(Vec<(String, String, f64)>);

impl Metrics {
    /// Reads a page of the text format.
    pub fn read(page: &str) -> Self {
        let samples = page.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            Some((name.to_owned(), labels.trim_end_matches('}').to_owned(), value.parse().ok()?))
        });
        Self(samples.collect())
    }

    /// Sum of the series with this name whose labels contain all of `labels`, such as `zone="other"`.
    ///
    /// # Panics
    /// There is no series with this name: a metric that was renamed must not pass for one that is 0.
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        assert!(self.0.iter().any(|(series, ..)| series == name), "no metric is called {name}: {:?}", self.names());
        self.0.iter().filter(|(series, has, _)| series == name && labels.iter().all(|label| has.contains(label))).map(|sample| sample.2).sum()
    }

    fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.0.iter().map(|(name, ..)| name.as_str()).collect();
        names.dedup();
        names
    }
}
