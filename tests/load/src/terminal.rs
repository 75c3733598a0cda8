//! A terminal of the generator: what it sends, and what it makes of the answers.

use crate::connection::{Answer, Connection};
use crate::plan::{Customer, Plan};
use anyhow::{Context as _, Result, bail, ensure};
use portcullis_fixtures::{fresh_key, now, random};
use portcullis_protocol::cycle::{self, Reply};
use portcullis_protocol::encoding::{Octets, from_base64url};
use portcullis_protocol::proof::{ProofTarget, prove};
use portcullis_protocol::wire::{
    Acknowledgement, AuthorisationAnswer, Problem, Signed, VerificationAnswer, VerificationRequest,
};
use portcullis_protocol::{
    Answer as Envelope, Digest, Grant, KeyDocument, PartName, Reason, ReleaseSecretKey, SecretKey, Unverified, paths,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::net::SocketAddr;
use std::sync::Arc;

/// What all terminals of a generator know.
pub(crate) struct Known {
    pub(crate) plan: Plan,
    pub(crate) address: SocketAddr,
    /// The server's keys, verified under its root.
    pub(crate) keys: KeyDocument,
}

/// A terminal with its connection.
pub(crate) struct Terminal {
    known: Arc<Known>,
    key: SecretKey,
    release: ReleaseSecretKey,
    token: String,
    nonce: Option<String>,
    connection: Connection,
}

/// What is wrong with a request that is to be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    Signature,
    Token,
}

/// How an answer is read: all of them as they are, a sample as a terminal has to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    Blind,
    Verified,
}

/// An answer, and the digest of the proof that it answers.
struct Answered {
    answer: Answer,
    req: Digest,
}

impl Terminal {
    pub(crate) async fn new(known: Arc<Known>, customer: &Customer) -> Result<Self> {
        let connection = Connection::open(known.address).await?;
        let (key, release) = (SecretKey::from_seed(&customer.seed.0), ReleaseSecretKey::from_bytes(customer.release.0));
        Ok(Self { known, key, release, token: customer.token.clone(), nonce: None, connection })
    }

    /// A whole cycle, acknowledged if that is wanted.
    pub(crate) async fn cycle(&mut self, trust: Trust, acknowledges: bool) -> Result<()> {
        let verified = self.authorised(trust).await?;
        let answered = self.post(paths::VERIFICATIONS, &verified, Flaw::None).await?;
        let answer: VerificationAnswer = self.read(&answered, trust)?;
        let grant = Unverified::<Grant>::parse(&answer.grant)?;
        if trust == Trust::Verified {
            let key = self.known.keys.signing_key(grant.kid(), now()).context("signed by an unknown key")?;
            let grant = grant.verify(key)?;
            let document = grant.document();
            ensure!(document.resource == self.known.plan.resource, "a grant for another resource");
            ensure!(document.nonce == verified.request.nonce, "a grant for another request");
            let opened = portcullis_protocol::release::open(&self.release, grant.compact(), &answer.keys)?;
            let expected = self.known.plan.parts.iter();
            let same =
                opened.iter().map(|(part, key)| (part, key.expose())).eq(expected.map(|(part, key)| (part, &key.0)));
            ensure!(same, "the keys are not those of the parts");
            let parts: Vec<PartName> = document.parts.clone();
            ensure!(parts.len() == opened.len(), "a grant for other parts");
        }
        if acknowledges {
            let id = id_of(&answer.grant)?;
            let path = paths::fill(paths::GRANT_ACK, &[&id]);
            let answered = self.post(&path, &Acknowledgement { grant: id.parse()? }, Flaw::None).await?;
            ensure!(answered.answer.status == 200, "an acknowledgement was answered {}", answered.answer.status);
        }
        Ok(())
    }

    /// Step 3 alone.
    pub(crate) async fn verify(&mut self, code: &VerificationRequest) -> Result<()> {
        let answered = self.post(paths::VERIFICATIONS, code, Flaw::None).await?;
        self.read::<VerificationAnswer>(&answered, Trust::Verified).map(drop)
    }

    /// Steps 1 and 2: what step 3 sends.
    pub(crate) async fn authorised(&mut self, trust: Trust) -> Result<VerificationRequest> {
        let request = self.known.plan.request(&self.known.plan.bought, random())?;
        let answered = self.post(paths::AUTHORIZATIONS, &request, Flaw::None).await?;
        let AuthorisationAnswer { code, .. } = self.read(&answered, trust)?;
        Ok(VerificationRequest { code, request })
    }

