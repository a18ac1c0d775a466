//! What a bench hands back: one figure each, as a table for people and one JSON object a line for programs.

use anyhow::Context as _;
use serde::Serialize;
use std::{io::Write as _, path::Path};

/// One measured value, beside the floor that was measured in the same run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Figure {
    /// `fastpath`, `attach`, `startup`.
    pub(crate) bench: &'static str,
    /// What was measured, `unlimited` for example.
    pub(crate) case: String,
    /// Sessions, UEs or trials.
    pub(crate) n: u64,
    /// `up`, `down`, or empty where there is no direction.
    pub(crate) dir: &'static str,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    /// The same unit as `value`; none where nothing is known to compare with.
    pub(crate) floor: Option<f64>,
    /// `value / floor`, or `floor / value` where more is better: above 1 is always worse than the floor.
    pub(crate) ratio: Option<f64>,
}

impl Figure {
    /// A cost: less is better.
    pub(crate) fn cost(
        bench: &'static str,
        case: &str,
        n: u64,
        dir: &'static str,
        value: f64,
        unit: &'static str,
    ) -> Self {
        Self { bench, case: case.to_owned(), n, dir, value, unit, floor: None, ratio: None }
    }

    /// The same cost with the floor it is held against.
    pub(crate) fn over(mut self, floor: f64) -> Self {
        self.floor = Some(floor);
        self.ratio = (floor > 0.0).then(|| self.value / floor);
        self
    }
}

/// Prints the table to stdout.
pub(crate) fn print_table(figures: &[Figure]) {
    let dash = || "-".to_owned();
    println!(
        "{:<10} {:<28} {:>9} {:<5} {:>12} {:<12} {:>12} {:>7}",
        "bench", "case", "n", "dir", "value", "unit", "floor", "ratio"
    );
    for f in figures {
        println!(
            "{:<10} {:<28} {:>9} {:<5} {:>12.2} {:<12} {:>12} {:>7}",
            f.bench,
            f.case,
            f.n,
            f.dir,
            f.value,
            f.unit,
            f.floor.map_or_else(dash, |floor| format!("{floor:.2}")),
            f.ratio.map_or_else(dash, |ratio| format!("{ratio:.2}")),
        );
    }
}

/// Writes one JSON object a line.
pub(crate) fn write_json(path: &Path, figures: &[Figure]) -> anyhow::Result<()> {
    let mut text = Vec::new();
    for figure in figures {
        serde_json::to_writer(&mut text, figure)?;
        writeln!(text)?;
    }
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_value_over_floor_and_absent_without_one() {
        let figure = Figure::cost("fastpath", "unlimited", 1000, "up", 90.0, "ns/packet");
        assert_eq!((figure.floor, figure.ratio), (None, None));
        assert_eq!(figure.clone().over(60.0).ratio, Some(1.5));
        assert_eq!(figure.over(0.0).ratio, None);
    }

    #[test]
    fn json_has_the_keys_that_readers_know() {
        let file = std::env::temp_dir().join(format!("coeur-figure-{}.json", std::process::id()));
        write_json(&file, &[Figure::cost("attach", "core", 10, "", 1.0, "ms").over(0.5)]).unwrap();
        let value: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        std::fs::remove_file(&file).unwrap();
        let mut keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["bench", "case", "dir", "floor", "n", "ratio", "unit", "value"]);
    }
}
