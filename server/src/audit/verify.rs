//! Verifies an exported log without a server: under a root that the user knows, against heads that were kept elsewhere.

use super::fault::AuditFault;
use super::heads::HeadRecord;
use super::row::{AuditRow, Chain, Line};
use crate::crypto::keys::CLOCKS;
use crate::ops::clock::Timestamp;
use crate::ops::directory::moment;
use portcullis_protocol::{AuditHead, Digest, KeyDocument, Origin, Thumbprint, Unverified, Verified};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Bytes of a line, at most: a row is far shorter, and a key document is not longer.
const MOST_LINE: u64 = 512 * 1024;
/// What a row says that was written when a server was made of a backup.
pub(crate) const RESTORED: &str = "server restore";

/// The fingerprint of a server's root key, as a person has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fingerprint {
    /// Eight words.
    Words(String),
    /// The whole thumbprint.
    Thumbprint(Thumbprint),
}

/// A text is no fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a fingerprint: it is the eight words that `portcullis-server init` printed and that terminals know the server by, \
     or the 43 characters that `init --json` calls `root`"
)]
pub struct NoFingerprint;

impl FromStr for Fingerprint {
    type Err = NoFingerprint;

    fn from_str(text: &str) -> Result<Self, NoFingerprint> {
        let words: Vec<String> = text
            .split(|c: char| c.is_whitespace() || c == '-')
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect();
        if words.len() == 8 && words.iter().all(|word| word.chars().all(|c| c.is_ascii_lowercase())) {
            return Ok(Self::Words(words.join("-")));
        }
        text.trim().parse().map(Self::Thumbprint).map_err(|_| NoFingerprint)
    }
}

impl Fingerprint {
    fn fits(&self, root: &Thumbprint) -> bool {
        match self {
            Self::Words(words) => root.words() == *words,
            Self::Thumbprint(thumbprint) => root == thumbprint,
        }
    }
}

/// Why a log was not verified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The log is not as it was written.
    #[error("{fault}{}", hint(*.restored))]
    Broken {
        /// What is wrong.
        fault: AuditFault,
        /// The row that says that the server was made of a backup, if there is one before the fault.
        restored: Option<u64>,
    },
    /// A line is neither a row nor a head.
    #[error("{file}, line {line}: {cause}")]
    Line {
        /// The file.
        file: PathBuf,
        /// Which line.
        line: usize,
        /// What is wrong with it.
        cause: String,
    },
    /// A head is of another server.
    #[error(
        "{file} has a head of a server with the root {found}, which is not the fingerprint that was given: it is another \
         server's"
    )]
    OtherRoot {
        /// The file.
        file: PathBuf,
        /// What it has.
        found: String,
    },
    /// A head does not verify.
    #[error("{file} has a head that is not signed by the server: {cause}")]
    Head {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The export has no head at its end.
    #[error(
        "{file} does not end with a signed head: its end was cut off, or the server refused to sign it. {}",
        followed(*.rows, *.covered)
    )]
    NoHead {
        /// The file.
        file: PathBuf,
        /// How far its rows follow each other, if that could be looked at: whose they are, only a head says.
        rows: Option<u64>,
        /// Up to which of them the heads vouch that were kept elsewhere; 0: none does.
        covered: u64,
    },
    /// A file that was given for heads has none.
    #[error("{0} has no head: give a file that `audit head` or `audit export` wrote")]
    NoHeads(PathBuf),
    /// What is read twice can be read once only.
    #[error("{0} is read twice, and a pipe can be read once only: write the export into a file first")]
    NotAFile(PathBuf),
    /// A file cannot be read.
    #[error("{file} cannot be read: {cause}")]
    Io {
        /// Which.
        file: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
}

fn hint(restored: Option<u64>) -> String {
    restored.map_or_else(String::new, |row| {
        format!(
            ". Row {row} says that the server was made of a backup then: heads that were signed after that backup and before \
             that row belong to the log that was exported then"
        )
    })
}

fn followed(rows: Option<u64>, covered: u64) -> String {
    match (rows, covered) {
        (None, _) => {
            "No head vouches for any of its rows, and without one they cannot be followed: name one that was kept \
                      elsewhere, --head FILE"
                .to_owned()
        }
        (Some(rows), 0) => format!("Its rows follow each other up to row {rows}, and no head vouches for any of them"),
        (Some(rows), covered) => {
            format!(
                "Its rows follow each other up to row {rows}, and heads that were kept vouch for those up to row {covered}"
            )
        }
    }
}

