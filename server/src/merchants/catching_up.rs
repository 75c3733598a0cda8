//! What waits for a merchant is told to it anew, after a suspension or at another address: some orders in each
//! transaction, so that none of them takes long, and a process that dies leaves the rest to the next one.

use crate::Core;
use crate::billing::answers::ServiceError;
use crate::store::{EffectClaim, EffectVerdict, MerchantId};

/// The next orders of a merchant.
pub(crate) async fn attempt(core: &Core, claim: &EffectClaim) -> Result<Option<EffectVerdict>, ServiceError> {
    let more = core.store.catch_up_code_orders(&MerchantId(claim.of.subject)).await?;
    Ok(Some(if more { EffectVerdict::Again(claim.now) } else { EffectVerdict::Done }))
}
