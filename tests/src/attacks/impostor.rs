//! Another billing server at the trusted one's address: its own root, its own keys, and a yes to everything.

use anyhow::{Context as _, Result};
use portcullis_fixtures::{now, random, rng};
use portcullis_host::{Exchange, Exchanged};
use portcullis_protocol::cycle::{Reply, read_reply};
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::wire::{AuthorisationAnswer, Signed};
use portcullis_protocol::{Answer, Digest, KeyDocument, Origin, SecretKey, ServerKey, Verified, WellKnown};
use std::sync::{Mutex, PoisonError};

/// What it has said, and how far terminals went with it.
#[derive(Default)]
struct Said {
    /// The last yes, and the proof that it answers.
    yes: Option<(String, Digest)>,
    /// Whether a terminal sent it the code of that yes.
    believed: bool,
}

/// The other server.
pub(super) struct Impostor {
    signing: SecretKey,
    keys: KeyDocument,
    known: WellKnown,
    said: Mutex<Said>,
}

impl Impostor {
    /// A server of its own making that calls itself `origin`.
    pub(super) fn of(origin: &Origin, recipient: &str) -> Self {
        let (root, signing) = (SecretKey::generate(&mut rng()), SecretKey::generate(&mut rng()));
        let (iat, exp) = (now(), now() + 3600);
        let keys = KeyDocument {
            iss: origin.clone(),
            // Newer than whatever the terminal has seen.
            version: u64::from(u32::MAX),
            iat,
            exp,
            signing: vec![ServerKey { jwk: signing.public().clone(), nbf: iat, exp }],
            recipient: recipient.to_owned(),
        };
        let known = WellKnown {
            root: root.public().clone(),
            keys: Verified::sign(keys.clone(), &root).compact().to_owned(),
            api: format!("{origin}/v1"),
        };
        Self { signing, keys, known, said: Mutex::default() }
    }

    /// Answers in the server's place: who it is, and a yes to step 2.
    pub(super) fn answer(&self, exchange: &Exchange, otherwise: Exchanged) -> Exchanged {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        match (exchange.path_and_query.as_str(), &exchange.proof) {
            ("/.well-known/portcullis", _) => ok(&self.known),
            ("/v1/authorizations", Some(proof)) => {
                let req = Digest::of(proof.as_bytes());
                let code = Octets(random::<48>()).to_string().parse();
                let Ok(code) = code else { return otherwise };
                let body = AuthorisationAnswer { code, expires: now() + 30 };
                let yes = Verified::sign(Answer { req, iat: now(), body }, &self.signing).compact().to_owned();
                said.yes = Some((yes.clone(), req));
                ok(&Signed { signed: yes })
            }
            ("/v1/verifications", _) => {
                said.believed = true;
                otherwise
            }
            _ => otherwise,
        }
    }

    /// Whether a terminal went on to the next step.
    pub(super) fn was_believed(&self) -> bool {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).believed
    }

    /// Whether a terminal that had trusted this server's root would have believed its last yes.
    pub(super) fn would_be_believed(&self) -> Result<bool> {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let (yes, req) = said.yes.as_ref().context("it was not asked")?;
        let known = KeyDocument::verify(&self.known.keys, &self.known.root, &self.keys.iss, now(), 0)?;
        let reply = read_reply::<AuthorisationAnswer>(yes, known.document(), req, now())?;
        Ok(matches!(reply, Reply::Yes { .. }))
    }
}

fn ok(body: &impl serde::Serialize) -> Exchanged {
    let body = serde_json::to_vec(body).unwrap_or_default().into();
    Exchanged { status: 200, nonce: None, retry_after: None, body }
}
