//! One figure, one line.

use serde::Serialize;

/// A measured value beside a reference that was measured in the same run.
#[derive(Serialize)]
pub struct Figure<'a> {
    name: &'a str,
    value: f64,
    unit: &'a str,
    against: &'a str,
    reference: f64,
    ratio: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    p99_ms: Option<f64>,
}

/// Prints a figure as one JSON object.
pub fn print(name: &str, value: f64, unit: &str, against: &str, reference: f64) {
    line(&Figure {
        name,
        value: round(value),
        unit,
        against,
        reference: round(reference),
        ratio: round(value / reference),
        p99_ms: None,
    });
}

/// As [`print`], with the 99th percentile of the single request beside it.
pub fn print_with_p99(
    name: &str,
    value: f64,
    unit: &str,
    against: &str,
    reference: f64,
    p99_ms: f64,
) {
    let ratio = round(value / reference);
    line(&Figure {
        name,
        value: round(value),
        unit,
        against,
        reference: round(reference),
        ratio,
        p99_ms: Some(round(p99_ms)),
    });
}

fn line(figure: &Figure<'_>) {
    println!("{}", serde_json::to_string(figure).expect("numbers and texts"));
}

/// Four significant digits: more would pretend.
fn round(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let scale = 10f64.powf(3.0 - value.abs().log10().floor());
    (value * scale).round() / scale
}

/// The middle of some runs.
pub fn median(mut runs: Vec<f64>) -> f64 {
    runs.sort_by(f64::total_cmp);
    runs.get(runs.len() / 2).copied().unwrap_or(f64::NAN)
}
