//! The cycle and the vault, from inside a resource.

use crate::fixture::{Bench, Fixture, Rule, api, honest, pixels};
use portcullis_host::{Answer, Authorised, Consent, Error, Gatekeeper as _, Nonce, Progress, Prompt, Step, Terms};
use portcullis_protocol::{Reason, SignedManifest, Verified};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// `vault-error` as the guest passes it on from `read`.
const EXPIRED: u32 = 10 + 2;
/// The same from `open`.
const ENDED: u32 = 2;
const NO_SUCH_PART: u32 = 0;
const NOT_GRANTED: u32 = 1;

/// `refusal` as the guest passes it on from `request`: its place in `wit/types.wit`.
pub(crate) fn refused(reason: Reason) -> u32 {
    let types = include_str!("../../../wit/types.wit");
    let (_, variant) = types.split_once("variant refusal {").expect("the variant");
    let (cases, _) = variant.split_once('}').expect("its end");
    let mut cases = cases.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('/'));
    let place = cases.position(|case| case.split(['(', ',']).next() == Some(reason.code()));
    100 + u32::try_from(place.expect("a reason that has a case")).expect("few")
}

pub(crate) async fn ask(view: &Authorised, operation: &str, quantity: u32, nonce: &[u8]) -> u32 {
    let arguments = (operation.to_owned(), quantity, nonce.to_vec());
    let answer = view.call_typed::<(String, u32, Vec<u8>), (u32,)>(&api("ask"), arguments).await;
    answer.expect("a refusal is a value, never a trap").0
}

type Bytes = Result<Vec<u8>, u32>;

async fn read(view: &Authorised, part: &str, offset: u64, length: u32) -> Bytes {
    let arguments = (part.to_owned(), offset, length);
    let read = view.call_typed::<(String, u64, u32), (Bytes,)>(&api("read"), arguments).await;
    read.expect("an error is a value, never a trap").0
}

async fn take(view: &Authorised, operation: &str, part: &str, drop: bool) -> Bytes {
    let arguments = (operation.to_owned(), part.to_owned(), 0, 100, u32::from(drop));
    let taken = view.call_typed::<(String, String, u64, u32, u32), (Bytes,)>(&api("take"), arguments).await;
    taken.expect("an error is a value, never a trap").0
}

/// Agrees or not, and counts how often it was asked.
#[derive(Clone, Default)]
struct User {
    asked: Arc<AtomicU32>,
    agrees: bool,
    elsewhere: bool,
}

#[async_trait::async_trait]
impl Consent for User {
    async fn ask(&self, prompt: &Prompt<'_>) -> Answer {
        self.asked.fetch_add(1, Ordering::SeqCst);
        assert_eq!(prompt.offers.len(), 1, "shown with the signed offer");
        if !self.agrees {
            return prompt.decline();
        }
        let offer = &prompt.offers[0];
        if self.elsewhere {
            let mut changed = offer.document().clone();
            changed.title = "Cheaper".into();
            let key = portcullis_protocol::SecretKey::from_seed(&[1; 32]);
            return prompt.accept(&Verified::sign(changed, &key));
        }
        prompt.accept(offer)
    }
}