/// What was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Whose log it is.
    pub origin: Origin,
    /// The root of that server.
    pub root: Thumbprint,
    /// How many rows there are.
    pub rows: u64,
    /// When the last row was written.
    pub last: Option<Timestamp>,
    /// When the log was exported.
    pub exported: Timestamp,
    /// How many heads it was compared with, that of the export included.
    pub heads: usize,
}

/// What a line of a file is.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Found {
    Row(Line),
    Head(HeadRecord),
    /// A head alone: a line of the server's own log.
    Logged {
        head: String,
    },
    /// Another line of that log.
    Other {},
}

/// The lines of a file, one at a time.
struct Lines {
    file: PathBuf,
    reader: BufReader<File>,
    number: usize,
    /// Whether others write into it as well: a log as systemd keeps it has panics, and lines of systemd.
    is_shared: bool,
}

impl Lines {
    fn of(file: &Path) -> Result<Self, VerifyError> {
        let opened = File::open(file).map_err(|cause| VerifyError::Io { file: file.to_owned(), cause })?;
        Ok(Self { file: file.to_owned(), reader: BufReader::new(opened), number: 0, is_shared: false })
    }

    /// A file in which whatever is no object of JSON is passed over.
    fn shared(file: &Path) -> Result<Self, VerifyError> {
        Ok(Self { is_shared: true, ..Self::of(file)? })
    }

    fn next(&mut self) -> Result<Option<Found>, VerifyError> {
        let mut line = Vec::new();
        loop {
            line.clear();
            self.number += 1;
            let mut bounded = (&mut self.reader).take(MOST_LINE);
            let read = bounded.read_until(b'\n', &mut line);
            let read = read.map_err(|cause| VerifyError::Io { file: self.file.clone(), cause })?;
            if read == 0 {
                return Ok(None);
            }
            let is_passed = self.is_shared && !line.trim_ascii_start().starts_with(b"{\"");
            let goes_on = read as u64 == MOST_LINE && !line.ends_with(b"\n");
            if goes_on && is_passed {
                let skipped = self.reader.skip_until(b'\n');
                skipped.map_err(|cause| VerifyError::Io { file: self.file.clone(), cause })?;
            } else if goes_on {
                return Err(self.wrong("it is too long for a row or a head"));
            }
            if !line.trim_ascii().is_empty() && !is_passed {
                break;
            }
        }
        serde_json::from_slice(&line)
            .map(Some)
            .map_err(|_| self.wrong("it is neither a row nor a head of an audit log"))
    }

    /// Begins again.
    fn rewind(&mut self) -> Result<(), VerifyError> {
        self.number = 0;
        self.reader.rewind().map_err(|_| VerifyError::NotAFile(self.file.clone()))
    }

    fn wrong(&self, cause: &str) -> VerifyError {
        VerifyError::Line { file: self.file.clone(), line: self.number, cause: cause.to_owned() }
    }
}

/// A head whose signature was not looked at yet.
struct Candidate {
    file: PathBuf,
    head: String,
    /// The key document that came with it, under the root that the user knows.
    keys: Option<(Verified<KeyDocument>, Thumbprint)>,
}

impl Candidate {
    /// A head with its key document.
    fn new(file: &Path, record: HeadRecord, root: &Fingerprint) -> Result<Self, VerifyError> {
        let file = file.to_owned();
        let thumbprint = record.root.thumbprint();
        if !root.fits(&thumbprint) {
            return Err(VerifyError::OtherRoot { file, found: thumbprint.words() });
        }
        // A key document ends after a day; what it says of the keys up to then stays true.
        let keys = Unverified::<KeyDocument>::parse(&record.keys).and_then(|keys| keys.verify(&record.root));
        match keys {
            Ok(keys) => Ok(Self { file, head: record.head, keys: Some((keys, thumbprint)) }),
            Err(error) => Err(VerifyError::Head { file, cause: format!("its key document: {error}") }),
        }
    }

