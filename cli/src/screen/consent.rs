//! What a resource asks for from inside, put to the user on the terminal.

use portcullis_host::{Answer, Consent, HandOver, Prompt};
use portcullis_protocol::{MailboxName, OperationName};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::payment::metered::{Agreed, Question};
use crate::screen::output::{OfferLine, Screen, style};

/// Asks at the controlling terminal. What the user agreed to on the command line is not asked again; if nobody can be
/// asked, the answer is no.
#[derive(Debug)]
pub(crate) struct Terminal {
    screen: Screen,
    allowed: Vec<OperationName>,
    agreed: Agreed,
    hand_over_bills: bool,
}

impl Terminal {
    /// `allowed` are the operations agreed to beforehand, on rights that are held; `agreed` is the total agreed to.
    pub(crate) fn new(screen: Screen, allowed: &[OperationName], agreed: Agreed) -> Self {
        Self { screen, allowed: allowed.to_vec(), agreed, hand_over_bills: false }
    }

    /// Whether the user has agreed beforehand that bills are handed over.
    pub(crate) const fn hand_over_bills(mut self, agreed: bool) -> Self {
        self.hand_over_bills = agreed;
        self
    }

    /// The text of the question: names and prices are the manifest's and the store's, never the resource's.
    fn question(prompt: &Prompt<'_>) -> String {
        let manifest = prompt.resource.manifest();
        let (strong, dim) = (style::STRONG, style::DIM);
        let mut text = format!(
            "{strong}{}/{}{strong:#} asks for {strong}{}{strong:#} (\"{}\"), {} times\n",
            manifest.publisher.name, manifest.name, prompt.operation.name, prompt.operation.title, prompt.quantity
        );
        for offer in prompt.offers {
            text += &format!("  {dim}sold as{dim:#} {}\n", OfferLine::of(offer));
        }
        text
    }
}

/// How long a question may take to notice that it is over, and to give the terminal back as it was.
const PUT_BACK: Duration = Duration::from_secs(2);

/// Questions under way.
static ASKING: AtomicUsize = AtomicUsize::new(0);

/// A question under way, until it is dropped.
struct Asking;

impl Asking {
    fn begin() -> Self {
        ASKING.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        ASKING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Asks on a thread of its own. When the call that waits for the answer is over, so is the question.
async fn asked(ask: impl FnOnce(&AtomicBool) -> bool + Send + 'static) -> bool {
    let over = Over(Arc::default());
    let (flag, asking) = (Arc::clone(&over.0), Asking::begin());
    let question = move || {
        let _asking = asking;
        ask(&flag)
    };
    tokio::task::spawn_blocking(question).await.unwrap_or(false)
}

/// Waits, before the program ends, until questions that are over have put the terminal back as it was: the threads that
/// ask hold no program. Not for long: what they wait for may never come.
pub(crate) fn settle() {
    let begun = Instant::now();
    while ASKING.load(Ordering::SeqCst) > 0 && begun.elapsed() < PUT_BACK {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Ends a question when it is dropped.
struct Over(Arc<AtomicBool>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[async_trait::async_trait]
impl Consent for Terminal {
    async fn ask(&self, prompt: &Prompt<'_>) -> Answer {
        if self.allowed.contains(&prompt.operation.name) {
            return prompt.agree();
        }
        let (screen, text) = (self.screen, Self::question(prompt));
        let metered = Question::cheapest(prompt.offers, prompt.quantity, |cost| prompt.spent(cost.currency()));
        let Some(question) = metered else {
            let question = text + "Use rights that you hold for it?";
            let yes = asked(move |over| screen.ask_until(question, over)).await;
            return if yes { prompt.agree() } else { prompt.decline() };
        };
        let covered = |question: &Question| self.agreed.covers(question.spent, question.cost);
        if !covered(&question) {
            let (agreed, question) = (self.agreed.clone(), question.clone());
            if !asked(move |over| agreed.ask(screen, &text, &question, over)).await {
                return prompt.decline();
            }
        }
        match self.agreed.cap().filter(|_| covered(&question)) {
            Some(cap) => prompt.accept_up_to(&question.offer, cap),
            None => prompt.accept(&question.offer),
        }
    }

    async fn hand_over(&self, question: &HandOver<'_>) -> bool {
        if self.hand_over_bills {
            return true;
        }
        let (screen, text) = (self.screen, bills_question(question));
        asked(move |over| screen.ask_until(text, over)).await
    }
}

/// The text of the question whether bills are handed over: who asks, what it gets, and what it does not.
fn bills_question(question: &HandOver<'_>) -> String {
    let manifest = question.resource.manifest();
    let (strong, dim) = (style::STRONG, style::DIM);
    let mailboxes: Vec<&str> = question.mailboxes.iter().map(MailboxName::as_str).collect();
    let mailboxes = if mailboxes.is_empty() { "none yet".to_owned() } else { mailboxes.join(", ") };
    format!(
        "{strong}{}/{}{strong:#} asks for records of your bills\n  {dim}mailboxes{dim:#} {mailboxes}\n  \
         {dim}it gets  {dim:#} of each bill: {}\n  {dim}never    {dim:#} {}\nHand them over?",
        manifest.publisher.name,
        manifest.name,
        HandOver::RECORD,
        HandOver::NEVER
    )
}
