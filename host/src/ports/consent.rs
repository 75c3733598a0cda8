//! The user's say in what a resource requests from inside.
//!
//! A resource names operations. What they cost and mean the host shows, from the server's signed offers; the resource
//! has no part in the text and cannot answer for the user. Money of the prepaid balance moves only under a metered
//! offer that the user accepts here, and what he has spent in the session so far is part of the question.

use crate::ports::gatekeeper::Refused;
use crate::run::spending::{Reserved, Spending, cost_of};
use async_trait::async_trait;
use portcullis_protocol::{
    Currency, Digest, MailboxName, Money, Offer, OperationEntry, Reason, SignedManifest, Verified,
};
use std::sync::Arc;

/// What a user is asked: may this resource run this operation?
#[derive(Debug)]
#[non_exhaustive]
pub struct Prompt<'a> {
    /// Who asks.
    pub resource: &'a SignedManifest,
    /// For what, as the publisher signed it.
    pub operation: &'a OperationEntry,
    /// How much.
    pub quantity: u32,
    /// How it can be paid for, as the billing server signed it. Empty if the server sells it no longer, or by the unit
    /// alone and beyond what the session may cost; rights that the account holds may cover it all the same.
    pub offers: &'a [Verified<Offer>],
    pub(crate) spending: &'a Arc<Spending>,
}

impl Prompt<'_> {
    /// What this request costs under a metered offer: quantity times price. `None` if the offer is not metered, or the
    /// cost is beyond what money can be.
    #[must_use]
    pub fn total(&self, offer: &Verified<Offer>) -> Option<Money> {
        cost_of(offer, self.quantity).ok().flatten()
    }

    /// What metered operations have cost in this session, over all resources of the runtime.
    #[must_use]
    pub fn spent(&self, currency: Currency) -> Money {
        self.spending.spent(currency)
    }

    /// What they may cost this resource in all: the lower of the embedder's cap and what the user agreed to before.
    #[must_use]
    pub fn cap(&self, currency: Currency) -> Option<Money> {
        self.spending.cap(&self.resource.digest(), currency)
    }

    /// Yes, drawing on whatever rights the account holds. No money moves.
    #[must_use]
    pub const fn agree(&self) -> Answer {
        Answer(Choice::Held)
    }

    /// Yes, on the terms of this offer: if the server has changed it since, it refuses. Of a metered offer the total is
    /// drawn from the prepaid balance, unless the account holds other rights.
    #[must_use]
    pub const fn accept(&self, offer: &Verified<Offer>) -> Answer {
        Answer(Choice::Offer(offer.digest()))
    }

    /// As [`Prompt::accept`] for a metered offer, and no more questions of this resource in its currency until the
    /// session's total would exceed `cap`. Other resources still ask.
    #[must_use]
    pub fn accept_up_to(&self, offer: &Verified<Offer>, cap: Money) -> Answer {
        Answer(Choice::UpTo(offer.digest(), cap))
    }

    /// No.
    #[must_use]
    pub const fn decline(&self) -> Answer {
        Answer(Choice::No)
    }
}

/// What the user answered. Made by [`Prompt`] only; the default is no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Answer(Choice);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Choice {
    #[default]
    No,
    Held,
    Offer(Digest),
    UpTo(Digest, Money),
}

/// The user agreed: evidence that a request may go out. What it costs is counted.
pub(crate) struct Agreed {
    /// The digest of the offer agreed to.
    pub(crate) offer: Option<Digest>,
    /// What is drawn from the prepaid balance under it.
    pub(crate) cost: Option<Reserved>,
}

impl Agreed {
    /// Nobody is asked about what is free. The offer is named, so that the server grants under it or not at all: if
    /// it has ended meanwhile, nothing of what the account holds is drawn in its place.
    pub(crate) fn to_free(offer: &Verified<Offer>) -> Self {
        Self { offer: Some(offer.digest()), cost: None }
    }

