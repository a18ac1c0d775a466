//! Subscribers as a CSV file (RFC 4180, UTF-8, a header line first).
//!
//! Pure: text in, checked subscribers or the first thing that is wrong, with its line and column, out.
//!
//! | column | |
//! |---|---|
//! | `supi` | `imsi-001010000000001`, or the digits alone |
//! | `k` | 32 hex digits |
//! | `opc` or `op` | 32 hex digits; each record has one of them |
//! | `amf`, `sqn` | hex; 8000 and 0 unless given |
//! | `slices` | `1;1-010203`; those of the core unless given. All are default ones |
//! | `dnns` | `internet;ims`, in every slice; those of the core unless given |
//! | `ue_ambr_uplink`, `ue_ambr_downlink` | `100 Mbps`; 1 Gbps unless given |
//! | `ipv4` | a fixed address in the first data network of the first slice |

use crate::types::fields::{AMF_DEFAULT, amf, key, sqn};
use crate::{IMPORT_RECORDS_MAX, NewSubscriber, Problem, opc};
use coeur_model::{DnnSubscription, SliceSubscription, SubscriptionProfile, Supi};
use std::collections::HashSet;
use std::str::FromStr;

/// Subscribers of a file, and the line that each stands on.
#[derive(Debug, Default)]
pub struct Records {
    pub subscribers: Vec<NewSubscriber>,
    pub lines: Vec<u64>,
}

const COLUMNS: [&str; 11] =
    ["supi", "k", "opc", "op", "amf", "sqn", "slices", "dnns", "ue_ambr_uplink", "ue_ambr_downlink", "ipv4"];

/// Reads a whole file. `default` is what a subscriber gets where the file says nothing.
pub fn parse(octets: &[u8], default: &SubscriptionProfile) -> Result<Records, Problem> {
    let text = std::str::from_utf8(octets).map_err(|error| {
        let before = &octets[..error.valid_up_to()];
        let line = 1 + before.iter().filter(|octet| **octet == b'\n').count() as u64;
        Problem::invalid_body("expected UTF-8").line(line)
    })?;
    let mut lines = text.strip_prefix('\u{feff}').unwrap_or(text).lines().zip(1u64..).filter(|(line, _)| !blank(line));
    let (header, header_line) = lines.next().ok_or_else(|| {
        Problem::invalid_body("expected a header line").hint("the first line names the columns: supi,k,opc")
    })?;
    let header = Header::parse(header).map_err(|problem| problem.line(header_line))?;
    let mut records = Records::default();
    let mut seen = HashSet::new();
    for (text, line) in lines {
        if records.lines.len() == IMPORT_RECORDS_MAX {
            return Err(Problem::limit(format!("at most {IMPORT_RECORDS_MAX} records an import")).line(line));
        }
        let new = header.record(text, default).map_err(|problem| problem.line(line))?;
        if !seen.insert(new.supi.clone()) {
            return Err(Problem::invalid_field("expected each SUPI once only").field("supi").line(line));
        }
        records.subscribers.push(new);
        records.lines.push(line);
    }
    Ok(records)
}

fn blank(line: &str) -> bool {
    line.trim().is_empty()
}

/// Which column stands where.
struct Header {
    columns: Vec<&'static str>,
}

impl Header {
    fn parse(line: &str) -> Result<Self, Problem> {
        let mut columns = Vec::new();
        for name in split(line)? {
            let name = name.trim().to_ascii_lowercase();
            let Some(column) = COLUMNS.iter().find(|column| **column == name) else {
                let detail = format!("unknown column `{name}`, expected some of {}", COLUMNS.join(", "));
                return Err(Problem::invalid_field(detail).field(name));
            };
            if columns.contains(column) {
                return Err(Problem::invalid_field("each column once only").field(*column));
            }
            columns.push(*column);
        }
        for column in ["supi", "k"] {
            if !columns.contains(&column) {
                return Err(Problem::invalid_field(format!("the column {column} is missing")).field(column));
            }
        }
        if !columns.contains(&"opc") && !columns.contains(&"op") {
            return Err(Problem::invalid_field("the column opc (or op) is missing").field("opc"));
        }
        Ok(Self { columns })
    }

