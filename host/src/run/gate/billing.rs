//! `portcullis:gate/billing`: request → verify → grant, from inside a resource.

use super::{CodeHandle, GateError, GateView, GrantHandle, RequestedCode, shown};
use crate::ports::consent::{Agreed, Prompt};
use crate::ports::gatekeeper::{CycleRequest, Nonce, Refused};
use crate::ports::progress::Step;
use crate::run::active_grant::ActiveGrant;
use crate::run::bindings::{billing, types};
use crate::run::spending::{self, RequestId, Spending, cost_of};
use portcullis_protocol::limits::MAX_QUANTITY;
use portcullis_protocol::{Offer, OperationEntry, OperationName, Reason, Verified};
use std::sync::Arc;
use wasmtime::component::Resource;

impl billing::Host for GateView<'_> {
    async fn request(
        &mut self,
        operation: String,
        quantity: u32,
        nonce: Vec<u8>,
    ) -> Result<Resource<CodeHandle>, GateError> {
        let name = shown(&operation);
        let code = self.request_code(operation, quantity, nonce).await;
        self.told(&name, code)
    }

    fn entry(&mut self) -> wasmtime::Result<Resource<GrantHandle>> {
        Ok(self.table.push(GrantHandle(Arc::clone(&self.ctx.entry)))?)
    }
}

impl GateView<'_> {
    /// Tells whoever watches that the answer is no.
    fn told<T>(&self, operation: &str, answer: Result<T, GateError>) -> Result<T, GateError> {
        if let Err(GateError::Refused(refused)) = &answer {
            self.ctx.step(Step::OperationRefused { operation, refused });
        }
        answer
    }

    async fn request_code(
        &mut self,
        operation: String,
        quantity: u32,
        nonce: Vec<u8>,
    ) -> Result<Resource<CodeHandle>, GateError> {
        let operation = OperationName::new(operation).map_err(|_| Reason::OperationUnknown)?;
        let contents = Arc::clone(&self.ctx.contents);
        let entry = contents.signed.manifest().operation(&operation).ok_or(Reason::OperationUnknown)?;
        if !(1..=MAX_QUANTITY).contains(&quantity) {
            return Err(mismatch(format!("a quantity is 1 to {MAX_QUANTITY}")));
        }
        let nonce = Nonce::new(nonce).map_err(|_| mismatch("a nonce has at most 64 bytes".into()))?;
        if nonce.as_bytes().is_empty()
            && let Some(held) = self.ctx.covering(&operation, quantity)
        {
            return Ok(self.table.push(CodeHandle::Standing(held))?);
        }
        self.ctx.cycles_left.begin()?;
        let (agreed, quantity) = self.agreement(entry, quantity, &nonce).await?;
        let request = CycleRequest {
            resource: Arc::clone(&contents.signed),
            operation: operation.clone(),
            quantity,
            offer: agreed.offer,
            nonce: nonce.clone(),
        };
        let sent = RequestId::from(&request);
        let code = self.ctx.services.gatekeeper.request(request).await?;
        let requested = RequestedCode { code, sent, operation, nonce, cost: agreed.cost };
        Ok(self.table.push(CodeHandle::Requested(requested.into()))?)
    }

    async fn grant_of(&mut self, code: CodeHandle) -> Result<Arc<ActiveGrant>, GateError> {
        match code {
            CodeHandle::Standing(held) => {
                self.ctx.ensure(&held).await?;
                Ok(held)
            }
            CodeHandle::Requested(requested) => {
                let RequestedCode { code, sent, operation, nonce, cost } = *requested;
                let released = spending::verify(code, sent, cost).await?;
                let signed = &self.ctx.contents.signed;
                let entry = signed.manifest().operation(&operation).ok_or(Reason::OperationUnknown)?;
                let held = Arc::new(ActiveGrant::new(released, signed, entry, &nonce, &self.ctx.services)?);
                self.ctx.verified.push(Arc::downgrade(&held));
                Ok(held)
            }
        }
    }

    /// Asks the user if something is priced or a nonce asks for a cycle of its own. Returns for how much, too.
    async fn agreement(
        &mut self,
        operation: &OperationEntry,
        quantity: u32,
        nonce: &Nonce,
    ) -> Result<(Agreed, u32), Refused> {
        let ctx = &mut *self.ctx;
        let resource = &ctx.contents.signed;
        let offers = ctx.services.gatekeeper.offers(resource, &operation.name).await?;
        let free = offers.iter().find(|offer| offer.document().rights.is_given());
        if let Some(free) = free.filter(|_| nonce.as_bytes().is_empty()) {
            // It never runs out. Were the resource's quantity sent, it could tell its store what it likes, unseen.
            return Ok((Agreed::to_free(free), 1));
        }
        let spending = &ctx.services.spending;
        if let Some(agreed) = Agreed::beforehand(spending, &resource.digest(), &offers, quantity) {
            return Ok((agreed, quantity));
        }
        let (offers, beyond) = affordable(spending, offers, quantity);
        let Some(left) = ctx.prompts_left.checked_sub(1) else {
            return Err(Refused::because(Reason::ConfirmationRequired, "the resource asked too often in one call"));
        };
        ctx.prompts_left = left;
        let prompt = Prompt { resource, operation, quantity, offers: &offers, spending };
        let answer = ctx.services.consent.ask(&prompt).await;
        let agreed = Agreed::from_answer(answer, &prompt).map_err(|refused| beyond.unwrap_or(refused))?;
        Ok((agreed, quantity))
    }
}

