//! Sign-ins that were set aside: begun by one process, to be completed by a later one.

use crate::state::folder::{StateDir, StateError, file_name};
use crate::state::sealing_key::StateKey;
use portcullis_protocol::labels::TERMINAL_SIGN_IN;
use portcullis_protocol::wire::DeviceAuthorisation;
use portcullis_protocol::{Origin, Thumbprint};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use zeroize::Zeroizing;

/// A device code, three short texts and a key's thumbprint.
const MAX_RECORD: u64 = 16 * 1024;

/// What is written down of a sign-in. Whoever has the device code and the terminal's key completes it, so it is sealed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Aside {
    pub(crate) origin: Origin,
    /// The root that the user was shown: the server has to be the same when the sign-in is completed.
    pub(crate) root: Thumbprint,
    pub(crate) device: DeviceAuthorisation,
    pub(crate) label: String,
    /// Until when the user can approve it, Unix seconds.
    pub(crate) expires: u64,
    /// Whether the user has approved it, and the terminal keeps its tokens: only enrolment is left.
    #[serde(default)]
    pub(crate) approved: bool,
}

/// The sign-ins that were set aside, one for each server.
#[derive(Clone)]
pub(crate) struct Pending {
    state: Arc<StateDir>,
    key: StateKey,
}

impl Pending {
    pub(crate) const fn new(state: Arc<StateDir>, key: StateKey) -> Self {
        Self { state, key }
    }

    /// Sets a sign-in aside, in place of an earlier one at the same server.
    pub(crate) fn write(&self, aside: &Aside) -> Result<(), StateError> {
        let name = record(&aside.origin);
        let plain = serde_json::to_vec(aside).map_err(|_| StateError::damaged(&self.state.path(&name)))?;
        self.state.write(&name, &self.key.seal(TERMINAL_SIGN_IN, &name, &Zeroizing::new(plain)))
    }

    /// The sign-in at a server. One that does not open was not this terminal's, and counts as none.
    pub(crate) fn read(&self, origin: &Origin) -> Result<Option<Aside>, StateError> {
        let name = record(origin);
        let Some(sealed) = self.state.read(&name, MAX_RECORD)? else { return Ok(None) };
        let plain = self.key.open(TERMINAL_SIGN_IN, &name, &sealed);
        let aside: Option<Aside> = plain.and_then(|plain| serde_json::from_slice(&plain).ok());
        Ok(aside.filter(|aside| aside.origin == *origin))
    }

    /// It is completed, or cannot be completed any more.
    pub(crate) fn remove(&self, origin: &Origin) -> Result<(), StateError> {
        self.state.remove(&record(origin))
    }
}

fn record(origin: &Origin) -> String {
    format!("sign-ins/{}", file_name(origin))
}

#[test]
fn what_is_set_aside_is_sealed_and_opens_for_its_own_server_only() {
    let home = tempfile::tempdir().expect("home");
    let state = Arc::new(StateDir::open(home.path().join("state")).expect("state"));
    let keys = crate::state::key_store::FileKeyStore::new(Arc::clone(&state));
    let pending = Pending::new(Arc::clone(&state), StateKey::of(&keys).expect("key"));
    let origin = |text: &str| text.parse::<Origin>().expect("origin");
    let (here, there) = (origin("https://store.example"), origin("https://other.example"));
    let device = DeviceAuthorisation {
        device_code: "secret-device-code".into(),
        user_code: "WDJB-MJHT".into(),
        verification_uri: "https://store.example/device".into(),
        verification_uri_complete: "https://store.example/device?code=WDJB-MJHT".into(),
        expires_in: 600,
        interval: 5,
    };
    let code = device.device_code.clone();
    let aside = Aside {
        origin: here.clone(),
        root: Thumbprint::from_bytes([7; 32]),
        device,
        label: "x".into(),
        expires: 1,
        approved: false,
    };
    pending.write(&aside).expect("written");
    assert_eq!(pending.read(&here).expect("read").expect("there").device.device_code, code);
    assert!(pending.read(&there).expect("read").is_none());
    let bytes = std::fs::read(state.path(&record(&here))).expect("record");
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(!holds("secret-") && !holds("WDJB"), "sealed");
    // Moved to another server's place it does not open, nor changed.
    std::fs::copy(state.path(&record(&here)), state.path(&record(&there))).expect("copied");
    assert!(pending.read(&there).expect("read").is_none());
    let mut changed = bytes;
    changed[20] ^= 1;
    state.write(&record(&here), &changed).expect("written");
    assert!(pending.read(&here).expect("read").is_none());
    pending.remove(&here).expect("removed");
    pending.remove(&here).expect("one that is not there is removed");
}