    /// Verifies the head with the newest word on the key that signed it: a key that was stolen ended earlier than older
    /// key documents say.
    fn verify(&self, newest: &KeyDocument) -> Result<Verified<AuditHead>, VerifyError> {
        let refused = |cause: String| VerifyError::Head { file: self.file.clone(), cause };
        let head = Unverified::<AuditHead>::parse(&self.head).map_err(|error| refused(error.to_string()))?;
        let kid = head.kid();
        let knows = |document: &KeyDocument| document.signing.iter().any(|key| key.jwk.thumbprint() == kid);
        let keys = match &self.keys {
            Some((keys, _)) if !knows(newest) => keys.document(),
            _ => newest,
        };
        let key = keys.signing.iter().find(|key| key.jwk.thumbprint() == kid);
        let key = key.ok_or_else(|| refused(format!("the key {kid} is none of the server's")))?;
        let head = head.verify(&key.jwk).map_err(|error| refused(error.to_string()))?;
        let AuditHead { iss, iat, .. } = head.document();
        if *iss != keys.iss {
            return Err(refused(format!("it names {iss}, its keys are those of {}", keys.iss)));
        }
        // Within the second of its end it may have signed: the server compares as well.
        if *iat > key.exp || iat.saturating_add(CLOCKS) < key.nbf {
            return Err(refused(format!("the key {kid} did not sign any more, or not yet, at the time that it names")));
        }
        Ok(head)
    }
}

/// The heads in a file: of an export, of `audit head`, or in a log of the server. Other lines of them are passed over.
fn heads_in(lines: &mut Lines, root: &Fingerprint) -> Result<Vec<Candidate>, VerifyError> {
    let mut heads = Vec::new();
    while let Some(found) = lines.next()? {
        match found {
            Found::Head(record) => heads.push(Candidate::new(&lines.file, record, root)?),
            Found::Logged { head } => heads.push(Candidate { file: lines.file.clone(), head, keys: None }),
            Found::Row(_) | Found::Other {} => {}
        }
    }
    Ok(heads)
}

/// By the number of a row: the digest that heads were signed over, and when the first of them was.
type Signed = BTreeMap<u64, (Digest, Timestamp)>;

/// Verifies an export under the fingerprint of the server's root key, against the heads in other files.
///
/// # Errors
/// [`VerifyError`], with the first row that is not right.
pub fn verify(file: &Path, kept: &[PathBuf], root: &Fingerprint) -> Result<Report, VerifyError> {
    let mut candidates = Vec::new();
    for other in kept {
        let heads = heads_in(&mut Lines::shared(other)?, root)?;
        if heads.is_empty() {
            return Err(VerifyError::NoHeads(other.clone()));
        }
        candidates.extend(heads);
    }
    // One and the same file both times: another one may have its name by then.
    let mut lines = Lines::of(file)?;
    lines.rewind()?;
    let own = heads_in(&mut lines, root)?;
    lines.rewind()?;
    let has_end = !own.is_empty();
    candidates.extend(own);
    let keys = candidates.iter().filter_map(|one| one.keys.as_ref());
    let Some((newest, server)) = keys.max_by_key(|(keys, _)| keys.document().version) else {
        return Err(VerifyError::NoHead { file: file.to_owned(), rows: None, covered: 0 });
    };
    let (newest, server) = (newest.document(), *server);
    let (mut signed, mut exported, mut covered) = (Signed::new(), Timestamp::from_millis(0), 0);
    for candidate in &candidates {
        let head = candidate.verify(newest)?.into_document();
        if head.iss != newest.iss {
            let cause = format!("it is of {}, the others are of {}", head.iss, newest.iss);
            return Err(VerifyError::Head { file: candidate.file.clone(), cause });
        }
        // The last one is that of the export.
        (exported, covered) = (Timestamp::from_millis(0).plus(head.iat), head.number);
        let earlier = signed.entry(head.number).or_insert((head.digest, exported));
        if earlier.0 != head.digest {
            let fault = AuditFault::OtherThanHead { number: head.number, signed: earlier.1 };
            return Err(VerifyError::Broken { fault, restored: None });
        }
    }
    let followed = follow(&mut lines, &newest.iss, &server, &signed)?;
    if !has_end {
        let covered = signed.last_key_value().map_or(0, |(number, _)| *number);
        return Err(VerifyError::NoHead { file: file.to_owned(), rows: Some(followed.chain.number), covered });
    }
    if covered < followed.chain.number {
        let fault = AuditFault::Added { number: covered + 1 };
        return Err(VerifyError::Broken { fault, restored: None });
    }
    Ok(Report {
        origin: newest.iss.clone(),
        root: server,
        rows: followed.chain.number,
        last: followed.last,
        exported,
        heads: candidates.len(),
    })
}