    /// What the user agreed to beforehand: the cheapest metered offer that fits. `None` if he has to be asked.
    pub(crate) fn beforehand(
        spending: &Arc<Spending>,
        resource: &Digest,
        offers: &[Verified<Offer>],
        quantity: u32,
    ) -> Option<Self> {
        let cost = |offer: &Verified<Offer>| Some((cost_of(offer, quantity).ok()??, offer.digest()));
        let mut costs: Vec<_> = offers.iter().filter_map(cost).collect();
        costs.sort_by_key(|(cost, _)| cost.minor_units());
        costs.into_iter().find_map(|(cost, offer)| {
            let cost = spending.reserve_agreed(resource, cost)?;
            Some(Self { offer: Some(offer), cost: Some(cost) })
        })
    }

    /// Takes the answer up.
    ///
    /// # Errors
    /// `confirmation-required` if it is no, accepts an offer that was not shown, or costs more than may be spent.
    pub(crate) fn from_answer(answer: Answer, prompt: &Prompt<'_>) -> Result<Self, Refused> {
        let shown = |digest| {
            let offer = prompt.offers.iter().find(|offer| offer.digest() == digest);
            offer.ok_or(Refused::new(Reason::ConfirmationRequired))
        };
        match answer.0 {
            Choice::No => Err(Reason::ConfirmationRequired.into()),
            Choice::Held => Ok(Self { offer: None, cost: None }),
            Choice::Offer(digest) => {
                let cost = cost_of(shown(digest)?, prompt.quantity)?;
                let cost = cost.map(|cost| prompt.spending.reserve(cost)).transpose()?;
                Ok(Self { offer: Some(digest), cost })
            }
            Choice::UpTo(digest, cap) => {
                let cost = cost_of(shown(digest)?, prompt.quantity)?.ok_or(Reason::ConfirmationRequired)?;
                let cost = prompt.spending.agree_up_to(&prompt.resource.digest(), cap, cost)?;
                Ok(Self { offer: Some(digest), cost: Some(cost) })
            }
        }
    }
}

/// What a user is asked before a resource reads bills: may it be handed the records of these mailboxes?
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct HandOver<'a> {
    /// Who asks.
    pub resource: &'a SignedManifest,
    /// The mailboxes whose bills it would read, by the names that the user chose.
    pub mailboxes: &'a [MailboxName],
}

impl HandOver<'_> {
    /// What is handed over of each bill, for a person to read: all of it, and nothing else.
    pub const RECORD: &'static str = "who bills, your account with all but its end hidden, the amount, the due date, the days it is for, \
         how far it is known to be genuine, and a digest of its mail";
    /// What is not, whatever the answer is.
    pub const NEVER: &'static str = "no mail, no password, no mail address of yours";
}

/// Asks the user. [`Consent::ask`] is called at most [`crate::Limits::prompts`] times in one call of an export.
#[async_trait]
pub trait Consent: Send + Sync {
    /// Shows the prompt and waits for the answer. The call of the export waits too, within its time.
    async fn ask(&self, prompt: &Prompt<'_>) -> Answer;

    /// Shows which mailboxes' bills the resource asks for and waits for the answer, before anything is asked of a
    /// server. Asked once for each resource of a runtime, if the answer is yes. By default the answer is no.
    async fn hand_over(&self, question: &HandOver<'_>) -> bool {
        let _ = question;
        false
    }
}

/// Nobody is there to be asked: no.
#[derive(Debug, Clone, Copy, Default)]
pub struct DeclineAll;

#[async_trait]
impl Consent for DeclineAll {
    async fn ask(&self, prompt: &Prompt<'_>) -> Answer {
        prompt.decline()
    }
}

#[async_trait]
impl<C: Consent + ?Sized> Consent for std::sync::Arc<C> {
    async fn ask(&self, prompt: &Prompt<'_>) -> Answer {
        (**self).ask(prompt).await
    }

    async fn hand_over(&self, question: &HandOver<'_>) -> bool {
        (**self).hand_over(question).await
    }
}
