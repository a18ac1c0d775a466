//! From what a one-to-one socket of RFC 6458 says to events: whole messages, and one end.

use super::DownReason;
use coeur_usrsctp::{Notice, Received};
use std::io;

/// What the socket of an association is asked for.
pub(super) trait Source {
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Received>;
    /// Why the association ended, once.
    fn take_error(&self) -> Option<io::Error>;
    /// Whether an end of file comes after the last notice, and so ends the association. (usrsctp gives it already when
    /// SHUTDOWN has come, and its notice later.)
    const END_IS_LAST: bool;
}

/// The state of one association, as far as its owner has been told.
#[derive(Default)]
pub(super) struct Assembly {
    /// None: not up yet.
    pub(super) outbound_streams: Option<u16>,
    pub(super) closing: bool,
    /// The peer has sent SHUTDOWN.
    peer_closing: bool,
    partial: Vec<u8>,
}

/// What an association has to say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    Nothing,
    Message { stream: u16, ppid: u32, octets: Vec<u8> },
    Up { outbound_streams: u16, inbound_streams: u16 },
    Restarted { outbound_streams: u16, inbound_streams: u16 },
    Down(DownReason),
}

impl Assembly {
    /// Of an association that is up, and announced as such.
    pub(super) fn up(outbound_streams: u16) -> Self {
        Self { outbound_streams: Some(outbound_streams), ..Self::default() }
    }

    /// What comes next; `buffer` holds the longest message.
    pub(super) fn read<S: Source>(&mut self, source: &mut S, buffer: &mut [u8]) -> Read {
        let octets_max = buffer.len();
        loop {
            let received = match source.receive(buffer) {
                Ok(received) => received,
                Err(error) => return Read::Down(self.reason(Some(error))),
            };
            match received {
                Received::Nothing => return Read::Nothing,
                Received::Part { octets, stream, ppid, end } => {
                    let part = &buffer[..octets.min(octets_max)];
                    if self.partial.len() + octets > octets_max {
                        return Read::Down(DownReason::MessageTooLong);
                    }
                    if end && self.partial.is_empty() {
                        return Read::Message { stream, ppid, octets: part.to_vec() };
                    }
                    self.partial.extend_from_slice(part);
                    if end {
                        return Read::Message { stream, ppid, octets: std::mem::take(&mut self.partial) };
                    }
                }
                Received::Notice(Notice::Up { outbound_streams, inbound_streams }) => {
                    // An accepted association was announced when it was accepted.
                    if self.outbound_streams.replace(outbound_streams).is_none() {
                        return Read::Up { outbound_streams, inbound_streams };
                    }
                }
                Received::Notice(Notice::Restarted { outbound_streams, inbound_streams }) => {
                    self.partial.clear();
                    self.outbound_streams = Some(outbound_streams);
                    return Read::Restarted { outbound_streams, inbound_streams };
                }
                Received::Notice(Notice::ShuttingDown) => self.peer_closing = true,
                Received::Notice(Notice::ShutdownComplete) => return Read::Down(self.closed()),
                Received::Notice(Notice::Lost | Notice::CannotStart) => {
                    return Read::Down(self.reason(source.take_error()));
                }
                Received::Notice(Notice::Other) => {}
                Received::End => {
                    if let Some(error) = source.take_error() {
                        return Read::Down(self.reason(Some(error)));
                    }
                    let completion_follows = !S::END_IS_LAST && (self.closing || self.peer_closing);
                    return if completion_follows { Read::Nothing } else { Read::Down(self.closed()) };
                }
            }
        }
    }

    fn closed(&self) -> DownReason {
        if self.closing { DownReason::Local } else { DownReason::Shutdown }
    }

    fn reason(&self, error: Option<io::Error>) -> DownReason {
        DownReason::from_error(error, self.outbound_streams.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    struct Script(VecDeque<Received>, Option<i32>);

    impl Source for Script {
        const END_IS_LAST: bool = false;

        fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
            buffer.fill(7);
            Ok(self.0.pop_front().unwrap_or(Received::Nothing))
        }

        fn take_error(&self) -> Option<io::Error> {
            self.1.map(io::Error::from_raw_os_error)
        }
    }

    fn part(octets: usize, end: bool) -> Received {
        Received::Part { octets, stream: 3, ppid: 60, end }
    }

    fn up() -> Received {
        Received::Notice(Notice::Up { outbound_streams: 4, inbound_streams: 5 })
    }

    fn all(script: Vec<Received>, errno: Option<i32>) -> Vec<Read> {
        let mut source = Script(script.into(), errno);
        let mut assembly = Assembly::default();
        let mut buffer = [0; 10];
        let mut reads = Vec::new();
        loop {
            let read = assembly.read(&mut source, &mut buffer);
            let last = matches!(read, Read::Nothing | Read::Down(_));
            reads.push(read);
            if last {
                return reads;
            }
        }
    }

    #[test]
    fn parts_become_messages() {
        let reads = all(vec![up(), part(4, false), part(3, false), part(3, true), part(2, true), up()], None);
        let message = |octets| Read::Message { stream: 3, ppid: 60, octets: vec![7; octets] };
        let came_up = Read::Up { outbound_streams: 4, inbound_streams: 5 };
        assert_eq!(reads, [came_up, message(10), message(2), Read::Nothing]);
    }

    #[test]
    fn a_message_beyond_the_limit_ends_the_association() {
        assert_eq!(all(vec![part(10, false), part(1, true)], None), [Read::Down(DownReason::MessageTooLong)]);
    }

    #[test]
    fn ends_have_their_reasons() {
        let lost = Received::Notice(Notice::Lost);
        let down = |script, errno| all(script, errno).pop();
        assert_eq!(down(vec![up(), lost], Some(libc::ECONNRESET)), Some(Read::Down(DownReason::Aborted)));
        assert_eq!(down(vec![up(), lost], Some(libc::ETIMEDOUT)), Some(Read::Down(DownReason::Unreachable)));
        assert_eq!(down(vec![lost], Some(libc::ECONNREFUSED)), Some(Read::Down(DownReason::Refused)));
        let closing = Received::Notice(Notice::ShuttingDown);
        let complete = Received::Notice(Notice::ShutdownComplete);
        assert_eq!(down(vec![up(), closing, Received::End, complete], None), Some(Read::Nothing));
        assert_eq!(down(vec![up(), closing, complete], None), Some(Read::Down(DownReason::Shutdown)));
        assert_eq!(down(vec![up(), Received::End], None), Some(Read::Down(DownReason::Shutdown)));
    }
}
