//! The attack suite: every attack of `docs/threats.md` as a working exploit, each with the control that shows it would
//! work if nothing stopped it, or that the honest request beside it succeeds.
//!
//! ```text
//!  format    bytes of a sealed file, changed             specimen: a sealed resource and its keys
//!  loading   what reaches an engine or a terminal        plain: an engine without Portcullis
//!  bodies    what costs too much, or could never run
//!  publisher_keys  a publisher's key that was replaced
//!  cycle     requests, codes, answers, money, crashes    shop: a real server with something to sell
//!  unpaid    orders that are given up
//!  guests    bodies that misbehave                       cheater: a terminal that sends whatever it likes
//!  screen    what is written to a terminal and typed     pty: a real terminal, with an emulator
//!  waits     bodies that wait for what never comes       meddler: somebody between a real terminal and its server
//!  distrust  one trusted store against another
//!  accounts  people, passwords, sign-ins
//!  browsing  the pages, in a real browser
//!  cookies   what a browser keeps: sessions, messages, pages
//!  storefront  what publishers write and draw            vendor: a publisher of small resources
//!  buying    a person who buys in a browser
//!  bills     who is handed records of bills             mailbox: signed mails and who has them
//!  mails     mail that is not what it says
//!  notices   webhooks and events
//!  merchants  electronic codes
//!  redemptions  redemption codes
//!  secrets   what a run leaves behind
//! ```
//!
//! An attack counts as refused only where the refusal is the one that its defence gives; refused for another reason, it
//! has shown nothing and counts as succeeded. An attack without a passing control is a failure.

mod accounts;
mod arena;
#[cfg(unix)]
mod bills;
mod bodies;
mod browsing;
mod buying;
mod cheater;
mod codes;
mod cookies;
mod crash;
mod cycle;
mod distrust;
mod format;
mod guests;
mod hostile;
mod impostor;
mod kept;
mod load;
mod loading;
mod mails;
mod meddler;
mod merchants;
mod metered;
mod money;
mod notices;
mod publisher_keys;
mod purchases;
mod redemptions;
#[cfg(unix)]
mod screen;
mod secrets;
mod shop;
mod site;
mod slots;
mod specimen;
mod storefront;
mod surgery;
mod trial;
mod unpaid;
mod waits;
mod withdrawal;

pub use arena::Arena;
pub use trial::{Outcome, Trial};

use anyhow::Result;
use futures::future::LocalBoxFuture;
use serde::Serialize;
use std::time::Instant;

/// How an attack is run.
type Run = for<'a> fn(&'a mut Arena) -> LocalBoxFuture<'a, Result<Outcome>>;

/// An attack.
#[derive(Clone, Copy)]
pub struct Attack {
    /// What it does; the name in `docs/threats.md`.
    pub name: &'static str,
    run: Run,
}

/// What became of one attack.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The attack.
    pub name: &'static str,
    /// Whether everything it tried was refused, for the reason that its defence gives.
    pub attack_refused: bool,
    /// Whether its controls passed.
    pub control_passed: bool,
    /// The refusals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// What was tried, and how it ended.
    pub detail: String,
    /// How long it took.
    pub seconds: f64,
}

/// All attacks, in the order of `docs/threats.md`. The last one looks at what the others left behind.
#[must_use]
pub fn all() -> Vec<Attack> {
    [
        format::ATTACKS,
        loading::ATTACKS,
        withdrawal::ATTACKS,
        bodies::ATTACKS,
        publisher_keys::ATTACKS,
        cycle::ATTACKS,
        codes::ATTACKS,
        money::ATTACKS,
        metered::ATTACKS,
        purchases::ATTACKS,
        unpaid::ATTACKS,
        load::ATTACKS,
        crash::ATTACKS,
        slots::ATTACKS,
        guests::ATTACKS,
        waits::ATTACKS,
        distrust::ATTACKS,
        kept::ATTACKS,
        #[cfg(unix)]
        screen::ATTACKS,
        accounts::ATTACKS,
        browsing::ATTACKS,
        cookies::ATTACKS,
        storefront::ATTACKS,
        buying::ATTACKS,
        #[cfg(unix)]
        bills::ATTACKS,
        mails::ATTACKS,
        notices::ATTACKS,
        merchants::ATTACKS,
        redemptions::ATTACKS,
        secrets::ATTACKS,
    ]
    .concat()
}

impl Attack {
    /// Runs it. An exploit that breaks down has refused nothing and passed nothing.
    pub async fn run(&self, arena: &mut Arena) -> Report {
        let begun = Instant::now();
        let outcome = (self.run)(arena).await.unwrap_or_else(|error| Outcome {
            attack_refused: false,
            control_passed: false,
            refusal: None,
            detail: format!("the exploit broke down: {error:#}"),
        });
        let Outcome { attack_refused, control_passed, refusal, detail } = outcome;
        let seconds = begun.elapsed().as_secs_f64();
        Report { name: self.name, attack_refused, control_passed, refusal, detail, seconds }
    }
}

/// The table of a group: names, and the functions of the same names.
macro_rules! attacks {
    ($($name:literal => $run:path,)*) => {
        pub(super) const ATTACKS: &[$crate::attacks::Attack] =
            &[$($crate::attacks::Attack { name: $name, run: |arena| Box::pin($run(arena)) },)*];
    };
}
use attacks;
