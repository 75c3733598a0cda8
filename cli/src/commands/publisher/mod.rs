//! Verbs for publishers.

pub(crate) mod build;
pub(crate) mod change_key;
pub(crate) mod dev;
pub(crate) mod gift;
pub(crate) mod inspect;
pub(crate) mod keygen;
pub(crate) mod merchant;
pub(crate) mod new;
pub(crate) mod ownership;
pub(crate) mod price;
pub(crate) mod publish;
pub(crate) mod seal;
pub(crate) mod verify;
pub(crate) mod withdraw;

use clap::Subcommand;

use crate::context::Context;
use crate::failure::Outcome;

/// The verbs for publishers, in the order in which help and pages list them.
#[derive(Debug, Subcommand)]
pub(crate) enum Publisher {
    New(new::New),
    Build(build::Build),
    Dev(dev::Dev),
    Keygen(keygen::Keygen),
    ChangeKey(change_key::ChangeKey),
    Seal(seal::Seal),
    Inspect(inspect::Inspect),
    Verify(verify::Verify),
    Publish(publish::Publish),
    Price(price::Price),
    Gift(gift::Gift),
    Merchant(merchant::SellCodes),
    Withdraw(withdraw::Withdraw),
    Restore(withdraw::Restore),
}

impl Publisher {
    /// Does it. Returns the exit code.
    pub(crate) fn run(self, context: &Context) -> Outcome<u8> {
        match self {
            Self::New(verb) => verb.run(context),
            Self::Build(verb) => verb.run(context),
            Self::Dev(verb) => verb.run(context),
            Self::Keygen(verb) => verb.run(context),
            Self::ChangeKey(verb) => verb.run(context),
            Self::Seal(verb) => verb.run(context),
            Self::Inspect(verb) => verb.run(context),
            Self::Verify(verb) => verb.run(context),
            Self::Publish(verb) => verb.run(context),
            Self::Price(verb) => verb.run(context),
            Self::Gift(verb) => verb.run(context),
            Self::Merchant(verb) => return verb.run(context),
            Self::Withdraw(verb) => verb.run(context),
            Self::Restore(verb) => verb.run(context),
        }?;
        Ok(0)
    }
}
