//! `sandbox`: moves no money, and plays every outcome that a real provider has. It keeps nothing: the token says what
//! it plays, and stands as the payment's reference in the order. `docs/operations.md` has the list.
//!
//! ```text
//! FIRST[+LATER…]     FIRST: ok, decline, pending, redirect, action
//!                    LATER: settle, decline, late, refund-late, refund-refused, save, save-action, save-decline
//! ```

use super::{
    Begun, Charge, Outcome, Payment, PaymentChange, PaymentError, PaymentEvent, PaymentProvider, PaymentState,
    RefundState, SavedMeans, WebhookRefused,
};
use crate::ops::clock::Timestamp;
use async_trait::async_trait;
use axum::http::HeaderMap;
use portcullis_protocol::{Money, OrderId};
use serde::Deserialize;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Its name.
pub const NAME: &str = "sandbox";

/// The sandbox.
#[derive(Debug, Clone, Default)]
pub struct Sandbox {
    /// Played for every order, whatever its token says.
    plays: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    plays: Option<String>,
}

/// `sandbox = true`, or `[payment.sandbox]` with what it plays.
pub(super) fn from_settings(section: &toml::Value) -> Result<Option<Arc<dyn PaymentProvider>>, String> {
    match section {
        toml::Value::Boolean(false) => Ok(None),
        toml::Value::Boolean(true) => Ok(Some(Arc::new(Sandbox::default()))),
        section => {
            let Settings { plays } = section.clone().try_into().map_err(|error: toml::de::Error| {
                format!("must be true, false or a table with `plays`: {}", error.message())
            })?;
            if let Some(plan) = plays.as_deref().filter(|plan| Plan::read(plan).is_none()) {
                return Err(format!(
                    "`plays` must be a token of the sandbox such as `ok` or `redirect+settle`, not `{plan}`"
                ));
            }
            Ok(Some(Arc::new(Sandbox { plays })))
        }
    }
}

/// What happens later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Later {
    Settle,
    Decline,
    /// The money comes when the order has ended.
    Late,
    RefundLate,
    RefundRefused,
    /// The means are saved, and charging them does this.
    Save(First),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    Ok,
    Decline,
    Pending,
    Redirect,
    Action,
}

/// What a token says.
struct Plan {
    first: First,
    later: Vec<Later>,
}

impl Plan {
    fn read(token: &str) -> Option<Self> {
        let mut words = token.split('+');
        let first = match words.next()? {
            "ok" => First::Ok,
            "decline" => First::Decline,
            "pending" => First::Pending,
            "redirect" => First::Redirect,
            "action" => First::Action,
            _ => return None,
        };
        let later = words.map(|word| match word {
            "settle" => Some(Later::Settle),
            "decline" => Some(Later::Decline),
            "late" => Some(Later::Late),
            "refund-late" => Some(Later::RefundLate),
            "refund-refused" => Some(Later::RefundRefused),
            "save" => Some(Later::Save(First::Ok)),
            "save-action" => Some(Later::Save(First::Action)),
            "save-decline" => Some(Later::Save(First::Decline)),
            _ => None,
        });
        Some(Self { first, later: later.collect::<Option<_>>()? })
    }

    fn has(&self, later: Later) -> bool {
        self.later.contains(&later)
    }

    fn saved(&self) -> Option<SavedMeans> {
        let plan = self.later.iter().find_map(|later| match later {
            Later::Save(First::Action) => Some("action"),
            Later::Save(First::Decline) => Some("decline"),
            Later::Save(_) => Some("ok"),
            _ => None,
        });
        plan.map(|plan| SavedMeans { reference: Zeroizing::new(plan.to_owned()), label: "sandbox card".into() })
    }
}

