//! Orders of electronic codes, from the payment to the acknowledged code. The states and their arrows are
//! [`CodeState::ARROWS`]; each method here that takes one is one conditional write under the lock of the account.

use super::{AccountPage, Holder, MerchantId, Page, StoreError};
use crate::ops::clock::Timestamp;
use async_trait::async_trait;
use portcullis_protocol::codes::{CodeState, Generation, Party, Quantity, SealedBytes};
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::{AccountId, CodeSerial, Digest, MerchantName, Money, OrderId, Product, TerminalId};

/// An order of codes.
#[derive(Debug, Clone)]
pub struct CodeOrder {
    /// Its identifier, which is that of its payment.
    pub id: OrderId,
    /// Whose.
    pub account: AccountId,
    /// Where it is delivered, if that is a terminal.
    pub terminal: Option<TerminalId>,
    /// Who delivers.
    pub merchant: MerchantId,
    /// Its name.
    pub merchant_name: MerchantName,
    /// What was ordered.
    pub product: Product,
    /// That, as the merchant signed it.
    pub product_compact: String,
    /// Its digest.
    pub product_digest: Digest,
    /// How many.
    pub quantity: Quantity,
    /// What was paid.
    pub amount: Money,
    /// The payment request.
    pub request: Option<Digest>,
    /// The key of the order; `None`: its terminal is to make it, and its merchant is told nothing before.
    pub recipient: Option<Octets<32>>,
    /// What its merchant was sent for this generation, once it is paid for.
    pub nonce: Option<Octets<32>>,
    /// Where it stands; `None`: it is not paid for.
    pub state: Option<CodeState>,
    /// Which sealing is wanted, or was accepted last.
    pub generation: Generation,
    /// Until when a code is taken, once it is paid for.
    pub deadline: Option<Timestamp>,
    /// What the merchant was answered for this generation.
    pub verification: Option<String>,
    /// What was accepted last. It stays in force until another sealing is accepted.
    pub accepted: Option<AcceptedCode>,
    /// Who disputes the code, beside whoever disputes the payment.
    pub complaint: Option<CodeComplaint>,
    /// Why its merchant declined it.
    pub reason: Option<String>,
    /// Whether its merchant is suspended, or goes on after that and has not been told of it yet: it does not fail then.
    pub is_held_up: bool,
    /// The terminal that the account's holder lets take it over.
    pub claimant: Option<TerminalId>,
    /// Since when it stands where it stands.
    pub changed: Timestamp,
}

impl CodeOrder {
    /// Whether the same code is to be sealed once more, for another terminal.
    #[must_use]
    pub fn waits_for_another_sealing(&self) -> bool {
        let is_sealed = self.accepted.as_ref().is_some_and(|accepted| accepted.generation == self.generation);
        !is_sealed && self.state.is_some_and(CodeState::may_be_sealed_again)
    }

    /// Whether its merchant has to seal a code, the first one or the same once more.
    #[must_use]
    pub fn waits_for_merchant(&self) -> bool {
        let waits = self.state.is_some_and(CodeState::waits_for_code) && !self.awaits_key();
        waits || self.waits_for_another_sealing()
    }

    /// Whether it was bought in a browser, and waits for the key of a terminal.
    #[must_use]
    pub fn awaits_key(&self) -> bool {
        self.state == Some(CodeState::Paid) && self.recipient.is_none()
    }

    /// Whether another terminal can take it over, if it may: there still is something to be delivered.
    #[must_use]
    pub fn may_move(&self) -> bool {
        let moves = |state: CodeState| state.waits_for_code() || state.may_be_sealed_again();
        self.state.is_none_or(moves) && !self.awaits_key()
    }

    /// What has to happen next, and who has to see to it; `None`: nothing.
    #[must_use]
    pub fn next(&self) -> Option<(Party, &'static str)> {
        if self.awaits_key() {
            return Some((Party::Buyer, "the preset terminal makes its key: `portcullis codes`"));
        }
        if self.is_held_up && self.waits_for_merchant() {
            return Some((Party::Operator, "its merchant is suspended: restore it, give it another key, or pay back"));
        }
        self.state?.next_of(self.accepted.as_ref().map(|accepted| accepted.generation), self.generation)
    }
}

/// Who disputes a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeComplaint {
    /// Its terminal, which cannot read it.
    Unreadable,
    /// Whoever took the order over: the code was not sealed once more in time.
    NotSealedAgain,
    /// The operator.
    Operator,
}

