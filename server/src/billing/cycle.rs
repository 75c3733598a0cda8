//! The cycle, as the server lives it. Steps 2 and 3, each from top to bottom, in the order of checks:
//!
//! size and rate → proof → terminal → account → stored answer → status code → bindings → resource → operation →
//! entitlement
//!
//! Rate and proof are the edges' business; an [`Asker`] is the evidence that proof, terminal and account passed. What
//! is decided here is decided on one snapshot of the store and then done by one transaction, which holds only if what
//! it rests on still stands: otherwise everything is looked at again.

use crate::billing::answers::{Refusal, ServiceError};
use crate::billing::entitlement::Holding;
use crate::billing::rights::{self, Ask, Decision, Granting};
use crate::billing::{offers, reissue};
use crate::crypto::secrets::{random, rng};
use crate::ops::clock::Timestamp;
use crate::ops::metrics::Stage;
use crate::store::{
    Acknowledged, AuthorisationQuery, AuthorisationState, AuthorisationTarget, AuthoriseOutcome, Begun, GrantRecord,
    GrantState, Idempotency, NewAuthorisation, NewGrant, OperationFacts, ResourceFacts, StoredAnswer, VerificationCase,
    VerificationQuery, VerifyOutcome,
};
use crate::{Asker, Core};
use portcullis_protocol::age::FileKey;
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::limits::{MAX_QUANTITY, STATUS_CODE_LIFE};
use portcullis_protocol::wire::{AuthorisationAnswer, AuthorisationRequest, VerificationAnswer, VerificationRequest};
use portcullis_protocol::{CodeBinding, CodeId, Grant, GrantId, PairwiseId, Reason, Verified, confirmation};
use std::time::Instant;

/// How often a request looks again because something changed between its snapshot and its transaction. Every look sees
/// a state that somebody else's commit made, so that more than a few mean a server that is overrun.
const LOOKS: usize = 8;
/// How long a call may run where its publisher does not say, in seconds.
const RUN_MAX: u32 = 300;
/// How long a call may run at most, whatever its publisher says, in seconds: a revoked grant ends by then.
const RUN_MAX_CEILING: u32 = 3600;

/// Step 2: may this operation be paid for? Holds what it costs and answers with a billing status code.
///
/// # Errors
/// [`crate::ServiceError`].
pub async fn authorise(
    core: &Core,
    asker: &Asker,
    request: &AuthorisationRequest,
    idempotency: &Idempotency,
) -> Result<AuthorisationAnswer, ServiceError> {
    // Size. Everything else of the request is bounded by its types.
    if request.quantity == 0 || request.quantity > MAX_QUANTITY {
        return Err(ServiceError::Unacceptable("the quantity is 1 to 1000000".into()));
    }
    let binding = CodeBinding::of(asker.account(), asker.terminal(), request);
    for _ in 0..LOOKS {
        let query = AuthorisationQuery {
            account: *asker.account(),
            terminal: *asker.terminal(),
            request: idempotency.clone(),
            resource: request.resource,
            operation: request.operation.clone(),
            quantity: request.quantity,
            accepted: request.offer,
        };
        let case = core.metrics.stage(Stage::ReadAuthorisation, core.store.authorisation_case(query)).await?;

        // Stored answer.
        if let Some(answer) = answered_code(core, &binding, case.begun)? {
            return Ok(answer);
        }

        // Resource.
        let target = case.resource.ok_or(Reason::ResourceUnknown)?;
        if target.facts.withdrawn.is_some() {
            return Err(Refusal::withdrawn(&target.facts).into());
        }

        // Operation.
        if target.operation.is_none() {
            return Err(Reason::OperationUnknown.into());
        }

        // Entitlement: the accepted offer has to be one in force, and something has to carry the quantity.
        if let Some(accepted) = request.offer
            && !target.offers.iter().any(|revision| revision.digest == accepted)
        {
            let changed = Refusal::new(Reason::PaymentRequired)
                .because("The accepted offer is no longer in force; these are.")
                .with_offers(offers::sign(core, &target.offers, case.now)?);
            return Err(changed.into());
        }
        let ask = Ask { quantity: request.quantity, accepted: request.offer, now: case.now };
        let basis = match rights::decide(&target.offers, &target.entitlements, &target.prepaid, ask) {
            Decision::Carry(basis) => basis,
            Decision::Refuse(reason) => return Err(unpaid(core, reason, &target, case.now)?),
        };

        // Hold.
        let code = CodeId::generate(case.now.id_millis(), &mut rng());
        let hold = NewAuthorisation {
            code,
            account: *asker.account(),
            terminal: *asker.terminal(),
            binding,
            resource: request.resource,
            operation: request.operation.clone(),
            rights: basis.rights,
            draw: basis.draw,
            quantity: request.quantity,
            life: STATUS_CODE_LIFE,
            request: idempotency.clone(),
        };
        match core.metrics.stage(Stage::Hold, core.store.authorise(hold)).await? {
            AuthoriseOutcome::Held { expires } => return Ok(code_answer(core, code, &binding, expires)),
            AuthoriseOutcome::Begun(begun) => {
                if let Some(answer) = answered_code(core, &binding, begun)? {
                    return Ok(answer);
                }
            }
            AuthoriseOutcome::ShutOut(reason) => return Err(reason.into()),
            AuthoriseOutcome::Changed => {}
        }
    }
    Err(ServiceError::UnderWay)
}