/// The offers that there is anything to ask about: none that is metered and beyond the session's cap. If that leaves
/// none, also what to say unless the user agrees to use rights that the account holds: they cost nothing.
fn affordable(
    spending: &Spending,
    mut offers: Vec<Verified<Offer>>,
    quantity: u32,
) -> (Vec<Verified<Offer>>, Option<Refused>) {
    let mut beyond = None;
    offers.retain(|offer| {
        let fits = cost_of(offer, quantity).and_then(|cost| cost.map_or(Ok(()), |cost| spending.check(cost)));
        fits.map_err(|refused| beyond = Some(refused)).is_ok()
    });
    let beyond = beyond.filter(|_| offers.is_empty());
    (offers, beyond)
}

impl billing::HostStatusCode for GateView<'_> {
    async fn verify(&mut self, code: Resource<CodeHandle>) -> Result<Resource<GrantHandle>, GateError> {
        let code = self.table.delete(code)?;
        let name = match &code {
            CodeHandle::Standing(held) => held.grant().document().operation.to_string(),
            CodeHandle::Requested(requested) => requested.operation.to_string(),
        };
        let held = self.grant_of(code).await;
        let held = self.told(&name, held)?;
        Ok(self.table.push(GrantHandle(held))?)
    }

    fn drop(&mut self, code: Resource<CodeHandle>) -> wasmtime::Result<()> {
        self.table.delete(code)?;
        Ok(())
    }
}

impl billing::HostGrant for GateView<'_> {
    fn operation(&mut self, grant: Resource<GrantHandle>) -> wasmtime::Result<String> {
        let grant = self.table.get(&grant)?.0.grant();
        Ok(grant.document().operation.as_str().to_owned())
    }

    fn limits(&mut self, grant: Resource<GrantHandle>) -> wasmtime::Result<types::Limits> {
        let grant = self.table.get(&grant)?.0.grant();
        let document = grant.document();
        Ok(types::Limits {
            uses: document.limits.uses,
            units: document.limits.units,
            seconds: u32::try_from(document.exp.saturating_sub(document.iat)).ok(),
        })
    }

    fn expires(&mut self, grant: Resource<GrantHandle>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&grant)?.0.grant().document().exp)
    }

    fn document(&mut self, grant: Resource<GrantHandle>) -> wasmtime::Result<String> {
        Ok(self.table.get(&grant)?.0.grant().compact().to_owned())
    }

    fn drop(&mut self, grant: Resource<GrantHandle>) -> wasmtime::Result<()> {
        self.table.delete(grant)?;
        Ok(())
    }
}