    fn record(&self, line: &str, default: &SubscriptionProfile) -> Result<NewSubscriber, Problem> {
        let fields = split(line)?;
        if fields.len() != self.columns.len() {
            let detail = format!("expected {} fields, as in the header, got {}", self.columns.len(), fields.len());
            return Err(Problem::invalid_body(detail));
        }
        let row = Row { columns: &self.columns, fields };
        let supi = row.value::<Supi>("supi")?.ok_or_else(|| Problem::invalid_field("expected a SUPI").field("supi"))?;
        let k = key("k", row.text("k").unwrap_or_default())?;
        let opc = match (row.text("opc"), row.text("op")) {
            (Some(opc), None) => key("opc", opc)?,
            (None, Some(op)) => opc(&k, &key("op", op)?),
            (Some(_), Some(_)) => return Err(Problem::invalid_field("opc or op, not both").field("op")),
            (None, None) => return Err(Problem::invalid_field("expected opc or op").field("opc")),
        };
        let amf = row.text("amf").map_or(Ok(AMF_DEFAULT), amf)?;
        let sqn = row.text("sqn").map_or(Ok(0), sqn)?;
        Ok(NewSubscriber { supi, k, opc, amf, sqn, profile: row.profile(default)? })
    }
}

/// One record, beside the names of its columns.
struct Row<'a> {
    columns: &'a [&'static str],
    fields: Vec<String>,
}

impl Row<'_> {
    /// An empty field is one that is not given.
    fn text(&self, column: &str) -> Option<&str> {
        let index = self.columns.iter().position(|name| *name == column)?;
        Some(self.fields[index].trim()).filter(|text| !text.is_empty())
    }

    fn value<T: FromStr<Err: std::fmt::Display>>(&self, column: &'static str) -> Result<Option<T>, Problem> {
        let wrong = |error: T::Err| Problem::invalid_field(error.to_string()).field(column);
        self.text(column).map(|text| text.parse().map_err(wrong)).transpose()
    }

    fn list<T: FromStr<Err: std::fmt::Display>>(&self, column: &'static str) -> Result<Option<Vec<T>>, Problem> {
        let wrong = |error: T::Err| Problem::invalid_field(error.to_string()).field(column);
        let parse = |text: &str| text.split(';').map(|part| part.trim().parse().map_err(wrong)).collect();
        self.text(column).map(parse).transpose()
    }

    fn profile(&self, default: &SubscriptionProfile) -> Result<SubscriptionProfile, Problem> {
        let mut profile = default.clone();
        if let Some(rate) = self.value("ue_ambr_uplink")? {
            profile.ue_ambr.uplink = rate;
        }
        if let Some(rate) = self.value("ue_ambr_downlink")? {
            profile.ue_ambr.downlink = rate;
        }
        if let Some(dnns) = self.list("dnns")? {
            let dnns: Vec<_> = dnns.into_iter().map(DnnSubscription::new).collect();
            profile.slices.iter_mut().for_each(|slice| slice.dnns.clone_from(&dnns));
        }
        if let Some(slices) = self.list("slices")? {
            // The data networks are the same in each slice: those of the column before, or those of the core.
            let dnns = profile.slices.first().map(|slice| slice.dnns.clone()).unwrap_or_default();
            let slice = |snssai| SliceSubscription { snssai, default: true, dnns: dnns.clone() };
            profile.slices = slices.into_iter().map(slice).collect();
        }
        if let Some(address) = self.value("ipv4")?
            && let Some(dnn) = profile.slices.first_mut().and_then(|slice| slice.dnns.first_mut())
        {
            dnn.ipv4 = Some(address);
        }
        crate::types::Profile::from(profile).check("")
    }
}

/// The fields of a line. A quoted field may hold commas, and a quote as two; it ends on its line.
fn split(line: &str) -> Result<Vec<String>, Problem> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        fields.push(field);
        if after.is_empty() {
            return Ok(fields);
        }
        rest = after.strip_prefix(',').ok_or_else(|| Problem::invalid_body("expected a comma after a quoted field"))?;
    }
}

