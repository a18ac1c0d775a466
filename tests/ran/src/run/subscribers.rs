//! Who the UEs are: counted from one SUPI, or a file.

use super::options::{Options, key};
use anyhow::{Context as _, bail, ensure};
use coeur_model::{Secret, Supi};
use coeur_ran::usim::OperatorKey;

pub(super) struct Subscriber {
    pub(super) supi: Supi,
    pub(super) k: Secret<16>,
    pub(super) operator: OperatorKey,
}

pub(super) fn read(options: &Options) -> anyhow::Result<Vec<Subscriber>> {
    if let Some(path) = &options.subscribers {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let mut subscribers = parse(&text).with_context(|| path.display().to_string())?;
        if let Some(count) = options.count {
            let there = subscribers.len();
            ensure!(count as usize <= there, "--count {count}: {} has {there} subscribers", path.display());
            subscribers.truncate(count as usize);
        }
        return Ok(subscribers);
    }
    let (Some(first), Some(k)) = (&options.supi, &options.k) else {
        bail!("who are the UEs? --subscribers FILE.csv, or --supi, --k and --opc");
    };
    let operator = match (&options.opc, &options.op) {
        (Some(opc), _) => OperatorKey::Opc(key(opc, "--opc")?),
        (None, Some(op)) => OperatorKey::Op(key(op, "--op")?),
        (None, None) => bail!("--opc or --op is missing"),
    };
    let k = key(k, "--k")?;
    let digits = first.strip_prefix("imsi-").unwrap_or(first);
    let number: u64 = digits.parse().context("--supi: digits of an IMSI")?;
    (0..u64::from(options.count.unwrap_or(1)))
        .map(|index| {
            let supi = Supi::from_imsi(&format!("{:0width$}", number + index, width = digits.len()))?;
            Ok(Subscriber { supi, k: k.clone(), operator: operator.clone() })
        })
        .collect()
}

/// A header line names the columns; those that are not ours are passed over. Quotes are not needed for what we read.
fn parse(text: &str) -> anyhow::Result<Vec<Subscriber>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.lines().zip(1u32..).filter(|(line, _)| !line.trim().is_empty());
    let (header, _) = lines.next().context("line 1: expected a header: supi,k,opc")?;
    let header: Vec<_> = header.split(',').map(|name| name.trim().to_ascii_lowercase()).collect();
    let column = |name: &str| header.iter().position(|column| column == name);
    let (supi, k) = (column("supi").context("line 1: no column supi")?, column("k").context("line 1: no column k")?);
    let (opc, op) = (column("opc"), column("op"));
    ensure!(opc.or(op).is_some(), "line 1: no column opc, and no column op");
    let record = |line: &str| {
        let fields: Vec<_> = line.split(',').map(|field| field.trim().trim_matches('"')).collect();
        let field = |index: usize| fields.get(index).copied().unwrap_or_default();
        let digits = field(supi);
        let given = |column: Option<usize>| column.map(field).filter(|text| !text.is_empty());
        let operator = match (given(opc), given(op)) {
            (Some(opc), None) => OperatorKey::Opc(key(opc, "opc")?),
            (None, Some(op)) => OperatorKey::Op(key(op, "op")?),
            _ => bail!("one of opc and op"),
        };
        let supi = Supi::from_imsi(digits.strip_prefix("imsi-").unwrap_or(digits))?;
        Ok(Subscriber { supi, k: key(field(k), "k")?, operator })
    };
    lines.map(|(line, number)| record(line).with_context(|| format!("line {number}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const K: &str = "465b5ce8b199b49faa5f0a2ee238a6bc";

    #[test]
    fn a_file_has_its_columns_in_any_order() {
        let text = format!("opc,amf,supi,k\n{K},8000,imsi-001010000000001,{K}\n\n{K},,001010000000002,{K}\n");
        let subscribers = parse(&text).unwrap();
        assert_eq!(subscribers.len(), 2);
        assert_eq!(subscribers[1].supi.imsi(), "001010000000002");
        assert_eq!(subscribers[0].operator, OperatorKey::Opc(key(K, "").unwrap()));
    }

    #[test]
    fn an_error_names_its_line() {
        for (text, says) in [
            ("", "line 1"),
            ("supi,k\n", "no column opc"),
            ("supi,k,opc\nimsi-1,00,00\n", "line 2"),
            (&format!("supi,k,opc,op\n001010000000001,{K},{K},{K}\n"), "one of opc and op"),
        ] {
            let error = format!("{:#}", parse(text).err().expect(text));
            assert!(error.contains(says), "{error}");
        }
    }
}
