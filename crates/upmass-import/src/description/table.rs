//! Tables of a TOML file, read key by key with the line of each fault.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{Fault, Problem};
use super::suggest::nearest;

/// A table in the file: its own keys are known, its values are not looked at yet.
pub(super) struct Table<'a> {
    text: &'a str,
    /// For people, in messages.
    pub(super) place: String,
    /// Where it begins, counted from 1.
    pub(super) line: usize,
    entries: &'a DeTable<'a>,
}

/// A value, and the key it belongs to.
#[derive(Clone)]
pub(super) struct Value<'a> {
    text: &'a str,
    place: String,
    key: String,
    pub(super) line: usize,
    value: &'a DeValue<'a>,
}

impl<'a> Table<'a> {
    /// The whole file.
    pub(super) fn file(text: &'a str, entries: &'a DeTable<'a>) -> Self {
        Self { text, place: "the file".to_owned(), line: 1, entries }
    }

    /// The same table with another name for messages.
    pub(super) fn named(self, place: String) -> Self {
        Self { place, ..self }
    }

    /// Refuses keys that are not among `known`.
    pub(super) fn only(&self, known: &'static [&'static str]) -> Result<(), Fault> {
        // The map is ordered by key; the first fault in the file is to be told.
        let unknown = self.entries.keys().filter(|key| !known.contains(&key.get_ref().as_ref()));
        let Some(key) = unknown.min_by_key(|key| key.span().start) else {
            return Ok(());
        };
        let line = line_at(self.text, key.span().start);
        let key = key.get_ref().to_string();
        let suggestion = nearest(&key, known.iter().copied());
        Err(Fault::at(
            line,
            Problem::UnknownKey { place: self.place.clone(), key, known, suggestion },
        ))
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<Value<'a>> {
        let (key, value) = self.entries.iter().find(|(found, _)| found.get_ref() == key)?;
        Some(self.value(key, value))
    }

    /// The value of a key that must be there; `example` is a line as it could be.
    pub(super) fn require(
        &self,
        key: &'static str,
        example: &'static str,
    ) -> Result<Value<'a>, Fault> {
        self.get(key).ok_or_else(|| {
            Fault::at(self.line, Problem::Missing { place: self.place.clone(), key, example })
        })
    }

    /// All keys with their values.
    pub(super) fn values(&self) -> impl Iterator<Item = Value<'a>> + '_ {
        self.entries.iter().map(|(key, value)| self.value(key, value))
    }

    /// Refuses a key that means nothing here.
    pub(super) fn refuse(&self, key: &'static str, why: &'static str) -> Result<(), Fault> {
        match self.get(key) {
            Some(value) => {
                let place = self.place.clone();
                Err(Fault::at(value.line, Problem::NotHere { place, key, why }))
            }
            None => Ok(()),
        }
    }

    fn value(
        &self,
        key: &Spanned<std::borrow::Cow<'a, str>>,
        value: &'a Spanned<DeValue<'a>>,
    ) -> Value<'a> {
        Value {
            text: self.text,
            place: self.place.clone(),
            key: key.get_ref().to_string(),
            line: line_at(self.text, value.span().start),
            value: value.get_ref(),
        }
    }
}

impl<'a> Value<'a> {
    /// Its key.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// The table that it is in, for people.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// A fault of this value.
    pub(super) fn wrong(&self, expected: impl Into<String>, found: impl Into<String>) -> Fault {
        let (place, key) = (self.place.clone(), self.key.clone());
        let (expected, found) = (expected.into(), found.into());
        Fault::at(self.line, Problem::Value { place, key, expected, found })
    }

    /// A text; `expected` says which one, for messages.
    pub(super) fn string(&self, expected: &str) -> Result<&'a str, Fault> {
        match self.value {
            DeValue::String(text) => Ok(text),
            other => Err(self.wrong(expected, kind(other))),
        }
    }

    /// true or false.
    pub(super) fn boolean(&self) -> Result<bool, Fault> {
        match self.value {
            DeValue::Boolean(value) => Ok(*value),
            other => Err(self.wrong("true or false", kind(other))),
        }
    }

    /// A whole number from 0 to `limit`.
    pub(super) fn number(&self, limit: u64) -> Result<u64, Fault> {
        let expected = || format!("a whole number from 0 to {limit}");
        match self.value {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix())
                .ok()
                .filter(|number| *number <= limit)
                .ok_or_else(|| self.wrong(expected(), number.to_string())),
            other => Err(self.wrong(expected(), kind(other))),
        }
    }

    /// A list.
    pub(super) fn list(&self, expected: &str) -> Result<Vec<Value<'a>>, Fault> {
        match self.value {
            DeValue::Array(values) => Ok(values.iter().map(|value| self.item(value)).collect()),
            other => Err(self.wrong(expected, kind(other))),
        }
    }

    /// A list, or one value that stands for a list of itself.
    pub(super) fn one_or_more(&self) -> Vec<Value<'a>> {
        match self.value {
            DeValue::Array(values) => values.iter().map(|value| self.item(value)).collect(),
            _ => vec![self.clone()],
        }
    }

    /// A table; `place` names it for messages.
    pub(super) fn table(&self, place: String, expected: &str) -> Result<Table<'a>, Fault> {
        match self.value {
            DeValue::Table(entries) => {
                Ok(Table { text: self.text, place, line: self.line, entries })
            }
            other => Err(self.wrong(expected, kind(other))),
        }
    }

    /// Whether it is a text.
    pub(super) fn is_string(&self) -> bool {
        matches!(self.value, DeValue::String(_))
    }

    /// A table of texts.
    pub(super) fn strings(
        &self,
        check: impl Fn(&Value<'a>) -> Result<String, Fault>,
    ) -> Result<BTreeMap<String, String>, Fault> {
        let place = format!("\"{}\" of {}", self.key, self.place);
        let table = self.table(place, "a table of texts")?;
        table.values().map(|value| Ok((value.key.clone(), check(&value)?))).collect()
    }

    fn item(&self, value: &'a Spanned<DeValue<'a>>) -> Value<'a> {
        let line = line_at(self.text, value.span().start);
        Value { line, value: value.get_ref(), ..self.clone() }
    }
}

/// The line of a position, counted from 1.
pub(super) fn line_at(text: &str, position: usize) -> usize {
    1 + text.as_bytes()[..position.min(text.len())].iter().filter(|byte| **byte == b'\n').count()
}

/// What a value is, with its article.
fn kind(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => format!("the number {number}"),
        DeValue::Float(number) => format!("the number {}", number.as_str()),
        DeValue::Boolean(value) => format!("{value}"),
        DeValue::Datetime(date) => format!("the date {date}"),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
