//! Reading `portcullis.toml` key by key, so that every complaint names its key and its line.

use portcullis_protocol::nearest;
use std::borrow::Cow;
use std::fmt::Display;
use std::ops::Range;
use std::path::Path;
use std::str::FromStr;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::failure::Failure;
use crate::payment::rights::Fields;

/// A file's text and name, for complaints.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'t> {
    /// As the user named it.
    pub(crate) path: &'t Path,
    /// Its text.
    pub(crate) text: &'t str,
}

impl Source<'_> {
    /// A complaint about a place in the file.
    pub(crate) fn failure(&self, span: &Range<usize>, message: impl Display, fix: impl Display) -> Failure {
        let line = self.text[..span.start.min(self.text.len())].bytes().filter(|b| *b == b'\n').count() + 1;
        let shown = self.text.lines().nth(line - 1).unwrap_or_default().trim();
        Failure::new(format!("{}:{line}: {message}\n  {line} | {shown}", self.path.display()), fix)
    }
}

/// A table that is read key by key. What is left at the end is an unknown key.
pub(crate) struct Section<'t> {
    source: Source<'t>,
    name: &'static str,
    span: Range<usize>,
    table: DeTable<'t>,
    known: Vec<&'static str>,
}

impl<'t> Section<'t> {
    /// The whole file.
    pub(crate) fn parse(source: Source<'t>) -> Result<Self, Failure> {
        let table = DeTable::parse(source.text).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            source.failure(&span, error.message(), "correct the line: the file is TOML (https://toml.io)")
        })?;
        let span = table.span();
        Ok(Self { source, name: "the file", span, table: table.into_inner(), known: Vec::new() })
    }

    /// Where the table begins.
    pub(crate) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    fn take(&mut self, key: &'static str) -> Option<Spanned<DeValue<'t>>> {
        self.known.push(key);
        self.table.remove(key)
    }

    /// A key that has to be there is not. If one is there that looks like it, that one is misspelt.
    fn missing(&self, key: &'static str) -> Failure {
        if let Some(misspelt) = self.table.keys().find(|there| nearest(there.get_ref(), [key]).is_some()) {
            return self.unknown(misspelt);
        }
        self.source.failure(
            &self.span,
            format!("{} has no `{key}`", self.name),
            format!("add a line `{key} = …` to it"),
        )
    }

    fn wrong(&self, key: &str, value: &Spanned<DeValue<'_>>, wanted: &str) -> Failure {
        let message = format!("`{key}` is {}, not {wanted}", kind(value.get_ref()));
        self.source.failure(&value.span(), message, format!("write {wanted} there"))
    }

    /// A text and its place.
    pub(crate) fn text(&mut self, key: &'static str) -> Result<Option<Spanned<String>>, Failure> {
        match self.take(key) {
            None => Ok(None),
            Some(value) => match value.get_ref() {
                DeValue::String(text) => Ok(Some(Spanned::new(value.span(), text.clone().into_owned()))),
                _ => Err(self.wrong(key, &value, "a text in quotes")),
            },
        }
    }

    /// A text that is read as a `T`.
    pub(crate) fn parsed<T: FromStr<Err: Display>>(
        &mut self,
        key: &'static str,
    ) -> Result<Option<Spanned<T>>, Failure> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        match text.get_ref().parse() {
            Ok(value) => Ok(Some(Spanned::new(text.span(), value))),
            Err(error) => {
                Err(self.source.failure(&text.span(), format!("`{key}`: {error}"), format!("correct `{key}`")))
            }
        }
    }

    /// A text that has to be there, read as a `T`.
    pub(crate) fn required<T: FromStr<Err: Display>>(&mut self, key: &'static str) -> Result<T, Failure> {
        match self.parsed(key)? {
            Some(value) => Ok(value.into_inner()),
            None => Err(self.missing(key)),
        }
    }

    /// A whole number, at least 1.
    pub(crate) fn number(&mut self, key: &'static str) -> Result<Option<Spanned<u64>>, Failure> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let number = match value.get_ref() {
            DeValue::Integer(digits) => u64::from_str_radix(&digits.as_str().replace('_', ""), digits.radix()).ok(),
            _ => None,
        };
        match number {
            Some(number) if number > 0 => Ok(Some(Spanned::new(value.span(), number))),
            _ => match value.get_ref() {
                // It is a number, and the number is what is wrong.
                DeValue::Integer(digits) => {
                    let bound = if number.is_some() || digits.as_str().starts_with('-') {
                        "and has to be at least 1"
                    } else {
                        "which is too large"
                    };
                    let message = format!("`{key}` is {}, {bound}", digits.as_str());
                    Err(self.source.failure(&value.span(), message, "write a whole number of at least 1"))
                }
                _ => Err(self.wrong(key, &value, "a whole number of at least 1")),
            },
        }
    }

    /// A yes or no; no if it is absent.
    pub(crate) fn flag(&mut self, key: &'static str) -> Result<bool, Failure> {
        match self.take(key) {
            None => Ok(false),
            Some(value) => match value.get_ref() {
                DeValue::Boolean(yes) => Ok(*yes),
                _ => Err(self.wrong(key, &value, "`true` or `false`")),
            },
        }
    }

    /// A list of texts, each read as a `T`; empty if it is absent.
    pub(crate) fn list<T: FromStr<Err: Display>>(&mut self, key: &'static str) -> Result<Vec<Spanned<T>>, Failure> {
        let Some(value) = self.take(key) else { return Ok(Vec::new()) };
        let DeValue::Array(items) = value.get_ref() else {
            return Err(self.wrong(key, &value, "a list of texts, as in [\"view\"]"));
        };
        let mut list = Vec::new();
        for item in items.iter() {
            let DeValue::String(text) = item.get_ref() else {
                return Err(self.wrong(key, item, "a list of texts, as in [\"view\"]"));
            };
            match text.parse() {
                Ok(parsed) => list.push(Spanned::new(item.span(), parsed)),
                Err(error) => {
                    let message = format!("`{key}`: {error}");
                    return Err(self.source.failure(&item.span(), message, format!("correct `{text}` in `{key}`")));
                }
            }
        }
        Ok(list)
    }

    /// The table `[key]`; absent means empty.
    pub(crate) fn section(&mut self, key: &'static str) -> Result<Section<'t>, Failure> {
        let (span, table) = match self.take(key) {
            None => (self.span(), DeTable::new()),
            Some(value) => match (value.span(), value) {
                (span, value) if matches!(value.get_ref(), DeValue::Table(_)) => match value.into_inner() {
                    DeValue::Table(table) => (span, table),
                    _ => unreachable!("matched above"),
                },
                (_, value) => return Err(self.wrong(key, &value, "a table")),
            },
        };
        Ok(Section { source: self.source, name: key, span, table, known: Vec::new() })
    }

    /// The tables `[[key]]`.
    pub(crate) fn sections(&mut self, key: &'static str) -> Result<Vec<Section<'t>>, Failure> {
        let Some(value) = self.take(key) else { return Ok(Vec::new()) };
        let is_tables = |value: &DeValue<'_>| match value {
            DeValue::Array(items) => items.iter().all(|item| matches!(item.get_ref(), DeValue::Table(_))),
            _ => false,
        };
        if !is_tables(value.get_ref()) {
            return Err(self.wrong(key, &value, "a repeated table, headed by double brackets"));
        }
        let DeValue::Array(items) = value.into_inner() else { return Ok(Vec::new()) };
        let source = self.source;
        let sections = items.into_iter().filter_map(|item| {
            let span = item.span();
            match item.into_inner() {
                DeValue::Table(table) => Some(Section { source, name: key, span, table, known: Vec::new() }),
                _ => None,
            }
        });
        Ok(sections.collect())
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Result<(), Failure> {
        match self.table.keys().min_by_key(|key| key.span().start) {
            Some(key) => Err(self.unknown(key)),
            None => Ok(()),
        }
    }

    fn unknown(&self, key: &Spanned<Cow<'_, str>>) -> Failure {
        let name = key.get_ref();
        let fix = match nearest(name, self.known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("remove it; known here: {}", self.known.join(", ")),
        };
        self.source.failure(&key.span(), format!("unknown key `{name}` in {}", self.name), fix)
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "`true` or `false`",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

impl Fields for Section<'_> {
    type Error = Failure;

    fn span(&self) -> Range<usize> {
        Section::span(self)
    }

    fn text(&mut self, key: &'static str) -> Result<Option<Spanned<String>>, Failure> {
        Section::text(self, key)
    }

    fn number(&mut self, key: &'static str) -> Result<Option<Spanned<u64>>, Failure> {
        Section::number(self, key)
    }

    fn parsed<T: FromStr<Err: Display>>(&mut self, key: &'static str) -> Result<Option<Spanned<T>>, Failure> {
        Section::parsed(self, key)
    }
}