/// Step 3: consumes a status code and answers with the grant and the part keys.
///
/// # Errors
/// [`crate::ServiceError`].
pub async fn verify(
    core: &Core,
    asker: &Asker,
    request: &VerificationRequest,
    idempotency: &Idempotency,
) -> Result<VerificationAnswer, ServiceError> {
    let binding = CodeBinding::of(asker.account(), asker.terminal(), &request.request);
    for _ in 0..LOOKS {
        let query = VerificationQuery {
            account: *asker.account(),
            terminal: *asker.terminal(),
            request: idempotency.clone(),
            code: request.code.id(),
        };
        let mut case = core.metrics.stage(Stage::ReadVerification, core.store.verification_case(query)).await?;

        // Stored answer; a grant that was paid for and never arrived is issued once more.
        let begun = std::mem::replace(&mut case.begun, Begun::New);
        if let Some(lost) = reissue::due(core, &begun, case.now) {
            match reissue::reissue(core, asker, request, lost, idempotency).await? {
                Some(answer) => return Ok(answer),
                None => continue,
            }
        }
        if let Some(answer) = answered_grant(begun)? {
            return Ok(answer);
        }

        // Status code: of this server, of this terminal, not spent, not expired.
        let held = case.authorisation.as_ref().ok_or(Reason::StatusCodeUnknown)?;
        if held.terminal != *asker.terminal() || !core.keys.code_key().accepts(&request.code, &held.binding) {
            return Err(Reason::StatusCodeUnknown.into());
        }
        match held.state {
            AuthorisationState::Consumed => return Err(Reason::StatusCodeSpent.into()),
            AuthorisationState::Released => return Err(Reason::StatusCodeExpired.into()),
            AuthorisationState::Held if held.expires <= case.now => return Err(Reason::StatusCodeExpired.into()),
            AuthorisationState::Held => {}
        }

        // Bindings.
        if held.binding != binding {
            return Err(Reason::BindingMismatch.into());
        }

        // Resource.
        let resource = case.resource.as_ref().ok_or(Reason::ResourceUnknown)?;
        if resource.withdrawn.is_some() {
            return Err(Refusal::withdrawn(resource).into());
        }

        // Operation.
        let operation = case.operation.as_ref().ok_or(Reason::OperationUnknown)?;

        // Entitlement: the hold stands, so only that the rights were taken back can be in its way.
        if case.entitlement.as_ref().is_some_and(|entitlement| entitlement.revoked.is_some()) {
            return Err(Reason::EntitlementRevoked.into());
        }

        // Grant: made here, issued by the transaction or not at all.
        let begun = Instant::now();
        let (grant, answer) = make_grant(core, asker, request, &case, resource, operation, idempotency)?;
        core.metrics.took(Stage::MakeGrant, begun);
        match core.metrics.stage(Stage::Issue, core.store.verify(grant)).await? {
            VerifyOutcome::Granted => {
                core.metrics.granted(held.rights.model());
                return Ok(answer);
            }
            VerifyOutcome::Begun(begun) => {
                if let Some(answer) = answered_grant(begun)? {
                    return Ok(answer);
                }
            }
            VerifyOutcome::ShutOut(reason) => return Err(reason.into()),
            VerifyOutcome::Changed => {}
        }
    }
    Err(ServiceError::UnderWay)
}

