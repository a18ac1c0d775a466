//! Lines of children on the platform's stderr: each with its child's name, none longer than a limit, and never a child held
//! up because nobody reads.

use crate::plan::ChildId;
use std::io::Write as _;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, atomic::AtomicU64, atomic::Ordering};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

/// Longest line; what is beyond is left out, and said so.
pub(crate) const LINE_OCTETS_MAX: usize = 8 * 1024;
/// Lines that wait for a slow reader of stderr; those beyond are lost, and counted.
const LINES_MAX: usize = 1_024;

/// Where lines go.
#[derive(Clone)]
pub(crate) struct LogSink {
    lines: SyncSender<Vec<u8>>,
    lost: Arc<AtomicU64>,
}

impl LogSink {
    /// Lines are written by a thread of their own: writing to stderr may block.
    pub(crate) fn to_stderr() -> std::io::Result<Self> {
        let (sink, lines) = Self::channel();
        let lost = Arc::clone(&sink.lost);
        std::thread::Builder::new().name("log".into()).spawn(move || write_all(&lines, &lost))?;
        Ok(sink)
    }

    pub(crate) fn channel() -> (Self, Receiver<Vec<u8>>) {
        let (lines, receiver) = sync_channel(LINES_MAX);
        (Self { lines, lost: Arc::default() }, receiver)
    }

    fn line(&self, id: &ChildId, text: &[u8], cut: bool) {
        let mut line = format!("{id} | ").into_bytes();
        // What a peer sent may be in it, and it may reach a terminal: no control character passes.
        let harmless = |octet: &u8| if octet.is_ascii_control() && *octet != b'\t' { b'?' } else { *octet };
        line.extend(text.iter().map(harmless));
        if cut {
            line.extend_from_slice(b" [cut]");
        }
        line.push(b'\n');
        if let Err(TrySendError::Full(_)) = self.lines.try_send(line) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn write_all(lines: &Receiver<Vec<u8>>, lost: &AtomicU64) {
    let mut stderr = std::io::stderr();
    for line in lines {
        // If stderr is gone there is nobody to tell.
        let _ = stderr.write_all(&line);
        match lost.swap(0, Ordering::Relaxed) {
            0 => {}
            count => _ = writeln!(stderr, "coeur | {count} lines of children were lost: stderr is read too slowly"),
        }
    }
}

/// Takes lines from a child until it closes its end. `first` sees each whole line before it is logged, and may keep it.
pub(crate) async fn pump(
    mut from: impl AsyncBufRead + Unpin,
    id: &ChildId,
    sink: &LogSink,
    mut keep: impl FnMut(&[u8]) -> bool,
) -> std::io::Result<()> {
    let mut line = Vec::new();
    let mut cut = false;
    loop {
        let (used, ended) = {
            let octets = from.fill_buf().await?;
            if octets.is_empty() {
                if !line.is_empty() && !keep(&line) {
                    sink.line(id, &line, cut);
                }
                return Ok(());
            }
            let end = octets.iter().position(|octet| *octet == b'\n');
            let part = &octets[..end.unwrap_or(octets.len())];
            let fits = part.len().min(LINE_OCTETS_MAX - line.len());
            line.extend_from_slice(&part[..fits]);
            cut |= fits < part.len();
            (end.map_or(octets.len(), |end| end + 1), end.is_some())
        };
        from.consume(used);
        if ended {
            if cut || !keep(&line) {
                sink.line(id, &line, cut);
            }
            line.clear();
            cut = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::ProcessKind;

    async fn pumped(text: &[u8]) -> (Vec<String>, Vec<String>) {
        let id = ChildId { core: "plant".into(), kind: ProcessKind::Core };
        let (sink, lines) = LogSink::channel();
        let mut kept = Vec::new();
        let keep = |line: &[u8]| {
            let ready = line.starts_with(b"{");
            if ready {
                kept.push(String::from_utf8_lossy(line).into_owned());
            }
            ready
        };
        pump(tokio::io::BufReader::with_capacity(7, text), &id, &sink, keep).await.unwrap();
        drop(sink);
        (lines.iter().map(|line| String::from_utf8(line).unwrap()).collect(), kept)
    }

    #[tokio::test]
    async fn lines_are_named_kept_and_bounded() {
        let long = "x".repeat(LINE_OCTETS_MAX + 1);
        let (lines, kept) = pumped(format!("one\n{{ready}}\n\x07two\r\n{long}\nlast").as_bytes()).await;
        assert_eq!(kept, ["{ready}"]);
        assert_eq!(lines[..2], ["plant/core | one\n", "plant/core | ?two?\n"]);
        assert_eq!(lines[2].len(), "plant/core | ".len() + LINE_OCTETS_MAX + " [cut]\n".len());
        assert_eq!(lines[3], "plant/core | last\n");
    }

    #[tokio::test]
    async fn a_flood_that_nobody_reads_is_counted_and_holds_up_nobody() {
        let id = ChildId { core: "plant".into(), kind: ProcessKind::Core };
        let (sink, lines) = LogSink::channel();
        let flood = "line\n".repeat(LINES_MAX + 10);
        pump(flood.as_bytes(), &id, &sink, |_| false).await.unwrap();
        assert_eq!(sink.lost.load(Ordering::Relaxed), 10);
        drop(sink);
        assert_eq!(lines.iter().count(), LINES_MAX);
    }
}
