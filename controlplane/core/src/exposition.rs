//! `/metrics`: the figures of the network functions, and of the process, as Prometheus reads them.

use coeur_nf::metric::{DURATION_BUCKETS_S, Histogram, Sample, Value};
use prometheus::proto::{Bucket, Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Encoder, TextEncoder};
use std::collections::BTreeMap;

/// Encodes samples in the text format, families in the order of their names. Samples of one family share its help and kind.
pub(crate) fn encode(samples: Vec<Sample>) -> Result<String, prometheus::Error> {
    let mut families: BTreeMap<&'static str, MetricFamily> = BTreeMap::new();
    for sample in samples {
        let family = families.entry(sample.name).or_insert_with(|| {
            let mut family = MetricFamily::default();
            family.set_name(sample.name.to_owned());
            family.set_help(sample.help.to_owned());
            family.set_field_type(kind(&sample.value));
            family
        });
        family.mut_metric().push(metric(sample));
    }
    let families: Vec<_> = families.into_values().collect();
    let mut text = Vec::new();
    TextEncoder::new().encode(&families, &mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn kind(value: &Value) -> MetricType {
    match value {
        Value::Counter(_) => MetricType::COUNTER,
        Value::Gauge(_) => MetricType::GAUGE,
        Value::Histogram(_) => MetricType::HISTOGRAM,
    }
}

fn metric(sample: Sample) -> Metric {
    let mut metric = Metric::default();
    let labels = sample.labels.into_iter().map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value);
        pair
    });
    metric.set_label(labels.collect());
    match sample.value {
        Value::Counter(count) => {
            let mut counter = Counter::default();
            counter.set_value(count as f64);
            metric.set_counter(counter);
        }
        Value::Gauge(value) => {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        Value::Histogram(histogram) => metric.set_histogram(cumulative(&histogram)),
    }
    metric
}

/// Prometheus wants each bucket to hold all that is below its bound.
fn cumulative(histogram: &Histogram) -> prometheus::proto::Histogram {
    let mut below = 0;
    let buckets = DURATION_BUCKETS_S.iter().zip(histogram.counts).map(|(bound, count)| {
        below += count;
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(*bound);
        bucket.set_cumulative_count(below);
        bucket
    });
    let mut encoded = prometheus::proto::Histogram::default();
    encoded.set_bucket(buckets.collect());
    encoded.set_sample_count(histogram.count());
    encoded.set_sample_sum(histogram.sum_s);
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn families_are_grouped_and_histograms_are_cumulative() {
        let mut histogram = Histogram::default();
        histogram.observe(Duration::from_millis(1));
        histogram.observe(Duration::from_secs(60));
        let text = encode(vec![
            Sample::counter("coeur_b_total", "B.", 2).label("cause", "x"),
            Sample::gauge("coeur_a", "A.", 1.0),
            Sample::counter("coeur_b_total", "B.", 3).label("cause", "y\"\n"),
            Sample::histogram("coeur_c_seconds", "C.", histogram),
        ])
        .unwrap();
        assert_eq!(text.matches("# TYPE coeur_b_total counter").count(), 1);
        assert!(text.contains("coeur_b_total{cause=\"y\\\"\\n\"} 3"), "{text}");
        assert!(text.contains("coeur_c_seconds_bucket{le=\"0.001\"} 1"), "{text}");
        assert!(text.contains("coeur_c_seconds_bucket{le=\"10\"} 1"), "{text}");
        assert!(text.contains("coeur_c_seconds_bucket{le=\"+Inf\"} 2"), "{text}");
        assert!(text.find("coeur_a ").unwrap() < text.find("coeur_b_total").unwrap());
    }
}
