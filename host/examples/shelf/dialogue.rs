//! Questions from the work to the user. Whoever asks waits on a channel; the user's thread never does.

use crate::model::Event;
use portcullis_host::protocol::{Offer, Verified};
use portcullis_host::{Answer, Consent, Prompt};
use tokio::sync::{mpsc, oneshot};

/// A question with the way back. Dropped unanswered, the answer is no.
pub(crate) struct Question {
    pub(crate) text: String,
    reply: oneshot::Sender<bool>,
}

impl Question {
    /// Answers.
    pub(crate) fn answer(self, yes: bool) {
        // Whoever asked may have run out of time.
        let _ = self.reply.send(yes);
    }

    /// Whether nobody waits for the answer any more: the call ran out of time, or was stopped.
    pub(crate) fn is_moot(&self) -> bool {
        self.reply.is_closed()
    }
}

/// Asks.
#[derive(Clone)]
pub(crate) struct Dialogue {
    events: mpsc::UnboundedSender<Event>,
}

impl Dialogue {
    pub(crate) const fn new(events: mpsc::UnboundedSender<Event>) -> Self {
        Self { events }
    }

    /// Puts a question into the user's queue and waits. No if nobody answers.
    pub(crate) async fn ask(&self, text: String) -> bool {
        let (reply, answer) = oneshot::channel();
        let _ = self.events.send(Event::Asked(Question { text, reply }));
        answer.await.unwrap_or(false)
    }
}

/// What a resource requests from inside. The words are the manifest's and the store's; the resource has no part in
/// them.
#[async_trait::async_trait]
impl Consent for Dialogue {
    async fn ask(&self, prompt: &Prompt<'_>) -> Answer {
        let manifest = prompt.resource.manifest();
        let mut text = format!(
            "{}/{} asks for `{}` ({}), {} times",
            manifest.publisher.name, manifest.name, prompt.operation.name, prompt.operation.title, prompt.quantity
        );
        for offer in prompt.offers {
            text += &format!("\nsold as {}", offer_line(offer));
        }
        if Self::ask(self, text).await { prompt.agree() } else { prompt.decline() }
    }
}

/// An offer as a person reads it.
pub(crate) fn offer_line(offer: &Verified<Offer>) -> String {
    let offer = offer.document();
    if offer.rights.is_given() {
        return format!("{}: {}, free", offer.operation, offer.title);
    }
    let count = offer.rights.quantity().map_or_else(String::new, |count| format!(" × {count}"));
    format!("{}: {}, {}{count}, {}", offer.operation, offer.title, offer.rights.model(), offer.price)
}
