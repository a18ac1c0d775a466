//! Figures of a network function, as plain values. `coeur-core` puts them into the exposition of the `prometheus` crate.
//!
//! Names are `coeur_<nf>_<thing>_<unit>[_total]`; the matching name of TS 28.552, where there is one, stands in the help
//! text. No SUPI, address, TEID or SEID is ever a label.

/// One figure. The name, help and kind of one family are the same in all its samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub name: &'static str,
    pub help: &'static str,
    pub labels: Vec<(&'static str, String)>,
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Counter(u64),
    Gauge(f64),
    Histogram(Histogram),
}

impl Sample {
    pub fn counter(name: &'static str, help: &'static str, value: u64) -> Self {
        Self { name, help, labels: Vec::new(), value: Value::Counter(value) }
    }

    pub fn gauge(name: &'static str, help: &'static str, value: f64) -> Self {
        Self { name, help, labels: Vec::new(), value: Value::Gauge(value) }
    }

    pub fn histogram(name: &'static str, help: &'static str, histogram: Histogram) -> Self {
        Self { name, help, labels: Vec::new(), value: Value::Histogram(histogram) }
    }

    #[must_use]
    pub fn label(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.labels.push((name, value.into()));
        self
    }
}

/// Upper bounds of the buckets of a [`Histogram`] of durations, in seconds.
pub const DURATION_BUCKETS_S: [f64; 14] =
    [0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];

/// Counts of durations by bucket.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// Not cumulative; the last is what exceeds every bound.
    pub counts: [u64; DURATION_BUCKETS_S.len() + 1],
    pub sum_s: f64,
}

impl Histogram {
    pub fn observe(&mut self, duration: std::time::Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = DURATION_BUCKETS_S.iter().position(|bound| seconds <= *bound).unwrap_or(DURATION_BUCKETS_S.len());
        self.counts[bucket] += 1;
        self.sum_s += seconds;
    }

    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_duration_falls_into_the_first_bucket_that_holds_it() {
        let mut histogram = Histogram::default();
        for ms in [0, 1, 3, 60_000] {
            histogram.observe(Duration::from_millis(ms));
        }
        assert_eq!((histogram.counts[0], histogram.counts[1], histogram.counts[3], histogram.counts[14]), (1, 1, 1, 1));
        assert_eq!(histogram.count(), 4);
    }
}
