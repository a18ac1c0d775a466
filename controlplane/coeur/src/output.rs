//! Data on stdout: tables for people, JSON for scripts.

use crate::failure::Failure;
use serde::Serialize;
use std::io::Write;

/// Colour is for terminals, unless somebody does not want it (no-color.org).
pub(crate) fn colour(terminal: bool) -> bool {
    terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Prints a value as JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut stdout, value)?;
    writeln!(stdout)?;
    Ok(())
}

/// Prints a line.
pub(crate) fn line(text: impl std::fmt::Display) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{text}")?;
    stdout.flush()?;
    Ok(())
}

/// A list that comes in parts: a table each part, or one JSON array.
pub(crate) struct List<const N: usize> {
    header: [&'static str; N],
    json: bool,
    items: usize,
}

impl<const N: usize> List<N> {
    pub(crate) fn new(json: bool, header: [&'static str; N]) -> Self {
        Self { header, json, items: 0 }
    }

    pub(crate) fn part<T: Serialize>(&mut self, items: &[T], row: impl Fn(&T) -> [String; N]) -> Result<(), Failure> {
        let mut stdout = std::io::stdout().lock();
        if self.json {
            for item in items {
                stdout.write_all(if self.items == 0 { b"[\n" } else { b",\n" })?;
                serde_json::to_writer(&mut stdout, item)?;
                self.items += 1;
            }
            return Ok(());
        }
        if items.is_empty() {
            return Ok(());
        }
        let rows: Vec<_> = items.iter().map(row).collect();
        stdout.write_all(table((self.items == 0).then_some(&self.header), &rows).as_bytes())?;
        self.items += items.len();
        Ok(())
    }

    pub(crate) fn end(self) -> Result<(), Failure> {
        match (self.json, self.items) {
            (true, 0) => line("[]"),
            (true, _) => line("\n]"),
            (false, _) => Ok(()),
        }
    }
}

/// Columns as wide as their widest cell, two spaces between, no space at the end of a line.
pub(crate) fn table<const N: usize>(header: Option<&[&str; N]>, rows: &[[String; N]]) -> String {
    let header = header.map(|names| names.map(str::to_owned));
    let all = || header.iter().chain(rows);
    let width = |column: usize| all().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for row in all() {
        let start = text.len();
        for (cell, width) in row.iter().zip(widths) {
            text.push_str(cell);
            text.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 2));
        }
        text.truncate(start + text[start..].trim_end().len());
        text.push('\n');
    }
    text
}

/// What is not known.
pub(crate) fn or_dash<T: ToString>(value: Option<&T>) -> String {
    value.map_or_else(|| "-".to_owned(), ToString::to_string)
}

/// `ready`, `user-plane`: as it is called in the API.
pub(crate) fn name(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        _ => "?".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_characters_and_lines_end_where_they_end() {
        let rows = [["é".to_owned(), "1".to_owned()], ["plant".to_owned(), String::new()]];
        assert_eq!(table(Some(&["NAME", "N"]), &rows), "NAME   N\né      1\nplant\n");
        assert_eq!(table::<2>(None, &[]), "");
    }

    #[test]
    fn names_are_those_of_the_api() {
        assert_eq!(name(&coeur_api::types::ProcessKind::UserPlane), "user-plane");
        assert_eq!(or_dash::<String>(None), "-");
    }
}