/// The text up to the closing quote, and what follows that.
fn unquote(quoted: &str) -> Result<(String, &str), Problem> {
    let mut field = String::new();
    let mut rest = quoted;
    loop {
        let end = rest.find('"').ok_or_else(|| Problem::invalid_body("expected a closing quote on the same line"))?;
        field.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(after) => {
                field.push('"');
                rest = after;
            }
            None => return Ok((field, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const K: &str = "465b5ce8b199b49faa5f0a2ee238a6bc";
    const OP: &str = "cdc202d5123e20f62b6d676ac72cb318";
    const OPC: &str = "cd63cb71954a9f4e48a5994e37a02baf";

    fn default() -> SubscriptionProfile {
        let dnns = vec![DnnSubscription::new("internet".parse().unwrap())];
        let slices = vec![SliceSubscription { snssai: "1".parse().unwrap(), default: true, dnns }];
        SubscriptionProfile { ue_ambr: coeur_model::Ambr::default(), slices }
    }

    #[test]
    fn the_three_mandatory_columns_are_enough_in_any_order() {
        let file =
            format!("\u{feff}OPC, supi ,k\r\n{OPC},001010000000001,{K}\r\n\r\n{OPC},imsi-001010000000002,{K}\r\n");
        let records = parse(file.as_bytes(), &default()).unwrap();
        assert_eq!(records.lines, [2, 4]);
        let first = &records.subscribers[0];
        assert_eq!((first.supi.imsi(), first.amf, first.sqn), ("001010000000001", [0x80, 0], 0));
        assert_eq!(first.profile, default());
    }

    #[test]
    fn every_column_is_used() {
        let file = format!(
            "supi,k,op,amf,sqn,slices,dnns,ue_ambr_uplink,ue_ambr_downlink,ipv4\n\
             001010000000001,{K},{OP},8001,ff,\"1;1-010203\",internet;ims,10 Mbps,20 Mbps,10.45.0.9\n"
        );
        let records = parse(file.as_bytes(), &default()).unwrap();
        let new = &records.subscribers[0];
        assert_eq!(new.opc, coeur_model::Secret::from_hex(OPC).unwrap());
        assert_eq!((new.amf, new.sqn), ([0x80, 1], 0xFF));
        let names: Vec<_> = new.profile.slices.iter().map(|slice| slice.snssai.to_string()).collect();
        assert_eq!(names, ["1", "1-010203"]);
        assert_eq!(new.profile.slices[1].dnns.len(), 2);
        assert_eq!(new.profile.slices[0].dnns[0].ipv4, Some([10, 45, 0, 9].into()));
        assert_eq!(new.profile.slices[0].dnns[1].ipv4, None);
        assert_eq!(new.profile.ue_ambr.downlink.to_string(), "20 Mbps");
    }

    #[test]
    fn what_is_wrong_is_named_with_line_and_column() {
        let good = format!("001010000000001,{K},{OPC}\n");
        for (file, line, field, says) in [
            (String::new(), None, None, "header"),
            ("supi,k,opc,pin\n".into(), Some(1), Some("pin"), "unknown column `pin`"),
            ("supi,k,opc,k\n".into(), Some(1), Some("k"), "once only"),
            ("supi,opc\n".into(), Some(1), Some("k"), "missing"),
            ("supi,k\n".into(), Some(1), Some("opc"), "missing"),
            (format!("supi,k,opc\n{good}{good}"), Some(3), Some("supi"), "once only"),
            (format!("supi,k,opc\n{good}00101,{K}\n"), Some(3), None, "expected 3 fields"),
            (format!("supi,k,opc\n\n12,{K},{OPC}\n"), Some(3), Some("supi"), "5 to 15 digits"),
            (format!("supi,k,opc\n00101,{K}0,{OPC}\n"), Some(2), Some("k"), "32 hex digits, got 33"),
            (format!("supi,k,opc,op\n00101,{K},{OPC},{OP}\n"), Some(2), Some("op"), "not both"),
            (format!("supi,k,opc,dnns\n00101,{K},{OPC},a;;b\n"), Some(2), Some("dnns"), "DNN"),
            (format!("supi,k,opc,slices\n00101,{K},{OPC},1;1\n"), Some(2), Some("slices[1].snssai"), "once only"),
            (format!("supi,k,opc\n\"00101,{K},{OPC}\n"), Some(2), None, "closing quote"),
            (format!("supi,k,opc\n\"00101\"x,{K},{OPC}\n"), Some(2), None, "comma"),
        ] {
            let problem = parse(file.as_bytes(), &default()).unwrap_err();
            assert_eq!((problem.line, problem.field.as_deref()), (line, field), "{file}");
            assert!(problem.detail.contains(says), "{file}: {}", problem.detail);
            assert!(!problem.detail.contains(K), "a key is repeated: {}", problem.detail);
        }
        assert_eq!(parse(b"supi,k,opc\n\xff", &default()).unwrap_err().line, Some(2));
    }

    proptest! {
        #[test]
        fn no_file_panics(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&octets, &default());
        }

        #[test]
        fn no_record_panics(line in "[\",;a-f0-9 é]{0,60}") {
            let _ = parse(format!("supi,k,opc\n{line}\n").as_bytes(), &default());
        }

        #[test]
        fn a_quoted_field_reads_back(fields in prop::collection::vec("[^\r\n]{0,12}", 1..5)) {
            let quoted: Vec<_> = fields.iter().map(|field| format!("\"{}\"", field.replace('"', "\"\""))).collect();
            prop_assert_eq!(split(&quoted.join(",")).unwrap(), fields);
        }
    }
}
