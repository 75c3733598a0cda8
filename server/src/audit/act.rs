//! What is being done on an operator's behalf: told to the store by the task that does it, and written down in the
//! transaction that changes something.

use super::row::{AuditRow, beginning};
use crate::crypto::keys::Keys;
use crate::crypto::secrets::Secrets;
use crate::ops::clock::Timestamp;
use crate::services::Core;
use parking_lot::Mutex;
use portcullis_protocol::{AccountId, Digest, Origin};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Characters of a text of a row, at most: a row is for people to read.
const MOST_TEXT: usize = 1000;

tokio::task_local! {
    static ATTRIBUTION: Attribution;
}

/// What seals rows, and what stands before the first.
#[derive(Clone)]
pub struct AuditKey {
    beginning: Digest,
    secrets: Secrets,
}

impl fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuditKey(redacted)")
    }
}

impl AuditKey {
    fn of(core: &Core) -> Self {
        Self::new(&core.origin, &core.keys, &core.secrets)
    }

    /// Of a server.
    #[must_use]
    pub fn new(origin: &Origin, keys: &Keys, secrets: &Secrets) -> Self {
        Self { beginning: beginning(origin, &keys.root().thumbprint()), secrets: secrets.clone() }
    }
}

/// Something that is done on an operator's behalf.
#[derive(Debug, Clone)]
pub struct Act(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    who: String,
    action: &'static str,
    told: Mutex<Told>,
    key: AuditKey,
    /// Whether its row is in the log.
    is_written: AtomicBool,
}

/// What is said of an act, which may not be known before it is under way.
#[derive(Debug, Default)]
struct Told {
    subject: String,
    detail: BTreeMap<String, String>,
}

/// On whose behalf a task writes.
#[derive(Debug, Clone)]
pub(crate) enum Attribution {
    /// An operator's, who has not said yet what he does: nothing may be changed.
    Missing,
    /// An operator's, who does this.
    Act(Act),
}

impl Attribution {
    /// Of the calling task. `None`: it writes for nobody who is an operator.
    pub(crate) fn current() -> Option<Self> {
        ATTRIBUTION.try_with(Clone::clone).ok()
    }

    /// Runs a command of an operator: whatever it changes has to be an [`Act`].
    pub(crate) async fn demanded<F: Future>(work: F) -> F::Output {
        ATTRIBUTION.scope(Self::Missing, work).await
    }
}

impl Act {
    /// What somebody does who works on the server's own machine.
    #[must_use]
    pub fn of_user(core: &Core, action: &'static str, subject: impl fmt::Display) -> Self {
        Self::new(AuditKey::of(core), os_user(), action, subject)
    }

    /// What an operator's account does.
    #[must_use]
    pub fn of_account(core: &Core, account: &AccountId, action: &'static str, subject: impl fmt::Display) -> Self {
        let key = AuditKey::of(core);
        Self::new(key, format!("account {account}"), action, subject)
    }

    /// What the server does by itself, or for somebody who has no account yet.
    #[must_use]
    pub fn of_server(core: &Core, action: &'static str, subject: impl fmt::Display) -> Self {
        Self::new(AuditKey::of(core), "the server".to_owned(), action, subject)
    }

    pub(crate) fn new(key: AuditKey, who: String, action: &'static str, subject: impl fmt::Display) -> Self {
        let told = Told { subject: bounded(&subject.to_string()), ..Told::default() };
        let (who, told, is_written) = (bounded(&who), Mutex::new(told), AtomicBool::new(false));
        Self(Arc::new(Inner { who, action, told, key, is_written }))
    }

    /// Says one thing more, which is no secret and nobody's name.
    #[must_use]
    pub fn with(self, key: &str, value: impl fmt::Display) -> Self {
        self.0.told.lock().detail.insert(key.to_owned(), bounded(&value.to_string()));
        self
    }

