//! `/metrics` of a process, read and judged.

use crate::Namespace;
use anyhow::{Context as _, bail, ensure};
use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::{Command, Stdio},
    time::Duration,
};

/// Longest a page may take.
const PAGE_MAX: Duration = Duration::from_secs(5);
/// Largest page that is read.
const PAGE_OCTETS_MAX: u64 = 64 << 20;

/// The body of `http://ADDRESS/PATH`, asked from inside.
pub fn get(namespace: &Namespace, address: SocketAddr, path: &str) -> anyhow::Result<String> {
    namespace
        .enter(|| get_here(address, path))?
        .with_context(|| format!("http://{address}{path} in {}", namespace.name()))
}

fn get_here(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PAGE_MAX)?;
    stream.set_read_timeout(Some(PAGE_MAX))?;
    // HTTP/1.0: the body ends with the connection and is never chunked.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(PAGE_OCTETS_MAX).read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no end of the header")?;
    let status = head.split_whitespace().nth(1).unwrap_or_default();
    ensure!(status == "200", "status {status}");
    Ok(body.to_owned())
}

/// Samples of a text exposition by series (`name{label="value"}`).
pub fn samples(text: &str) -> BTreeMap<String, f64> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        })
        .collect()
}

/// The sum of all series of metric `name` that have all of `labels` (`path="xdp"`).
pub fn sum(samples: &BTreeMap<String, f64>, name: &str, labels: &[&str]) -> f64 {
    let is_of = |series: &str| series.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'));
    let all = samples.iter().filter(|(series, _)| is_of(series) && labels.iter().all(|label| series.contains(label)));
    all.map(|(_, value)| value).sum()
}

/// What `promtool check metrics` has to say; empty is clean.
pub fn promtool(text: &str) -> anyhow::Result<String> {
    let mut child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("promtool (Debian package prometheus): run `cargo xtask setup`")?;
    let mut stdin = child.stdin.take().context("stdin was asked for")?;
    stdin.write_all(text.as_bytes())?;
    drop(stdin);
    let output = child.wait_with_output()?;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    match (output.status.success(), said.trim().is_empty()) {
        (false, true) => bail!("promtool: {} without a word", output.status),
        _ => Ok(said.trim().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_summed_by_name_and_label() {
        let text = "# HELP p x\np_total{path=\"xdp\",dir=\"up\"} 3\np_total{path=\"xdp\",dir=\"down\"} 4\n\
                    p_total{path=\"tc\"} 5\np_total_more 9\nplain 1\n";
        let samples = samples(text);
        assert_eq!(sum(&samples, "p_total", &["path=\"xdp\""]), 7.0);
        assert_eq!(sum(&samples, "p_total", &[]), 12.0);
        assert_eq!(sum(&samples, "plain", &[]), 1.0);
        assert_eq!(sum(&samples, "absent", &[]), 0.0);
    }

    #[test]
    fn promtool_tells_good_from_bad() {
        if !crate::on_path("promtool") {
            eprintln!("skipped: needs promtool");
            return;
        }
        let good = "# HELP coeur_a_total A.\n# TYPE coeur_a_total counter\ncoeur_a_total 1\n";
        assert_eq!(promtool(good).unwrap(), "");
        assert!(!promtool("# TYPE coeur_a counter\ncoeur_a 1\n").unwrap().is_empty());
    }
}
