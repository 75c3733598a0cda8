//! `POST /v1/terminals`: enrolment.

use crate::crypto::secrets;
use crate::http::app::App;
use crate::http::auth::ProvenSession;
use crate::http::problem::{ApiError, Refused};
use crate::http::rate::TooMany;
use crate::store::{EnrolOutcome, NewTerminal};
use portcullis_protocol::limits::MAX_TITLE;
use portcullis_protocol::paths;
use portcullis_protocol::text::disturbs;
use portcullis_protocol::wire::{TerminalAnswer, TerminalRequest};
use portcullis_protocol::{Enrolment, Reason, ReleasePublicKey, TerminalId, Unverified};

/// Enrols the key that makes the proof, with the X25519 key that it states.
#[utoipa::path(
    post,
    path = paths::TERMINALS,
    tag = "signing in",
    request_body = TerminalRequest,
    responses((status = 200, description = "Done", body = TerminalAnswer)),
)]
pub(crate) async fn enrol(app: App, caller: ProvenSession, (): ()) -> Result<TerminalAnswer, Refused> {
    let TerminalRequest { statement } = caller.json()?;
    let wrong = |what: &str| ApiError::Unacceptable(format!("the enrolment {what}"));
    let enrolment = Unverified::<Enrolment>::parse(&statement)
        .and_then(Unverified::verify_self_signed)
        .map_err(|error| wrong(&format!("is not accepted: {error}")))?;
    let enrolment = enrolment.document();
    if enrolment.jwk != caller.key {
        return Err(Reason::BindingMismatch.into());
    }
    if enrolment.origin != *app.origin() || enrolment.root != app.core.keys.root().thumbprint() {
        return Err(wrong("is for another server").into());
    }
    if enrolment.label.len() > MAX_TITLE || enrolment.label.chars().any(disturbs) {
        return Err(wrong("has a label that is too long, or holds control, direction or invisible characters").into());
    }
    let release = ReleasePublicKey::from_bytes(enrolment.x25519.0)
        .map_err(|error| wrong(&format!("is not accepted: {error}")))?;
    let terminal = NewTerminal {
        id: TerminalId::generate(app.core.clock.now().id_millis(), &mut secrets::rng()),
        account: caller.account,
        session: caller.session,
        key: caller.key.clone(),
        release,
        label: enrolment.label.clone(),
        statement,
        most_per_day: app.config.limits.terminals_per_day,
    };
    match app.core.store.enrol(terminal).await.map_err(ApiError::internal)? {
        EnrolOutcome::Enrolled(terminal) => {
            let account = app.accounts().name_of(&caller.account).await.map_err(ApiError::internal)?;
            Ok(TerminalAnswer { terminal, account })
        }
        EnrolOutcome::Revoked => Err(Reason::TerminalRevoked.into()),
        EnrolOutcome::SignedOut => Err(Reason::NotSignedIn.into()),
        EnrolOutcome::TooMany { retry_after } => Err(TooMany { retry_after }.into()),
    }
}