impl Sandbox {
    fn play(&self, token: &str, charge: &Charge) -> Begun {
        let token = self.plays.as_deref().unwrap_or(token);
        let Some(plan) = Plan::read(token) else { return Outcome::Declined.into() };
        let page = || format!("{}/sandbox/{}", charge.origin, charge.order);
        let outcome = match plan.first {
            First::Ok => Outcome::Settled,
            First::Decline => Outcome::Declined,
            First::Pending => Outcome::Pending,
            First::Redirect => Outcome::Redirect(page()),
            First::Action => Outcome::Action(page()),
        };
        // What ends at once and has no sequel needs no reference.
        let ends = matches!(plan.first, First::Ok | First::Decline) && plan.later.is_empty();
        Begun { outcome, reference: (!ends).then(|| token.to_owned()), saved: plan.saved() }
    }
}

fn plan_of(payment: &Payment) -> Option<Plan> {
    payment.reference.as_deref().and_then(Plan::read)
}

#[async_trait]
impl PaymentProvider for Sandbox {
    fn name(&self) -> &'static str {
        NAME
    }

    fn choices(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("ok", "pays at once"),
            ("pending+settle", "pays a moment later"),
            ("redirect", "pays on a page of its own"),
            ("ok+save", "pays, and keeps the card"),
            ("decline", "declines"),
        ]
    }

    fn title(&self) -> &'static str {
        "Sandbox (moves no money)"
    }

    async fn begin(&self, charge: &Charge) -> Result<Begun, PaymentError> {
        Ok(self.play(&charge.token, charge))
    }

    async fn charge_saved(&self, means: &SavedMeans, charge: &Charge) -> Result<Begun, PaymentError> {
        Ok(self.play(&means.reference, charge))
    }

    async fn look_up(&self, payment: &Payment) -> Result<PaymentState, PaymentError> {
        let plan = plan_of(payment);
        // However the order came to be paid, by a button or by the operator, its money is here.
        if payment.refunding.is_some() {
            let is_late = plan.is_some_and(|plan| plan.has(Later::RefundLate));
            return Ok(if is_late { PaymentState::Refunded } else { PaymentState::Settled });
        }
        let Some(plan) = plan else { return Ok(PaymentState::Unknown) };
        Ok(match plan.first {
            First::Ok => PaymentState::Settled,
            First::Decline => PaymentState::Declined,
            _ if plan.has(Later::Settle) => PaymentState::Settled,
            _ if plan.has(Later::Decline) => PaymentState::Declined,
            _ if plan.has(Later::Late) && payment.has_ended => PaymentState::Settled,
            _ => PaymentState::Pending,
        })
    }

    /// `{"order": …, "event": …}`, signed by nobody: whoever knows an order may play its provider, for no money moves.
    fn webhook(&self, _headers: &HeaderMap, body: &[u8], _now: Timestamp) -> Result<Vec<PaymentEvent>, WebhookRefused> {
        let Played { order, event } = serde_json::from_slice(body).map_err(|_| {
            WebhookRefused("send {\"order\": ID, \"event\": EVENT}; for `settled` also \"amount\": MONEY")
        })?;
        let what = match event {
            Event::Settled { amount } => PaymentChange::Settled(amount),
            Event::Declined {} => PaymentChange::Declined,
            Event::Refunded {} => PaymentChange::Refunded,
            Event::Disputed {} => PaymentChange::Disputed,
            Event::DisputeWon {} => PaymentChange::DisputeWon,
            Event::ChargedBack {} => PaymentChange::ChargedBack,
        };
        Ok(vec![PaymentEvent::new(order, what)])
    }

    async fn refund(&self, payment: &Payment, _amount: Money) -> Result<RefundState, PaymentError> {
        Ok(match plan_of(payment) {
            Some(plan) if plan.has(Later::RefundRefused) => RefundState::Refused,
            Some(plan) if plan.has(Later::RefundLate) => RefundState::Pending,
            _ => RefundState::Done,
        })
    }
}

#[derive(Deserialize)]
struct Played {
    order: OrderId,
    #[serde(flatten)]
    event: Event,
}

#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Event {
    Settled { amount: Money },
    Declined {},
    Refunded {},
    Disputed {},
    DisputeWon {},
    ChargedBack {},
}