    /// A request that a good one stands beside, to be refused with this status and, if it is signed, for this reason.
    pub(crate) async fn refused(
        &mut self,
        (path, body): (&str, &impl Serialize),
        flaw: Flaw,
        (status, reason): (u16, Option<Reason>),
        trust: Trust,
    ) -> Result<()> {
        let Answered { answer, req } = self.post(path, body, flaw).await?;
        ensure!(answer.status == status, "answered {} instead of {status}: {}", answer.status, text(&answer));
        let Some(reason) = reason else { return Ok(()) };
        let problem: Problem = serde_json::from_slice(&answer.body)?;
        ensure!(problem.reason == Some(reason), "refused for {:?}", problem.reason);
        let signed = problem.signed.context("an unsigned refusal")?;
        if trust == Trust::Verified {
            match cycle::read_reply::<serde_json::Value>(&signed, &self.known.keys, &req, now())? {
                Reply::No(refusal) => ensure!(refusal.reason == reason, "refused for {}", refusal.reason),
                Reply::Yes { .. } => bail!("not refused"),
            }
        }
        Ok(())
    }

    /// What a request for an operation says that was not bought.
    pub(crate) fn unpaid(&self) -> Result<portcullis_protocol::wire::AuthorisationRequest> {
        self.known.plan.request(&self.known.plan.unpaid, random())
    }

    /// Proves and sends a body, and once more if the server wants its nonce in the proof.
    async fn post(&mut self, path: &str, body: &impl Serialize, flaw: Flaw) -> Result<Answered> {
        let body = serde_json::to_vec(body)?;
        for _ in 0..2 {
            let (request, req) = self.request(path, &body, flaw);
            let answer = self.connection.send(&request).await?;
            let first = self.nonce.is_none();
            if answer.nonce.is_some() {
                self.nonce.clone_from(&answer.nonce);
            }
            if !(answer.status == 401 && first) {
                return Ok(Answered { answer, req });
            }
        }
        bail!("the server asked for a nonce twice")
    }

    /// The bytes of a request, and the digest of its proof.
    fn request(&self, path: &str, body: &[u8], flaw: Flaw) -> (Vec<u8>, Digest) {
        let unknown = if flaw == Flaw::Token { Some(Octets(random::<32>()).to_string()) } else { None };
        let token = unknown.as_deref().unwrap_or(&self.token);
        let key = fresh_key();
        let target = ProofTarget {
            method: "POST",
            url: &format!("{}{path}", self.known.plan.origin),
            token: Some(token),
            body: Digest::of(body),
            idempotency_key: Some(&key),
        };
        let mut proof = prove(&self.key, &target, Octets(random()), now(), self.nonce.as_deref());
        if flaw == Flaw::Signature {
            // In the middle of its second half, so that the server has to do the whole sum before it can tell.
            let at = proof.rfind('.').map_or(0, |at| at + 61);
            let other = if proof.as_bytes()[at] == b'A' { "B" } else { "A" };
            proof.replace_range(at..=at, other);
        }
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nDPoP: {proof}\r\nAuthorization: DPoP {token}\r\nIdempotency-Key: {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.known.address,
            key.as_str(),
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        (request, Digest::of(proof.as_bytes()))
    }

    /// The body of a yes.
    fn read<B: Serialize + DeserializeOwned>(&self, answered: &Answered, trust: Trust) -> Result<B> {
        let Answered { answer, req } = answered;
        ensure!(answer.status == 200, "answered {}: {}", answer.status, text(answer));
        let Signed { signed } = serde_json::from_slice(&answer.body)?;
        match trust {
            Trust::Verified => match cycle::read_reply(&signed, &self.known.keys, req, now())? {
                Reply::Yes { body, .. } => Ok(body),
                Reply::No(refusal) => bail!("refused: {}", refusal.reason),
            },
            Trust::Blind => {
                let payload = signed.split('.').nth(1).context("a signed answer has three parts")?;
                let envelope: Envelope<B> = serde_json::from_slice(&from_base64url(payload)?)?;
                ensure!(envelope.req == *req, "an answer to another request");
                Ok(envelope.body)
            }
        }
    }
}

/// The identifier of a grant that is not verified.
fn id_of(compact: &str) -> Result<String> {
    let payload = compact.split('.').nth(1).context("a grant has three parts")?;
    let grant: Grant = serde_json::from_slice(&from_base64url(payload)?)?;
    Ok(grant.jti.to_string())
}

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}