impl User {
    fn agreeing() -> Self {
        Self { agrees: true, ..Self::default() }
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_covered_operation_gives_the_held_grant_and_draws_nothing() {
    let user = User::agreeing();
    let bench = Bench::consenting(user.clone());
    let view = bench.view().await;
    assert_eq!(ask(&view, "view", 1, b"").await, 0);
    assert_eq!((bench.requests(), user.asked()), (1, 0));
    // A nonce always runs a new cycle, with the user's consent.
    assert_eq!(ask(&view, "view", 1, b"nonce").await, 0);
    assert_eq!((bench.requests(), user.asked()), (2, 1));
}

#[tokio::test]
async fn a_counted_grant_covers_no_more_than_its_uses() {
    let user = User::agreeing();
    let bench = Bench::consenting(user.clone());
    bench.signer.rule("view", Rule::Uses(2));
    let view = bench.resource.authorize_with("view", Terms::uses(2)).await.expect("authorised");
    assert_eq!(ask(&view, "view", 2, b"").await, 0);
    assert_eq!(bench.requests(), 1);
    assert_eq!(ask(&view, "view", 3, b"").await, 0);
    assert_eq!((bench.requests(), user.asked()), (2, 1));
}

#[tokio::test]
async fn a_free_operation_asks_nobody_and_its_part_can_be_read() {
    let user = User::default();
    let bench = Bench::consenting(user.clone());
    bench.signer.rule("extra", Rule::Timed(30));
    let view = bench.view().await;
    assert_eq!(take(&view, "extra", "bonus", false).await, Ok(b"bonus".to_vec()));
    assert_eq!(user.asked(), 0);
    // Under the free offer that was seen, so that a server on which it has ended draws nothing else.
    let free = bench.signer.offers(bench.resource.signed(), &"extra".parse().expect("a name")).await.expect("offers");
    assert_eq!(*bench.signer.accepted.lock().expect("offers"), [None, Some(free[0].digest())]);
}

/// How much is asked for is a number of the resource's choice, and nobody sees it: what is free could say everything
/// that the resource was lent.
#[tokio::test]
async fn a_free_operation_tells_its_store_nothing_by_how_much_is_asked_for() {
    let bench = Bench::consenting(User::default());
    bench.signer.rule("extra", Rule::Timed(30));
    let view = bench.view().await;
    for quantity in [7_654, 1, 1_000_000] {
        assert_eq!(ask(&view, "extra", quantity, b"").await, 0);
    }
    assert_eq!(*bench.signer.quantities.lock().expect("numbers"), [1; 4]);
    // The control: what is counted is asked for as the resource says, with its user's consent.
    let bench = Bench::consenting(User::agreeing());
    bench.signer.rule("locked", Rule::Uses(50));
    let view = bench.view().await;
    assert_eq!(ask(&view, "locked", 7, b"").await, 0);
    assert_eq!(*bench.signer.quantities.lock().expect("numbers"), [1, 7]);
}

#[tokio::test]
async fn a_priced_operation_needs_the_users_consent() {
    let user = User::default();
    let bench = Bench::consenting(user.clone());
    bench.signer.rule("locked", Rule::Timed(30));
    let view = bench.view().await;
    assert_eq!(take(&view, "locked", "secret", false).await, Err(refused(Reason::ConfirmationRequired)));
    assert_eq!((bench.requests(), user.asked()), (1, 1), "the server was not asked");

    let bench = Bench::consenting(User { elsewhere: true, ..User::agreeing() });
    bench.signer.rule("locked", Rule::Timed(30));
    let answer = take(&bench.view().await, "locked", "secret", false).await;
    assert_eq!(answer, Err(refused(Reason::ConfirmationRequired)), "an offer that was not shown is not accepted");

    let bench = Bench::consenting(User::agreeing());
    bench.signer.rule("locked", Rule::Timed(30));
    assert_eq!(take(&bench.view().await, "locked", "secret", false).await, Ok(b"secret".to_vec()));
}

#[tokio::test]
async fn by_default_nobody_consents() {
    let bench = Bench::new();
    bench.signer.rule("locked", Rule::Timed(30));
    assert_eq!(ask(&bench.view().await, "locked", 1, b"").await, refused(Reason::ConfirmationRequired));
}

#[tokio::test]
async fn refusals_of_the_server_are_values() {
    let bench = Bench::consenting(User::agreeing());
    let view = bench.view().await;
    assert_eq!(ask(&view, "locked", 1, b"").await, refused(Reason::PaymentRequired));
    for reason in [Reason::Offline, Reason::EntitlementExhausted, Reason::SeatsTaken, Reason::PackageInvalid] {
        bench.signer.rule("locked", Rule::No(reason));
        assert_eq!(ask(&bench.view().await, "locked", 1, b"").await, refused(reason));
    }
    bench.signer.rule("locked", Rule::Timed(30));
    assert_eq!(ask(&bench.view().await, "locked", 1, b"").await, 0);
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused_without_asking_anybody() {
    let bench = Bench::consenting(User::agreeing());
    let view = bench.view().await;
    assert_eq!(ask(&view, "nothing", 1, b"").await, refused(Reason::OperationUnknown));
    assert_eq!(ask(&view, "Not A Name", 1, b"").await, refused(Reason::OperationUnknown));
    assert_eq!(ask(&view, "locked", 0, b"").await, refused(Reason::BindingMismatch));
    assert_eq!(ask(&view, "locked", u32::MAX, b"").await, refused(Reason::BindingMismatch));
    assert_eq!(ask(&view, "locked", 1, &[0; 65]).await, refused(Reason::BindingMismatch));
    assert_eq!(bench.requests(), 1);
}

#[tokio::test]
async fn a_grant_for_another_operation_is_not_believed() {
    let bench = Bench::consenting(User::agreeing());
    bench.signer.rule("locked", Rule::Lie);
    let view = bench.view().await;
    let server_untrusted = refused(Reason::ServerUntrusted) + 100;
    assert_eq!(ask(&view, "locked", 1, b"").await, server_untrusted);
}

#[tokio::test]
async fn a_guest_that_asks_a_thousand_times_shows_three_prompts() {
    let user = User::default();
    let bench = Bench::consenting(user.clone());
    let view = bench.view().await;
    let nag = |times| {
        let view = &view;
        async move {
            let arguments = ("locked".to_owned(), times);
            view.call_typed::<(String, u32), (u32,)>(&api("nag"), arguments).await.expect("called").0
        }
    };
    assert_eq!(nag(1000).await, 1000);
    assert_eq!((user.asked(), bench.requests()), (3, 1));
    // Per call: the next one may ask again.
    assert_eq!(nag(1).await, 1);
    assert_eq!(user.asked(), 4);
}

#[tokio::test]
async fn a_guest_that_requests_without_end_starts_a_bounded_number_of_cycles() {
    let bench = Bench::new();
    bench.signer.rule("extra", Rule::Timed(30));
    let view = bench.view().await;
    let arguments = ("extra".to_owned(), 1000_u32);
    let refused = view.call_typed::<(String, u32), (u32,)>(&api("nag"), arguments).await.expect("called").0;
    assert_eq!((refused, bench.requests()), (1000 - 64, 1 + 64));
}

#[tokio::test]
async fn parts_are_read_by_range() {
    let view = Bench::new().view().await;
    let pixels = pixels();
    for (offset, length) in [(0, 10), (1_048_570, 20), (2_097_152, 1000), (2_621_430, 10)] {
        let read = read(&view, "pixels", offset, length).await.expect("read");
        assert_eq!(read, pixels[offset as usize..][..length as usize], "{offset} {length}");
    }
    assert_eq!(read(&view, "pixels", 2_621_435, 100).await, Ok(pixels[2_621_435..].to_vec()));
    assert_eq!(read(&view, "pixels", 2_621_440, 100).await, Ok(Vec::new()));
    assert_eq!(read(&view, "pixels", u64::MAX, u32::MAX).await, Ok(Vec::new()));
    assert_eq!(read(&view, "pixels", 0, u32::MAX).await.expect("read").len(), 1 << 20, "never more than 1 MiB");
}

#[tokio::test]
async fn parts_that_a_grant_does_not_release_stay_closed() {
    let bench = Bench::new();
    let view = bench.view().await;
    assert_eq!(read(&view, "nothing", 0, 1).await, Err(NO_SUCH_PART));
    assert_eq!(read(&view, "Not A Name", 0, 1).await, Err(NO_SUCH_PART));
    assert_eq!(read(&view, "secret", 0, 1).await, Err(NOT_GRANTED));
    assert_eq!(read(&view, "main", 0, 1).await, Err(NOT_GRANTED), "code is for the engine alone");
    bench.signer.rule("extra", Rule::Timed(30));
    assert_eq!(take(&view, "extra", "secret", false).await, Err(NOT_GRANTED));
    assert_eq!(take(&view, "extra", "bonus", false).await, Ok(b"bonus".to_vec()));
}

#[tokio::test]
async fn a_part_closes_with_its_grant() {
    let bench = Bench::new();
    bench.signer.rule("extra", Rule::Timed(30));
    let view = bench.view().await;
    assert_eq!(take(&view, "extra", "bonus", true).await, Err(EXPIRED), "the grant was dropped before reading");
    // A grant that is over at once and cannot be renewed without drawing.
    bench.signer.rule("extra", Rule::Timed(0));
    assert_eq!(take(&view, "extra", "bonus", false).await, Err(ENDED));
    bench.signer.rule("extra", Rule::Timed(30));
    assert_eq!(take(&view, "extra", "bonus", false).await, Ok(b"bonus".to_vec()));
}

#[tokio::test]
async fn a_damaged_part_is_refused_block_by_block() {
    let mut fixture = crate::fixture::Fixture::new();
    let at = fixture.file.len() - 1_000_000;
    fixture.file[at] ^= 1;
    let bench = Bench::of(&fixture, |builder| builder);
    let view = bench.view().await;
    let whole = read(&view, "pixels", 0, 100).await;
    assert_eq!(whole, Ok(pixels()[..100].to_vec()), "other blocks are sound");
    let damaged = read(&view, "pixels", 1_048_576, 1 << 20).await;
    assert_eq!(damaged.map(|bytes| bytes.len()), Err(10 + 3));
}

#[tokio::test]
async fn the_entry_grant_is_the_one_that_the_call_runs_under() {
    let view = Bench::new().view().await;
    let ((operation, document),): ((u32, u32),) = view.call_typed(&api("entry"), ()).await.expect("called");
    assert_eq!(operation as usize, "view".len());
    assert_eq!(document as usize, view.grant().compact().len());
}

#[tokio::test]
async fn a_nonce_is_repeated_and_such_a_grant_is_not_renewed() {
    let bench = Bench::new();
    let terms = {
        let mut terms = Terms::default();
        terms.nonce = Nonce::new(b"mine".to_vec()).expect("a nonce");
        terms
    };
    let view = bench.resource.authorize_with("view", terms).await.expect("authorised");
    assert_eq!(view.grant().document().nonce.as_bytes(), b"mine");
    assert_eq!(honest(&view).await.expect("called"), 5);
    bench.pass(40).await;
    assert!(matches!(honest(&view).await, Err(Error::Ended(_))));
}

/// Notes what the resource was refused.
#[derive(Clone, Default)]
struct Refusals(Arc<Mutex<Vec<String>>>);

impl Progress for Refusals {
    fn step(&self, _: &SignedManifest, step: Step<'_>) {
        let noted = match step {
            Step::OperationRefused { operation, refused } => format!("{operation}: {}", refused.reason),
            Step::PartRefused { part, cause } => format!("{part}: {cause:?}"),
            _ => return,
        };
        self.0.lock().expect("refusals").push(noted);
    }
}

#[tokio::test]
async fn whoever_watches_is_told_what_a_resource_was_refused() {
    let refusals = Refusals::default();
    let bench = Bench::of(&Fixture::new(), |builder| builder.progress(refusals.clone()));
    let view = bench.view().await;
    ask(&view, "vieww", 1, b"").await;
    ask(&view, "No\u{1b}[2J Name", 1, b"").await;
    ask(&view, "view", 0, b"").await;
    assert_eq!(read(&view, "ful", 0, 10).await, Err(NO_SUCH_PART));
    assert_eq!(read(&view, "secret", 0, 10).await, Err(NOT_GRANTED));
    // What is granted is told to nobody.
    assert_eq!(ask(&view, "view", 1, b"").await, 0);
    read(&view, "pixels", 0, 10).await.expect("granted");
    let expected = [
        "vieww: operation-unknown",
        "No[2J Name: operation-unknown",
        "view: binding-mismatch",
        "ful: NoSuchPart",
        "secret: NotGranted",
    ];
    assert_eq!(*refusals.0.lock().expect("refusals"), expected);
}