impl types::Host for GateView<'_> {
    fn convert_refusal(&mut self, no: GateError) -> wasmtime::Result<types::Refusal> {
        match no {
            GateError::Refused(refused) => Ok(refusal(&refused)),
            GateError::Trap(error) => Err(error),
        }
    }
}

fn mismatch(detail: String) -> GateError {
    Refused::because(Reason::BindingMismatch, detail).into()
}

fn offer(offer: &Verified<Offer>) -> types::Offer {
    let offer = offer.document();
    types::Offer {
        id: offer.id.to_string(),
        title: offer.title.clone(),
        price: types::Money {
            minor_units: offer.price.minor_units(),
            currency: offer.price.currency().as_str().to_owned(),
        },
        model: offer.rights.model().to_owned(),
        quantity: offer.rights.quantity(),
    }
}

/// The refusal as WIT has it. No case is ever added there: a reason that has none, of the registry or of a later one,
/// reaches guests as `other(code)`.
pub(crate) fn refusal(refused: &Refused) -> types::Refusal {
    use types::Refusal as Wit;
    match refused.reason {
        Reason::PaymentRequired => Wit::PaymentRequired(refused.offers.iter().map(offer).collect()),
        Reason::RateLimited => Wit::RateLimited,
        Reason::TerminalUnknown => Wit::TerminalUnknown,
        Reason::TerminalRevoked => Wit::TerminalRevoked,
        Reason::NotSignedIn => Wit::NotSignedIn,
        Reason::AccountSuspended => Wit::AccountSuspended,
        Reason::StatusCodeUnknown => Wit::StatusCodeUnknown,
        Reason::StatusCodeExpired => Wit::StatusCodeExpired,
        Reason::StatusCodeSpent => Wit::StatusCodeSpent,
        Reason::BindingMismatch => Wit::BindingMismatch,
        Reason::ResourceUnknown => Wit::ResourceUnknown,
        Reason::ResourceWithdrawn => Wit::ResourceWithdrawn,
        Reason::OperationUnknown => Wit::OperationUnknown,
        Reason::BalanceTooLow => Wit::BalanceTooLow,
        Reason::EntitlementExpired => Wit::EntitlementExpired,
        Reason::EntitlementExhausted => Wit::EntitlementExhausted,
        Reason::EntitlementRevoked => Wit::EntitlementRevoked,
        Reason::SeatsTaken => Wit::SeatsTaken,
        Reason::ConfirmationRequired => Wit::ConfirmationRequired,
        Reason::LeaseExhausted => Wit::LeaseExhausted,
        Reason::ClockSuspect => Wit::ClockSuspect,
        Reason::Offline => Wit::Offline,
        Reason::ServerUntrusted => Wit::ServerUntrusted,
        Reason::PackageInvalid => Wit::PackageInvalid,
        reason => Wit::Other(reason.code().to_owned()),
    }
}

#[test]
fn each_case_of_wit_is_reached_and_a_reason_without_one_is_other() {
    let wit = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../wit/types.wit"));
    let variant = wit.split("variant refusal {").nth(1).and_then(|rest| rest.split('}').next()).expect("the variant");
    let has_case = |code: &str| {
        let mut lines = variant.lines().map(|line| line.trim().trim_end_matches(','));
        lines.any(|line| line == code || line.starts_with(&format!("{code}(")))
    };
    let made_up = Reason::from_code("made-up").expect("a code");
    let mut cases = 0;
    for reason in Reason::ALL.iter().chain([&made_up]) {
        let reached = refusal(&Refused::new(*reason));
        // Debug writes the name of the case, and of `other` its code.
        let shown = format!("{reached:?}");
        if has_case(reason.code()) {
            cases += 1;
            let plain = |text: &str| text.replace(['-', '('], "").to_lowercase();
            assert!(plain(&shown).contains(&plain(reason.code())) && !plain(&shown).contains("other"), "{shown}");
        } else {
            assert!(matches!(&reached, types::Refusal::Other(code) if code == reason.code()), "{shown}");
        }
    }
    assert_eq!(cases, 24, "the cases of WIT are settled");
}
