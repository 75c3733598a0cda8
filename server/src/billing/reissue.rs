//! A grant that was paid for and never arrived is issued once more: undebited, to the same terminal, for the same
//! request.
//!
//! A terminal repeats step 3 under the same Idempotency-Key until it has an answer. If that comes when the grant has
//! ended, or when the key that signed it has, the use that was debited would be lost. So the repeated request is
//! answered with a new grant, once, within 30 days. A terminal that keeps silent about a grant that it did use gets a
//! second one for the same debit, and never a third.

use crate::billing::answers::{Refusal, ServiceError};
use crate::billing::cycle::{delivered, make_grant};
use crate::ops::clock::Timestamp;
use crate::store::{Begun, GrantRecord, GrantState, Idempotency, StoredAnswer, VerificationQuery, VerifyOutcome};
use crate::{Asker, Core};
use portcullis_protocol::limits::REISSUE_LIFE;
use portcullis_protocol::wire::{VerificationAnswer, VerificationRequest};
use portcullis_protocol::{Grant, GrantId, Reason, Unverified};

/// The stored grant of a repeated verification, if it may be issued once more: nobody acknowledged it, it replaces no
/// other, and it is of no use any more.
pub(crate) fn due<'b>(core: &Core, begun: &'b Begun, now: Timestamp) -> Option<&'b GrantRecord> {
    let Begun::Answered(StoredAnswer::Granted(record)) = begun else { return None };
    let may = record.state == GrantState::Issued
        && record.replaces.is_none()
        && now < issued(&record.id).plus(REISSUE_LIFE)
        && (record.expires <= now || signer_has_ended(core, record, now));
    may.then_some(record)
}

/// Issues the grant once more. `None` if something changed meanwhile; the stored grant itself if nothing was debited
/// for it, since a new cycle costs as little.
///
/// # Errors
/// `resource-withdrawn`, `entitlement-revoked`, or as a new cycle would be refused; [`No`].
pub(crate) async fn reissue(
    core: &Core,
    asker: &Asker,
    request: &VerificationRequest,
    old: &GrantRecord,
    idempotency: &Idempotency,
) -> Result<Option<VerificationAnswer>, ServiceError> {
    let query = VerificationQuery {
        account: *asker.account(),
        terminal: *asker.terminal(),
        request: idempotency.clone(),
        code: request.code.id(),
    };
    let case = core.store.reissue_case(query).await?;
    if !case.authorisation.as_ref().is_some_and(|authorisation| authorisation.draw.runs_out()) {
        return delivered(old).map(Some);
    }
    let resource = case.resource.as_ref().ok_or(Reason::ResourceUnknown)?;
    if resource.withdrawn.is_some() {
        return Err(Refusal::withdrawn(resource).into());
    }
    let operation = case.operation.as_ref().ok_or(Reason::OperationUnknown)?;
    if case.entitlement.as_ref().is_some_and(|entitlement| entitlement.revoked.is_some()) {
        return Err(Reason::EntitlementRevoked.into());
    }
    let (mut grant, answer) = make_grant(core, asker, request, &case, resource, operation, idempotency)?;
    grant.replaces = Some(old.id);
    match core.store.reissue(grant).await? {
        VerifyOutcome::Granted => Ok(Some(answer)),
        VerifyOutcome::ShutOut(reason) => Err(reason.into()),
        VerifyOutcome::Begun(_) | VerifyOutcome::Changed => Ok(None),
    }
}

/// When a grant was issued: its identifier begins with that.
fn issued(id: &GrantId) -> Timestamp {
    let millis = id.as_bytes()[..6].iter().fold(0_i64, |millis, byte| millis << 8 | i64::from(*byte));
    Timestamp::from_millis(millis)
}

/// Whether terminals believe the key that signed a grant no more.
fn signer_has_ended(core: &Core, record: &GrantRecord, now: Timestamp) -> bool {
    Unverified::<Grant>::parse(&record.compact).is_ok_and(|grant| core.keys.has_ended(&grant.kid(), now))
}
