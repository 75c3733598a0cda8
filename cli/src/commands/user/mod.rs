//! Verbs for users.

pub(crate) mod balance;
pub(crate) mod buy;
pub(crate) mod cancel;
pub(crate) mod codes;
pub(crate) mod grants;
pub(crate) mod install;
pub(crate) mod list;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod pay;
pub(crate) mod receipts;
pub(crate) mod redeem;
pub(crate) mod remove;
pub(crate) mod run;
pub(crate) mod search;
pub(crate) mod terminals;
pub(crate) mod top_up;
pub(crate) mod update;
pub(crate) mod whoami;

use clap::Subcommand;

use crate::context::Context;
use crate::failure::Outcome;

/// The verbs for users, in the order in which help and pages list them.
#[derive(Debug, Subcommand)]
pub(crate) enum User {
    Login(login::Login),
    Logout(logout::Logout),
    Whoami(whoami::Whoami),
    Terminals(terminals::Terminals),
    Search(search::Search),
    Install(install::Install),
    Buy(buy::Buy),
    Cancel(cancel::Cancel),
    Run(Box<run::Run>),
    Pay(pay::Pay),
    Codes(codes::ShowCodes),
    Redeem(redeem::Redeem),
    TopUp(top_up::TopUp),
    Balance(balance::Balance),
    List(list::List),
    Update(update::Update),
    Remove(remove::Remove),
    Grants(grants::Grants),
    Receipts(receipts::Receipts),
}

impl User {
    /// Does it. Returns the exit code.
    pub(crate) fn run(self, context: &Context) -> Outcome<u8> {
        match self {
            Self::Login(verb) => verb.run(context),
            Self::Logout(verb) => verb.run(context),
            Self::Whoami(verb) => verb.run(context),
            Self::Terminals(verb) => verb.run(context),
            Self::Search(verb) => verb.run(context),
            Self::Install(verb) => verb.run(context),
            Self::Buy(verb) => verb.run(context),
            Self::Cancel(verb) => verb.run(context),
            Self::Run(verb) => return verb.run(context),
            Self::Pay(verb) => verb.run(context),
            Self::Codes(verb) => verb.run(context),
            Self::Redeem(verb) => verb.run(context),
            Self::TopUp(verb) => verb.run(context),
            Self::Balance(verb) => verb.run(context),
            Self::List(verb) => verb.run(context),
            Self::Update(verb) => return verb.run(context),
            Self::Remove(verb) => verb.run(context),
            Self::Grants(verb) => verb.run(context),
            Self::Receipts(verb) => verb.run(context),
        }?;
        Ok(0)
    }
}