/// Gives a grant to its terminal again: the answer to step 3 may never have arrived.
///
/// # Errors
/// `status-code-unknown` if the terminal has no such grant, `entitlement-revoked`, `status-code-spent` if the
/// terminal has a newer one, `status-code-expired` if it has ended.
pub async fn redeliver(core: &Core, asker: &Asker, grant: &GrantId) -> Result<VerificationAnswer, ServiceError> {
    let (now, record) = core.store.grant(asker.terminal(), grant).await?;
    let record = record.ok_or(Reason::StatusCodeUnknown)?;
    match record.state {
        GrantState::Revoked => Err(Reason::EntitlementRevoked.into()),
        GrantState::Superseded => {
            Err(Refusal::new(Reason::StatusCodeSpent).because("The terminal holds a newer grant.").into())
        }
        GrantState::Issued | GrantState::Acknowledged if record.expires <= now => {
            Err(Refusal::new(Reason::StatusCodeExpired).because("The grant has ended.").into())
        }
        GrantState::Issued | GrantState::Acknowledged => delivered(&record),
    }
}

/// Records that a grant arrived. Nothing depends on it: a grant that was never acknowledged is as good.
///
/// # Errors
/// `status-code-unknown`, `entitlement-revoked`.
pub async fn acknowledge(core: &Core, asker: &Asker, grant: &GrantId) -> Result<(), ServiceError> {
    match core.store.acknowledge(asker.terminal(), grant).await? {
        Acknowledged::Yes => Ok(()),
        Acknowledged::Revoked => Err(Reason::EntitlementRevoked.into()),
        Acknowledged::Unknown => Err(Reason::StatusCodeUnknown.into()),
    }
}

/// The code that the very same request got before. It is not stored: it is computed again.
fn answered_code(
    core: &Core,
    binding: &CodeBinding,
    begun: Begun,
) -> Result<Option<AuthorisationAnswer>, ServiceError> {
    match begun {
        Begun::New => Ok(None),
        Begun::Answered(StoredAnswer::Authorised { code, expires }) => {
            Ok(Some(code_answer(core, code, binding, expires)))
        }
        Begun::Answered(_) | Begun::OtherRequest => Err(ServiceError::KeyReused),
        Begun::InProgress => Err(ServiceError::UnderWay),
    }
}

fn code_answer(core: &Core, code: CodeId, binding: &CodeBinding, expires: Timestamp) -> AuthorisationAnswer {
    AuthorisationAnswer { code: core.keys.code_key().issue(code, binding), expires: expires.seconds() }
}

/// The grant that the very same request got before. It outlives the code, not a revocation.
fn answered_grant(begun: Begun) -> Result<Option<VerificationAnswer>, ServiceError> {
    match begun {
        Begun::New => Ok(None),
        Begun::Answered(StoredAnswer::Granted(record)) if record.state == GrantState::Revoked => {
            Err(Reason::EntitlementRevoked.into())
        }
        Begun::Answered(StoredAnswer::Granted(record)) => delivered(&record).map(Some),
        Begun::Answered(_) | Begun::OtherRequest => Err(ServiceError::KeyReused),
        Begun::InProgress => Err(ServiceError::UnderWay),
    }
}

