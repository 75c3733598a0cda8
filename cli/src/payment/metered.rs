//! By the unit: what a run costs, what the session has cost so far, and how the user agrees.

use parking_lot::Mutex;
use portcullis_protocol::{Money, Offer, Verified};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::screen::output::Screen;

/// Up to which total the user agrees to spend without being asked again: `--max-spend`, or what he typed since.
#[derive(Debug, Clone, Default)]
pub(crate) struct Agreed(Arc<Mutex<Option<Money>>>);

impl Agreed {
    /// From the command line.
    pub(crate) fn up_to(cap: Option<Money>) -> Self {
        Self(Arc::new(Mutex::new(cap)))
    }

    /// The total.
    pub(crate) fn cap(&self) -> Option<Money> {
        *self.0.lock()
    }

    /// Whether a cost is agreed to, after what was spent in its currency.
    pub(crate) fn covers(&self, spent: Money, cost: Money) -> bool {
        let Some(cap) = self.cap().filter(|cap| cap.currency() == cost.currency()) else { return false };
        spent.checked_add(cost).is_ok_and(|total| total.minor_units() <= cap.minor_units())
    }

    /// Asks, with the lines `about` before the question. `a` also asks up to which total. Once `over` is set it is no.
    pub(crate) fn ask(&self, screen: Screen, about: &str, question: &Question, over: &AtomicBool) -> bool {
        let text = format!("{about}{}", question.text(self.cap()));
        match screen.reply(text, "[y/N/a(lways up to a cap)] ", over).as_str() {
            "y" | "yes" => true,
            "a" | "always" => {
                let typed = screen.reply("Up to how much in all, as in 1.00EUR?", "[amount] ", over);
                // The answer is in small letters, a currency in capital ones.
                let cap = typed.to_ascii_uppercase().parse::<Money>();
                let Ok(cap) = cap.map_err(|error| screen.note(error)) else { return false };
                *self.0.lock() = Some(cap);
                let agreed = self.covers(question.spent, question.cost);
                if !agreed {
                    screen.note(format_args!("This run costs more than {cap}: nothing was charged."));
                }
                agreed
            }
            _ => false,
        }
    }
}

/// What a person is asked before money moves.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    /// The metered offer.
    pub(crate) offer: Verified<Offer>,
    /// How many units.
    quantity: u32,
    /// What they cost.
    pub(crate) cost: Money,
    /// What the session has cost so far.
    pub(crate) spent: Money,
}

impl Question {
    /// About an offer; `None` if it is not metered, or nothing could pay for it.
    pub(crate) fn about(offer: &Verified<Offer>, quantity: u32, spent: impl FnOnce(Money) -> Money) -> Option<Self> {
        let document = offer.document();
        let cost = document.rights.is_paid_per_unit().then(|| document.price.checked_mul(quantity).ok()).flatten()?;
        Some(Self { offer: offer.clone(), quantity, cost, spent: spent(cost) })
    }

    /// About the cheapest of several.
    pub(crate) fn cheapest(offers: &[Verified<Offer>], quantity: u32, spent: impl Fn(Money) -> Money) -> Option<Self> {
        let questions = offers.iter().filter_map(|offer| Self::about(offer, quantity, &spent));
        questions.min_by_key(|question| question.cost.minor_units())
    }

    fn text(&self, cap: Option<Money>) -> String {
        let (price, cost, spent) = (self.offer.document().price, self.cost, self.spent);
        let cap = cap.filter(|cap| cap.currency() == cost.currency());
        let cap = cap.map_or_else(String::new, |cap| format!(", cap {cap}"));
        let quantity = self.quantity;
        format!("Costs {price} per unit; this run takes {quantity}: {cost}. Spent so far {spent}{cap}. Go on?")
    }
}
