//! The user's say in what a resource requests from inside.
//!
//! A resource names operations. What they cost and mean the host shows, from the server's signed offers; the resource
//! has no part in the text and cannot answer for the user.

use async_trait::async_trait;
use portcullis_protocol::{Digest, Offer, OperationEntry, SignedManifest, Verified};

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
    /// How it can be paid for, as the billing server signed it. Empty where the server sells it no longer; rights that
    /// the account holds may cover it all the same.
    pub offers: &'a [Verified<Offer>],
}

impl Prompt<'_> {
    /// Yes, drawing on whatever rights the account holds.
    #[must_use]
    pub const fn agree(&self) -> Answer {
        Answer(Choice::Held)
    }

    /// Yes, on the terms of this offer: where the server has changed it since, it refuses.
    #[must_use]
    pub const fn accept(&self, offer: &Verified<Offer>) -> Answer {
        Answer(Choice::Offer(offer.digest()))
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
}

/// The user agreed: evidence that a request may go out.
pub(crate) struct Agreed {
    /// The digest of the offer agreed to.
    pub(crate) offer: Option<Digest>,
}

impl Agreed {
    /// Nothing is drawn and nothing priced, so there is nothing to ask.
    pub(crate) const fn nothing_to_ask() -> Self {
        Self { offer: None }
    }

    /// `None` where the answer is no, or accepts an offer that was not shown.
    pub(crate) fn from_answer(answer: Answer, prompt: &Prompt<'_>) -> Option<Self> {
        match answer.0 {
            Choice::No => None,
            Choice::Held => Some(Self { offer: None }),
            Choice::Offer(digest) => {
                prompt.offers.iter().any(|offer| offer.digest() == digest).then_some(Self { offer: Some(digest) })
            }
        }
    }
}

/// Asks the user. Called at most [`crate::Limits::prompts`] times in one call of an export.
#[async_trait]
pub trait Consent: Send + Sync {
    /// Shows the prompt and waits for the answer. The call of the export waits too, within its time.
    async fn ask(&self, prompt: &Prompt<'_>) -> Answer;
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
}