impl CodeComplaint {
    /// In the order of the column's numbers.
    pub(crate) const ALL: [Self; 3] = [Self::Unreadable, Self::NotSealedAgain, Self::Operator];

    /// What is disputed, for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unreadable => "the terminal cannot read the code",
            Self::NotSealedAgain => "the code was not sealed once more in time",
            Self::Operator => "noted by the operator",
        }
    }
}

/// A code that was accepted. It opens with the key of its order only.
#[derive(Debug, Clone)]
pub struct AcceptedCode {
    /// Which sealing.
    pub generation: Generation,
    /// The terminal that it is for.
    pub terminal: Option<TerminalId>,
    /// The key that it is sealed to.
    pub recipient: Octets<32>,
    /// The verification that it answers.
    pub verification: String,
    /// The digest of what was sealed.
    pub digest: Digest,
    /// What there is to deliver, until nobody fetches it any more.
    pub sealed: Option<SealedRecord>,
    /// When it was first handed to that terminal.
    pub delivered: Option<Timestamp>,
    /// When the first sealing was accepted.
    pub at: Timestamp,
}

/// A sealed code as it is delivered.
#[derive(Debug, Clone)]
pub struct SealedRecord {
    /// What the merchant signed.
    pub code: String,
    /// What was sealed.
    pub bytes: SealedBytes,
}

/// A sealed code, checked against its signature and its order.
#[derive(Debug, Clone)]
pub struct NewCode {
    /// The merchant that submits it.
    pub merchant: MerchantId,
    /// The order.
    pub order: OrderId,
    /// Which sealing.
    pub generation: Generation,
    /// The verification that it answers.
    pub verification: String,
    /// What the merchant signed.
    pub code: String,
    /// What was sealed.
    pub bytes: SealedBytes,
    /// The serials, if the codes can be redeemed here.
    pub serials: Vec<CodeSerial>,
}

/// What became of a step of an order. In each case the order is as it now stands.
#[derive(Debug, Clone)]
pub enum CodeStep {
    /// Taken now, or before and to the same effect.
    Taken(Box<CodeOrder>),
    /// The order does not stand where the step could be taken.
    Closed(Box<CodeOrder>),
    /// Something else was accepted before.
    Differs(Box<CodeOrder>),
    /// The account's holder has to say first that this terminal may have it.
    NotAllowed(Box<CodeOrder>),
    /// What is said does not fit the order.
    Mismatch,
    /// There is no such order, or it is somebody else's.
    Unknown,
}

/// Why no order of codes is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodesOffSale {
    /// The merchant is not approved.
    Merchant,
    /// The product is not sold on these terms.
    Product,
    /// The request has expired, or another order stands for it.
    Request,
    /// So many of them cost more than an amount can be.
    Amount,
    /// The merchant fails too often. An order may be taken again in so many seconds.
    Unavailable(u32),
    /// The terminal that was to make the key is not the one that the account has preset, or was revoked.
    Terminal,
    /// As many orders of the account as may wait for keys of its terminals.
    Waiting,
}

/// Why an order fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CodeFailure {
    /// The deadline of this sealing has passed.
    Late(Generation),
    /// It was bought in a browser and has no key: its buyer does not want it any more, or nothing can be given for it.
    Unkeyed,
    /// Its merchant has no code for it.
    Declined {
        /// The merchant that says so.
        merchant: MerchantId,
        /// Why, for the operator.
        reason: String,
    },
}

/// What happens to orders of codes beside the arrows of their states. The log has a word for each, and the tests of
/// crashes go through all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeMove {
    /// The terminal has made the key of what a browser bought.
    Keyed,
    /// The account's holder lets another terminal take it over.
    Allowed,
    /// Another terminal has it.
    Moved,
    /// The same code was sealed once more.
    SealedAgain,
    /// It was bought in a browser and ended before it had a key.
    Cancelled,
    /// Its merchant goes on after a suspension.
    MerchantRestored,
    /// The key of its merchant was stolen, and acts for nobody any more.
    MerchantKeyEnded,
    /// Another key takes the place of one that was stolen.
    MerchantKeyReplaced,
    /// An address was shown to be its merchant's.
    MerchantProven,
    /// The key of its merchant has named the next one.
    MerchantVouched,
}

