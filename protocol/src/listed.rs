//! Lists in which a later version may have written what this one does not know.

use crate::text::disturbs;
use serde::ser::SerializeSeq as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use std::ops::Deref;

/// Characters of a member's text that are repeated.
const MAX_SHOWN: usize = 120;

/// A list of a server, as far as this version can read it. What a later version sells, or tells, stands apart and
/// spoils nothing beside it. It is used as a list of what is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// What can be read, in the server's order.
    pub known: Vec<T>,
    /// What cannot: to be named, and to be read by a later version.
    pub unknown: Vec<UnknownEntry>,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self { known: Vec::new(), unknown: Vec::new() }
    }
}

impl<T> Deref for Listed<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.known
    }
}

impl<T> From<Vec<T>> for Listed<T> {
    fn from(known: Vec<T>) -> Self {
        Self { known, unknown: Vec::new() }
    }
}

/// What is known of it.
impl<T> IntoIterator for Listed<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;
    fn into_iter(self) -> Self::IntoIter {
        self.known.into_iter()
    }
}

impl<'l, T> IntoIterator for &'l Listed<T> {
    type Item = &'l T;
    type IntoIter = std::slice::Iter<'l, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.known.iter()
    }
}

impl<T> FromIterator<ListedEntry<T>> for Listed<T> {
    fn from_iter<I: IntoIterator<Item = ListedEntry<T>>>(entries: I) -> Self {
        let mut listed = Self::default();
        listed.extend(entries);
        listed
    }
}

impl<T> Extend<ListedEntry<T>> for Listed<T> {
    fn extend<I: IntoIterator<Item = ListedEntry<T>>>(&mut self, entries: I) {
        for entry in entries {
            match entry {
                ListedEntry::Known(known) => self.known.push(known),
                ListedEntry::Unknown(unknown) => self.unknown.push(unknown),
            }
        }
    }
}

impl<T> Listed<T> {
    /// Takes what another list has, behind what this one has.
    pub fn append(&mut self, other: Self) {
        self.known.extend(other.known);
        self.unknown.extend(other.unknown);
    }
}

impl<T: Serialize> Serialize for Listed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.known.len() + self.unknown.len()))?;
        self.known.iter().try_for_each(|known| list.serialize_element(known))?;
        self.unknown.iter().try_for_each(|unknown| list.serialize_element(unknown))?;
        list.end()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Listed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<ListedEntry<T>>::deserialize(deserializer)?.into_iter().collect())
    }
}

/// One entry of a list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum ListedEntry<T> {
    /// It can be read.
    Known(T),
    /// It cannot.
    Unknown(UnknownEntry),
}

impl<T> ListedEntry<T> {
    /// The same entry, with what can be read made into something else.
    pub fn map<U>(self, into: impl FnOnce(T) -> U) -> ListedEntry<U> {
        match self {
            Self::Known(known) => ListedEntry::Known(into(known)),
            Self::Unknown(unknown) => ListedEntry::Unknown(unknown),
        }
    }
}

/// What this version cannot read. Nothing follows from it; single members may be shown, so that a person knows what it
/// is about.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnknownEntry(Value);

impl UnknownEntry {
    /// Reads JSON; nothing of it can be shown if it is none.
    #[must_use]
    pub(crate) fn read(json: &[u8]) -> Self {
        Self(serde_json::from_slice(json).unwrap_or_default())
    }

    /// Something of which nothing can be shown.
    #[must_use]
    pub const fn blank() -> Self {
        Self(Value::Null)
    }

    fn members(&self) -> Option<&Map<String, Value>> {
        self.0.as_object()
    }

    /// The text of a member, without characters that disturb a screen, and not endless.
    #[must_use]
    pub fn text(&self, member: &str) -> Option<String> {
        shown(self.members()?.get(member)?)
    }

    /// The name of the rights model that it is sold under, if it says one.
    #[must_use]
    pub fn model(&self) -> Option<String> {
        shown(self.members()?.get("rights")?.get("model")?)
    }

    /// `publisher/name`, if it is about a resource.
    #[must_use]
    pub fn resource(&self) -> Option<String> {
        Some(format!("{}/{}", self.text("publisher")?, self.text("name")?))
    }
}

fn shown(value: &Value) -> Option<String> {
    let text: String = value.as_str()?.chars().filter(|c| !disturbs(*c)).take(MAX_SHOWN).collect();
    Some(text).filter(|text| !text.is_empty())
}