struct Followed {
    chain: Chain,
    last: Option<Timestamp>,
}

/// Follows the rows of a file to their end, and compares them with what was signed.
fn follow(lines: &mut Lines, origin: &Origin, root: &Thumbprint, signed: &Signed) -> Result<Followed, VerifyError> {
    let (mut chain, mut last, mut restored, mut is_over) = (Chain::beginning(origin, root), None, None, false);
    let mut waiting = signed.iter().peekable();
    if let Some((_, (digest, at))) = waiting.next_if(|(number, _)| **number == 0)
        && *digest != chain.digest
    {
        let fault = AuditFault::OtherThanHead { number: 0, signed: *at };
        return Err(VerifyError::Broken { fault, restored });
    }
    while let Some(found) = lines.next()? {
        let line = match found {
            Found::Row(line) => line,
            Found::Head(_) if is_over => {
                return Err(lines.wrong("there is a second head: an export ends with one"));
            }
            Found::Head(_) => {
                is_over = true;
                continue;
            }
            Found::Logged { .. } | Found::Other {} => {
                return Err(lines.wrong("it is neither a row nor a head of an audit log"));
            }
        };
        if is_over {
            return Err(lines.wrong("there are rows after the head of the export: they were added later"));
        }
        let (before, row) = (line.before, line.into_row());
        is_next(&chain, &row, before, origin, root).map_err(|fault| VerifyError::Broken { fault, restored })?;
        chain.follow(&row).map_err(|fault| VerifyError::Broken { fault, restored })?;
        if row.action == RESTORED {
            restored = restored.or(Some(row.number));
        }
        if let Some((number, (digest, at))) = waiting.next_if(|(number, _)| **number == row.number)
            && *digest != row.digest
        {
            let fault = AuditFault::OtherThanHead { number: *number, signed: *at };
            return Err(VerifyError::Broken { fault, restored });
        }
        last = Some(row.at);
    }
    if let Some((number, (_, at))) = waiting.next_back() {
        let fault = AuditFault::CutOff { last: chain.number, number: *number, signed: *at };
        return Err(VerifyError::Broken { fault, restored });
    }
    Ok(Followed { chain, last })
}

/// Whether a row says itself that it comes after the last one.
fn is_next(
    chain: &Chain,
    row: &AuditRow,
    before: Digest,
    origin: &Origin,
    root: &Thumbprint,
) -> Result<(), AuditFault> {
    if row.number != chain.number + 1 || before == chain.digest {
        return Ok(());
    }
    Err(match row.number {
        1 => AuditFault::OtherServer { server: format!("{origin} (root {})", root.words()) },
        number => AuditFault::DoesNotFollow { number },
    })
}

impl Report {
    /// What was verified, for people.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { origin, root, rows, last, exported, heads } = self;
        let last = last.map_or_else(String::new, |last| format!(", the last of {}", moment(last)));
        format!(
            "The log is as {origin} (root {}) wrote it: {rows} rows{last}. It was exported at {}, and fits {heads} signed \
             {}.",
            root.words(),
            moment(*exported),
            if *heads == 1 { "head" } else { "heads" }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_words_or_a_thumbprint() {
        let root = Thumbprint::from_bytes([7; 32]);
        let words = root.words();
        for text in [words.clone(), words.replace('-', " "), words.to_uppercase(), root.to_string()] {
            assert!(text.parse::<Fingerprint>().expect("a fingerprint").fits(&root), "{text}");
        }
        let other = Thumbprint::from_bytes([8; 32]);
        assert!(!words.parse::<Fingerprint>().expect("a fingerprint").fits(&other));
        for text in ["", "one-two-three", "https://store.example"] {
            assert_eq!(text.parse::<Fingerprint>(), Err(NoFingerprint), "{text}");
        }
    }
}
