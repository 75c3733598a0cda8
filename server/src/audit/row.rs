//! A row, and the chain that rows make.

use super::AuditFault;
use crate::ops::clock::Timestamp;
use portcullis_protocol::labels::{AUDIT_BEGINNING, AUDIT_ROW};
use portcullis_protocol::{Digest, Origin, Thumbprint};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt;

/// What an operator did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Its place in the log, from 1, without gaps.
    pub number: u64,
    /// When, by the database's clock.
    pub at: Timestamp,
    /// Who: a user of the server's machine, an account, or the server itself.
    pub who: String,
    /// What was done.
    pub action: String,
    /// To whom or what: an identifier, or nothing.
    pub subject: String,
    /// What else there is to say. No secret, and no name of a person.
    pub detail: BTreeMap<String, String>,
    /// The digest of this row and all before it.
    pub digest: Digest,
}

impl AuditRow {
    /// The digest that this row has after one with the digest `before`.
    #[must_use]
    pub fn digest_after(&self, before: &Digest) -> Digest {
        let mut hash = Sha256::new_with_prefix(AUDIT_ROW);
        hash.update(before.as_bytes());
        hash.update(self.number.to_be_bytes());
        hash.update(self.at.millis().to_be_bytes());
        // With their lengths, so that nothing can move from one member to the next.
        for text in [&self.who, &self.action, &self.subject] {
            hash_text(&mut hash, text);
        }
        hash.update((self.detail.len() as u64).to_be_bytes());
        for (key, value) in &self.detail {
            hash_text(&mut hash, key);
            hash_text(&mut hash, value);
        }
        Digest::from_bytes(hash.finalize().into())
    }
}

fn hash_text(hash: &mut Sha256, text: &str) {
    hash.update((text.len() as u64).to_be_bytes());
    hash.update(text);
}

/// The digest before the first row: no log of one server continues another's.
#[must_use]
pub fn beginning(origin: &Origin, root: &Thumbprint) -> Digest {
    let mut hash = Sha256::new_with_prefix(AUDIT_BEGINNING);
    hash_text(&mut hash, origin.as_str());
    hash.update(root.as_bytes());
    Digest::from_bytes(hash.finalize().into())
}

/// How far a log was followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain {
    /// The number of the last row; 0 before the first.
    pub number: u64,
    /// Its digest.
    pub digest: Digest,
}

impl Chain {
    /// Before the first row.
    #[must_use]
    pub fn beginning(origin: &Origin, root: &Thumbprint) -> Self {
        Self { number: 0, digest: beginning(origin, root) }
    }

    /// Goes one row further.
    ///
    /// # Errors
    /// [`AuditFault`] if this is not the next row, or not as it was written.
    pub fn follow(&mut self, row: &AuditRow) -> Result<(), AuditFault> {
        let expected = self.number.saturating_add(1);
        if row.number != expected {
            return Err(AuditFault::NotNext { found: row.number, expected });
        }
        if row.digest_after(&self.digest) != row.digest {
            return Err(AuditFault::Changed { number: row.number });
        }
        *self = Self { number: row.number, digest: row.digest };
        Ok(())
    }
}

/// A row as a line of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    pub(super) number: u64,
    /// Milliseconds since the Unix epoch.
    pub(super) at: i64,
    pub(super) who: String,
    pub(super) action: String,
    pub(super) subject: String,
    #[serde(deserialize_with = "once_each")]
    pub(super) detail: BTreeMap<String, String>,
    /// The digest of the row before.
    pub(super) before: Digest,
    pub(super) digest: Digest,
}

/// Members, none of which stands there twice: whoever reads the line reads what is covered by the digest.
fn once_each<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    struct OnceEach;
    impl<'de> Visitor<'de> for OnceEach {
        type Value = BTreeMap<String, String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of texts")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = BTreeMap::new();
            while let Some((key, value)) = map.next_entry::<String, String>()? {
                if members.insert(key, value).is_some() {
                    return Err(A::Error::custom("a member stands there twice"));
                }
            }
            Ok(members)
        }
    }
    deserializer.deserialize_map(OnceEach)
}

impl Line {
    pub(super) fn new(row: AuditRow, before: Digest) -> Self {
        let AuditRow { number, at, who, action, subject, detail, digest } = row;
        Self { number, at: at.millis(), who, action, subject, detail, before, digest }
    }

    pub(super) fn into_row(self) -> AuditRow {
        let Self { number, at, who, action, subject, detail, digest, before: _ } = self;
        AuditRow { number, at: Timestamp::from_millis(at), who, action, subject, detail, digest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: u64, subject: &str) -> AuditRow {
        AuditRow {
            number,
            at: Timestamp::from_millis(1_700_000_000_000),
            who: "root (uid 0)".into(),
            action: "account suspend".into(),
            subject: subject.into(),
            detail: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
            digest: Digest::of(b""),
        }
    }

    #[test]
    fn every_member_of_a_row_and_all_before_it_are_covered() {
        let origin = Origin::new("https://store.example").expect("an origin");
        let root = Thumbprint::from_bytes([1; 32]);
        let before = beginning(&origin, &root);
        assert_ne!(before, beginning(&origin, &Thumbprint::from_bytes([2; 32])));
        let plain = row(1, "x").digest_after(&before);
        let changes: [fn(&mut AuditRow); 6] = [
            |row| row.number = 2,
            |row| row.at = row.at.plus(1),
            |row| row.who.push('x'),
            |row| row.action.push('x'),
            |row| row.subject.push('x'),
            |row| drop(row.detail.insert("c".into(), String::new())),
        ];
        for change in changes {
            let mut changed = row(1, "x");
            change(&mut changed);
            assert_ne!(changed.digest_after(&before), plain, "{changed:?}");
        }
        assert_ne!(row(1, "x").digest_after(&plain), plain);
        // What moves from one member to the next is another row.
        let mut moved = row(1, "");
        moved.action.push('x');
        assert_ne!(moved.digest_after(&before), plain);
    }

    #[test]
    fn a_chain_takes_the_next_row_as_it_was_written_and_no_other() {
        let origin = Origin::new("https://store.example").expect("an origin");
        let start = Chain::beginning(&origin, &Thumbprint::from_bytes([1; 32]));
        let mut first = row(1, "x");
        first.digest = first.digest_after(&start.digest);
        let mut chain = start;
        chain.follow(&first).expect("the first");
        assert_eq!(chain.follow(&first), Err(AuditFault::NotNext { found: 1, expected: 2 }));
        let mut second = row(2, "y");
        second.digest = second.digest_after(&start.digest);
        assert_eq!(chain.follow(&second), Err(AuditFault::Changed { number: 2 }), "it follows another one");
        second.digest = second.digest_after(&first.digest);
        chain.follow(&second).expect("the second");
    }
}
