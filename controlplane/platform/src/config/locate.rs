//! Where in a text a field stands.

use std::fmt::Write as _;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A step from a table or an array into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    Key(&'a str),
    Index(usize),
}

/// Line and column of an offset, both from 1; columns count characters.
pub(super) fn line_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// Line and column of a field, or of the innermost table around it that exists.
pub(super) fn place(text: &str, place: &[Place<'_>]) -> (usize, usize) {
    let Ok(root) = DeTable::parse(text) else { return (1, 1) };
    let mut offset = 0;
    let mut steps = place.iter();
    let Some(Place::Key(first)) = steps.next() else { return (1, 1) };
    let mut value = root.get_ref().get(*first);
    while let Some(found) = value {
        offset = found.span().start;
        value = match steps.next() {
            Some(Place::Key(key)) => found.get_ref().as_table().and_then(|table| table.get(*key)),
            Some(Place::Index(index)) => found.get_ref().as_array().and_then(|array| array.get(*index)),
            None => None,
        };
        // A field of an array of tables, as `dnn.mtu`, without an index: the array's place is near enough.
    }
    line_column(text, offset)
}

/// A place as text: `core[0].n2.port`.
pub(super) fn path(place: &[Place<'_>]) -> String {
    let mut path = String::new();
    for step in place {
        match step {
            Place::Key(key) if path.is_empty() => path.push_str(key),
            Place::Key(key) => _ = write!(path, ".{key}"),
            Place::Index(index) => _ = write!(path, "[{index}]"),
        }
    }
    path
}

/// The innermost field whose key or value holds `offset`. None if the text is no TOML.
pub(super) fn field_at(text: &str, offset: usize) -> Option<String> {
    let root = DeTable::parse(text).ok()?;
    let mut path = String::new();
    in_table(root.get_ref(), offset, &mut path);
    (!path.is_empty()).then_some(path)
}

fn in_table(table: &DeTable<'_>, offset: usize, path: &mut String) -> bool {
    for (key, value) in table {
        let length = path.len();
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(key.get_ref());
        if in_value(value, offset, path) || key.span().contains(&offset) {
            return true;
        }
        path.truncate(length);
    }
    false
}

/// A header of a table lies outside of its fields, and an array of tables has no span of its own: so the children first.
fn in_value(value: &Spanned<DeValue<'_>>, offset: usize, path: &mut String) -> bool {
    let inside = match value.get_ref() {
        DeValue::Table(table) => in_table(table, offset, path),
        DeValue::Array(array) => array.iter().enumerate().any(|(index, item)| {
            let length = path.len();
            _ = write!(path, "[{index}]");
            let found = in_value(item, offset, path);
            if !found {
                path.truncate(length);
            }
            found
        }),
        _ => false,
    };
    inside || value.span().contains(&offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_and_columns_are_characters() {
        assert_eq!(line_column("", 0), (1, 1));
        assert_eq!(line_column("a\né=b", 5), (2, 3));
        assert_eq!(line_column("é", 1), (1, 2));
        assert_eq!(line_column("a", 99), (1, 2));
    }

    #[test]
    fn a_place_that_does_not_exist_is_at_the_table_around_it() {
        let text = "[a]\nb = 1\n[[c]]\nd = 2\n";
        assert_eq!(place(text, &[Place::Key("a"), Place::Key("b")]), (2, 5));
        assert_eq!(place(text, &[Place::Key("c"), Place::Index(0), Place::Key("d")]), (4, 5));
        assert_eq!(place(text, &[Place::Key("a"), Place::Key("x")]).0, 1);
        assert_eq!(place(text, &[Place::Key("x")]), (1, 1));
        assert_eq!(place("no toml", &[Place::Key("x")]), (1, 1));
    }

    #[test]
    fn the_innermost_field_is_found() {
        let text = "[a]\nb = { c = [1, 22] }\n";
        assert_eq!(field_at(text, text.find("22").unwrap()).as_deref(), Some("a.b.c[1]"));
        assert_eq!(field_at(text, text.find('c').unwrap()).as_deref(), Some("a.b.c"));
        assert_eq!(field_at(text, 0).as_deref(), Some("a"));
        assert_eq!(field_at("x =", 0), None);
    }
}