/// A grant and its keys, as they are stored.
pub(crate) fn delivered(record: &GrantRecord) -> Result<VerificationAnswer, ServiceError> {
    let keys = serde_json::from_str(&record.keys)
        .map_err(|_| ServiceError::Failed("a stored key release is damaged".into()))?;
    Ok(VerificationAnswer { grant: record.compact.clone(), grant_nonce: record.nonce, keys })
}

/// The refusal for want of rights, with the offers that would turn it.
fn unpaid(
    core: &Core,
    reason: Reason,
    target: &AuthorisationTarget,
    now: Timestamp,
) -> Result<ServiceError, ServiceError> {
    let refusal = Refusal::new(reason).with_offers(offers::sign(core, &target.offers, now)?);
    Ok(if target.offers.is_empty() { refusal.because("It is not for sale at present.") } else { refusal }.into())
}

/// Signs a grant and seals its part keys to the terminal.
pub(crate) fn make_grant(
    core: &Core,
    asker: &Asker,
    request: &VerificationRequest,
    case: &VerificationCase,
    resource: &ResourceFacts,
    operation: &OperationFacts,
    idempotency: &Idempotency,
) -> Result<(NewGrant, VerificationAnswer), ServiceError> {
    let held = case.authorisation.as_ref().ok_or(Reason::StatusCodeUnknown)?;
    let entitlement = case.entitlement.as_ref();
    let granting = Granting { rights: &held.rights, entitlement, quantity: held.quantity, now: case.now };
    let bounds = rights::bounds(granting)?;
    let id = GrantId::generate(case.now.id_millis(), &mut rng());
    let nonce = Octets(random());
    let pairwise = case.pairwise.unwrap_or_else(|| PairwiseId::generate(case.now.id_millis(), &mut rng()));
    let expires = case.now.plus(bounds.life);
    let document = Grant {
        iss: core.origin.clone(),
        jti: id,
        sub: pairwise,
        cnf: confirmation(&nonce, asker.key()),
        resource: resource.digest,
        publisher: resource.publisher_name.clone(),
        name: resource.name.clone(),
        version: resource.version.clone(),
        operation: operation.name.clone(),
        parts: operation.parts.clone(),
        model: held.rights.model().to_owned(),
        limits: bounds.limits,
        nonce: request.request.nonce.clone(),
        iat: case.now.seconds(),
        exp: expires.seconds(),
        run_max: resource.run_max.unwrap_or(RUN_MAX).min(RUN_MAX_CEILING),
    };
    let compact = Verified::sign(document, &*core.keys.signing_key(case.now)?).compact().to_owned();

    if case.keys.len() != operation.parts.len() {
        return Err(ServiceError::Failed("a part of a published resource has no key".into()));
    }
    let keys = operation.parts.iter().zip(&case.keys);
    let keys = keys
        .map(|(part, wrapped)| core.secrets.unwrap_file_key(&resource.digest, part, wrapped))
        .collect::<Result<Vec<FileKey>, _>>()?;
    let named: Vec<(&str, &FileKey)> = operation.parts.iter().map(|part| part.as_str()).zip(&keys).collect();
    let keys = core
        .keys
        .ephemeral()
        .seal(asker.release(), &compact, &named)
        .map_err(|error| ServiceError::Failed(error.to_string()))?;

    let grant = NewGrant {
        id,
        code: held.code,
        account: *asker.account(),
        terminal: *asker.terminal(),
        resource: resource.digest,
        publisher: resource.publisher,
        operation: operation.name.clone(),
        pairwise,
        draw: held.draw,
        rests_on: entitlement.map_or_else(Holding::default, |entitlement| entitlement.holding),
        begins: bounds.begins,
        supersedes: bounds.renewable,
        compact: compact.clone(),
        nonce,
        keys: serde_json::to_string(&keys).map_err(|error| ServiceError::Failed(error.to_string()))?,
        expires,
        replaces: None,
        request: idempotency.clone(),
    };
    Ok((grant, VerificationAnswer { grant: compact, grant_nonce: nonce, keys }))
}