impl CodeMove {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Keyed,
        Self::Allowed,
        Self::Moved,
        Self::SealedAgain,
        Self::Cancelled,
        Self::MerchantRestored,
        Self::MerchantKeyEnded,
        Self::MerchantKeyReplaced,
        Self::MerchantProven,
        Self::MerchantVouched,
    ];

    /// Its word in the log.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Keyed => "code order keyed",
            Self::Allowed => "code order allowed",
            Self::Moved => "code order moved",
            Self::SealedAgain => "code sealed again",
            Self::Cancelled => "code order cancelled",
            Self::MerchantRestored => "merchant restored",
            Self::MerchantKeyEnded => "merchant key ended",
            Self::MerchantKeyReplaced => "merchant key replaced",
            Self::MerchantProven => "merchant endpoint proven",
            Self::MerchantVouched => "merchant key changed",
        }
    }
}

/// What the operator decides of a disputed order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeDecision {
    /// There is a dispute.
    Dispute,
    /// The merchant keeps the money.
    Keep,
    /// The buyer has it back.
    Reverse,
}

/// Orders of codes.
#[async_trait]
pub trait CodeOrders {
    /// An order.
    async fn code_order(&self, order: &OrderId) -> Result<Option<CodeOrder>, StoreError>;

    /// The order of an account that stands for a payment request, or that is pending for it.
    async fn order_of_request(&self, account: &AccountId, request: &Digest) -> Result<Option<OrderId>, StoreError>;

    /// A page of the orders of an account that were paid for, newest first.
    async fn code_orders_of(&self, account: &AccountId, page: AccountPage) -> Result<Page<CodeOrder>, StoreError>;

    /// Orders that are not final, oldest first: of one merchant or of all, at most `limit` after the one given.
    async fn open_code_orders(
        &self,
        merchant: Option<&MerchantId>,
        after: Option<&OrderId>,
        limit: u32,
    ) -> Result<Vec<CodeOrder>, StoreError>;

    /// Answers the second interface with a verification of this generation and recipient, or with the one that was
    /// answered before.
    async fn verify_code_order(
        &self,
        order: &OrderId,
        generation: Generation,
        recipient: &Octets<32>,
        verification: String,
    ) -> Result<CodeStep, StoreError>;

    /// Accepts a sealed code, and credits the merchant in the same transaction; or replaces the sealing of an earlier
    /// generation.
    async fn accept_code(&self, code: NewCode) -> Result<CodeStep, StoreError>;

    /// Hands the sealed code to a terminal of the account.
    async fn deliver_code(&self, order: &OrderId, terminal: &TerminalId) -> Result<CodeStep, StoreError>;

    /// A terminal has opened and stored the code of this generation, or cannot read it.
    async fn acknowledge_code(
        &self,
        order: &OrderId,
        terminal: &TerminalId,
        generation: Generation,
        ciphertext: &Digest,
        readable: bool,
    ) -> Result<CodeStep, StoreError>;

    /// Moves an order to a terminal of its account, with a new key: to the one that has it, to the one that the account
    /// has preset, or to the one that its holder allows. [`CodeStep::Differs`]: a code is on its way.
    async fn move_code_order(
        &self,
        order: &OrderId,
        account: &AccountId,
        terminal: &TerminalId,
        recipient: &Octets<32>,
        first: bool,
    ) -> Result<CodeStep, StoreError>;

    /// The account's holder lets one of the account's terminals take an order over. [`CodeStep::Mismatch`]: there is no
    /// such terminal. `None`: his browser was signed out meanwhile.
    async fn allow_code_order(
        &self,
        order: &OrderId,
        holder: &Holder,
        terminal: &TerminalId,
    ) -> Result<Option<CodeStep>, StoreError>;

    /// Ends an order for which there will be no code, and begins to pay it back; one whose code was not sealed once
    /// more in time is disputed. One that is not late yet, or has its code, or whose merchant is suspended, stays as
    /// it is.
    async fn fail_code_order(&self, order: &OrderId, why: CodeFailure) -> Result<CodeStep, StoreError>;

    /// Goes on with telling a merchant anew of the orders that wait for it. Returns whether there are more.
    async fn catch_up_code_orders(&self, merchant: &MerchantId) -> Result<bool, StoreError>;

    /// Opens or decides a dispute. What is reversed is on its way back.
    async fn decide_code_order(&self, order: &OrderId, decision: CodeDecision) -> Result<CodeStep, StoreError>;
}
