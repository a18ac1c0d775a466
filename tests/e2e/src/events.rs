//! JSON lines that a process writes, read with a time limit.

use anyhow::{Context as _, bail};
use serde_json::Value;
use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read},
    path::Path,
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    time::{Duration, Instant},
};

/// Most events that wait to be read; the writer then blocks on its pipe.
const EVENT_QUEUE_MAX: usize = 65_536;

/// How often a file is looked at.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(2);

/// The events of one process, in order.
#[derive(Debug)]
pub struct Events {
    lines: Receiver<(Instant, String)>,
}

impl Events {
    /// Reads `from` on a thread of its own until it ends.
    pub fn read(from: impl Read + Send + 'static) -> Self {
        let (send, lines) = sync_channel(EVENT_QUEUE_MAX);
        std::thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                if send.send((Instant::now(), line)).is_err() {
                    break;
                }
            }
        });
        Self { lines }
    }

    /// Reads a file that a process goes on writing, for one that is to outlive us: a pipe would end it. Silence is not the
    /// end here.
    pub fn follow(path: &Path) -> io::Result<Self> {
        let mut file = BufReader::new(File::open(path)?);
        let (send, lines) = sync_channel(EVENT_QUEUE_MAX);
        std::thread::spawn(move || {
            let mut line = String::new();
            loop {
                match file.read_line(&mut line) {
                    Err(_) => break,
                    // The rest of a line comes later.
                    Ok(_) if !line.ends_with('\n') => std::thread::sleep(FOLLOW_INTERVAL),
                    Ok(_) if send.send((Instant::now(), std::mem::take(&mut line))).is_err() => break,
                    Ok(_) => {}
                }
            }
        });
        Ok(Self { lines })
    }

    /// The next event, when it came; none when the writer has closed. Lines that are not JSON objects are an error: stdout
    /// is for data.
    pub fn next(&mut self, until: Instant) -> anyhow::Result<Option<(Instant, Value)>> {
        match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok((at, line)) => {
                let value: Value = serde_json::from_str(&line).with_context(|| format!("not a JSON line: {line}"))?;
                Ok(Some((at, value)))
            }
            Err(RecvTimeoutError::Timeout) => bail!("no event in time"),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
        }
    }

    /// Hands each event to `see` until it says that it has seen enough.
    pub fn until<T>(
        &mut self,
        limit: Duration,
        mut see: impl FnMut(Instant, &Value) -> Option<T>,
    ) -> anyhow::Result<Option<T>> {
        let end = Instant::now() + limit;
        while let Some((at, event)) = self.next(end)? {
            if let Some(found) = see(at, &event) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_order_and_end_with_the_writer() {
        let mut events = Events::read(&b"{\"event\":\"a\"}\n{\"event\":\"b\"}\n"[..]);
        let until = Instant::now() + Duration::from_secs(5);
        for name in ["a", "b"] {
            assert_eq!(events.next(until).unwrap().unwrap().1["event"], name);
        }
        assert!(events.next(until).unwrap().is_none());
    }

    #[test]
    fn a_file_is_followed_while_it_grows() {
        let path = std::env::temp_dir().join(format!("coeur-events-{}", std::process::id()));
        std::fs::write(&path, "{\"event\":\"a\"}\n{\"eve").unwrap();
        let mut events = Events::follow(&path).unwrap();
        let until = Instant::now() + Duration::from_secs(5);
        assert_eq!(events.next(until).unwrap().unwrap().1["event"], "a");
        let mut file = File::options().append(true).open(&path).unwrap();
        io::Write::write_all(&mut file, b"nt\":\"b\"}\n").unwrap();
        assert_eq!(events.next(until).unwrap().unwrap().1["event"], "b");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_is_no_json_is_an_error_and_silence_a_timeout() {
        assert!(Events::read(&b"hello\n"[..]).next(Instant::now() + Duration::from_secs(5)).is_err());
        let (silent, _writer) = std::io::pipe().unwrap();
        let error = Events::read(silent).next(Instant::now() + Duration::from_millis(20)).unwrap_err();
        assert!(error.to_string().contains("in time"));
    }
}
