//! `coeur events`: server-sent events, a line each.

use crate::cli::{EventsArguments, Global};
use crate::client::{Client, encode};
use crate::failure::{Code, Failure};
use crate::output;
use coeur_api::types::Event;
use http_body_util::BodyExt as _;

/// Longest line of a stream.
const LINE_OCTETS_MAX: usize = 64 * 1024;

pub(super) async fn run(client: &Client, global: &Global, arguments: &EventsArguments) -> Result<(), Failure> {
    let core = client.core(global.core.as_deref()).await?;
    let query = match (&arguments.after, arguments.live) {
        (Some(id), _) => format!("?after={}", encode(id)),
        (None, true) => "?live=true".to_owned(),
        (None, false) => String::new(),
    };
    let mut body = client.stream(&format!("{core}/events{query}")).await?;
    let mut lines = Lines::default();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { break };
        let Some(octets) = frame.data_ref() else { continue };
        for data in lines.push(octets)? {
            match global.json {
                true => output::line(data)?,
                false => output::line(shown(&data)?)?,
            }
        }
    }
    Err(Failure::new(Code::Unavailable, "the stream ended: the core, or the platform, went away"))
}

/// Cuts a stream into lines, and keeps the `data` of its events. The API writes an event's data as one line.
#[derive(Default)]
struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    fn push(&mut self, octets: &[u8]) -> Result<Vec<String>, Failure> {
        self.rest.extend_from_slice(octets);
        let mut data = Vec::new();
        while let Some(end) = self.rest.iter().position(|octet| *octet == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            data.extend(line.trim_end().strip_prefix("data:").map(|data| data.trim_start().to_owned()));
        }
        if self.rest.len() > LINE_OCTETS_MAX {
            return Err(Failure::new(Code::Failed, "a line without end: no operator API answers so"));
        }
        Ok(data)
    }
}

/// `2026-11-24T01:05:40.123Z  ue-registered  supi=imsi-001010000000001`
fn shown(data: &str) -> Result<String, Failure> {
    let event: Event = serde_json::from_str(data)?;
    let mut text = format!("{}  {}", event.time, event.what.kind());
    if let serde_json::Value::Object(fields) = serde_json::to_value(&event.what)? {
        for (name, value) in fields.iter().filter(|(name, _)| *name != "type") {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            // A gNB names itself: what it calls itself stays on its line.
            let value: String = value.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
            text.push_str(&format!("  {name}={value}"));
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_cut_into_events_wherever_its_parts_end() {
        let stream = b": keep-alive\n\nevent: ue-idle\nid: 1-2\ndata: {\"a\":1}\n\ndata:{\"b\":2}\n\n";
        for size in 1..stream.len() {
            let mut lines = Lines::default();
            let data: Vec<_> = stream.chunks(size).flat_map(|part| lines.push(part).unwrap()).collect();
            assert_eq!(data, ["{\"a\":1}", "{\"b\":2}"], "parts of {size}");
        }
        let endless = vec![b'x'; LINE_OCTETS_MAX + 1];
        assert!(Lines::default().push(&endless).is_err());
    }

    #[test]
    fn an_event_is_one_line_whatever_a_gnb_calls_itself() {
        let data = r#"{"run":1,"sequence":1,"time":"1970-01-01T00:00:00.000Z","type":"gnb-connected",
            "gnb":{"plmn":"00101","id":1,"bits":22},"name":"a\u001b[2J\nb"}"#;
        let text = shown(data).unwrap();
        assert!(text.starts_with("1970-01-01T00:00:00.000Z  gnb-connected") && text.contains("name=a?[2J?b"), "{text}");
        assert!(!text.contains(['\n', '\x1b']));
    }
}