    /// Says what the calling task's act is about, if it could not be said before: what it makes.
    pub(crate) fn makes(subject: impl fmt::Display) {
        if let Some(Attribution::Act(act)) = Attribution::current() {
            act.0.told.lock().subject = bounded(&subject.to_string());
        }
    }

    /// Does it: the first transaction in `work` that changes something writes the row.
    pub async fn scope<F: Future>(self, work: F) -> F::Output {
        ATTRIBUTION.scope(Attribution::Act(self), work).await
    }

    /// Whether its row is in the log.
    pub(crate) fn is_written(&self) -> bool {
        self.0.is_written.load(Ordering::SeqCst)
    }

    /// Its row is in the log.
    pub(crate) fn written(&self) {
        self.0.is_written.store(true, Ordering::SeqCst);
    }

    /// Its row at this place, after the row with the digest `before`, with the seal of it.
    pub(crate) fn row(&self, number: u64, at: Timestamp, before: Option<Digest>) -> (AuditRow, [u8; 32]) {
        let Inner { who, action, told, key, .. } = &*self.0;
        let (who, action) = (who.clone(), (*action).to_owned());
        let (subject, detail) = {
            let Told { subject, detail } = &*told.lock();
            (subject.clone(), detail.clone())
        };
        let mut row = AuditRow { number, at, who, action, subject, detail, digest: key.beginning };
        row.digest = row.digest_after(&before.unwrap_or(key.beginning));
        let seal = key.secrets.seal_audit(&row.digest);
        (row, seal)
    }
}

/// No longer than a row may have it.
fn bounded(text: &str) -> String {
    match text.char_indices().nth(MOST_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The user who runs this process, and who signed in to the machine as another one before.
pub(crate) fn os_user() -> String {
    let name = whoami::username().unwrap_or_else(|_| "unknown".to_owned());
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::MetadataExt as _;
        let Ok(uid) = std::fs::metadata("/proc/self").map(|process| process.uid()) else { return name };
        let signed_in = std::fs::read_to_string("/proc/self/loginuid").ok();
        // The greatest number is that of a process that no sign-in began.
        let signed_in = signed_in.and_then(|text| text.trim().parse::<u32>().ok()).filter(|id| *id != u32::MAX);
        match signed_in.filter(|id| *id != uid) {
            Some(other) => format!("{name} (uid {uid}, signed in as uid {other})"),
            None => format!("{name} (uid {uid})"),
        }
    }
    #[cfg(not(target_os = "linux"))]
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{NewInvitation, Sqlite, SqliteOptions, Store, StoreError};

    #[tokio::test]
    async fn an_operators_command_changes_nothing_without_saying_what_it_does() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Sqlite::open(SqliteOptions::new(folder.path().join("db"))).expect("a store");
        let store: &dyn Store = &store;
        let secrets = Secrets::from_master(&[7; 32]);
        crate::crypto::keys::init(store, &secrets).await.expect("keys");
        let origin = Origin::new("https://store.example").expect("an origin");
        let keys = Keys::open(store, &secrets, origin.clone()).await.expect("keys");
        let invitation = |token: &str| NewInvitation {
            token: secrets.hash_token(crate::crypto::secrets::TokenRole::Invitation, token),
            operator: true,
            life: 60,
        };
        let silent = Attribution::demanded(store.create_invitation(invitation("silent"))).await;
        assert!(matches!(silent, Err(StoreError::Backend { .. })), "{silent:?}");
        assert!(store.invitations().await.expect("read").is_empty(), "and it was taken back");
        let act = Act::new(AuditKey::new(&origin, &keys, &secrets), os_user(), "invite", "one");
        Attribution::demanded(act.scope(store.create_invitation(invitation("told")))).await.expect("made");
        assert_eq!(store.audit_end().await.expect("read").number, 1);
        // What is read needs no reason, and what is done for nobody who is an operator neither.
        Attribution::demanded(store.invitations()).await.expect("read");
        store.create_invitation(invitation("another")).await.expect("made");
        assert_eq!(store.audit_end().await.expect("read").number, 1);
    }
}
