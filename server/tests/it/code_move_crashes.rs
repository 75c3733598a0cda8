//! What happens to orders of codes beside the arrows of their states, while processes fail and die: on either side of
//! each write, and taken up again. [`CodeMove`] lists it; a new one that has no act here does not compile.

use crate::codes::{Shop, acknowledged, books, bought, fetched, found, new_merchant, opened};
use crate::merchant_changes::told;
use crate::world::{Machine, World, account, count, fresh, holder, open_core, signed_in};
use axum::Router;
use axum::http::StatusCode;
use portcullis_faulty::Faults;
use portcullis_protocol::codes::{CodeState, Quantity};
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::wire::{CodeSubmission, MerchantVouchRequest, PaymentMethod, RecipientRequest};
use portcullis_protocol::{AccountId, MerchantClaim, MerchantVouch, OrderId, ReleaseSecretKey, SecretKey, Verified};
use portcullis_server::billing::orders;
use portcullis_server::crypto::secrets::rng;
use portcullis_server::merchants::{self, delivery, registration};
use portcullis_server::ops::clock::Clock;
use portcullis_server::ops::faults::{Phase, Write};
use portcullis_server::store::{
    BrowserCodes, Buyer, CodeFailure, CodeMove, Merchant, MerchantDecision, MerchantOutcome, Ordered, PresetOutcome,
};
use portcullis_server::{Asker, Core, effects};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::process::Command;
use tokio::net::TcpListener;

/// Whatever makes a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Act {
    /// The preset terminal makes the key of what a browser bought.
    Key,
    /// The account's holder lets another terminal have it.
    Allow,
    /// Another terminal takes it over before its merchant has asked.
    MoveEarly,
    /// The same, once its code was sealed.
    MoveLate,
    /// The merchant seals the same code once more.
    SealAgain,
    /// The buyer does not want it any more.
    Cancel,
    /// The operator lets a suspended merchant go on.
    Restore,
    /// The operator ends a stolen key.
    EndKey,
    /// The merchant's account puts another key in.
    ReplaceKey,
    /// Another address is shown to be the merchant's.
    Prove,
    /// The merchant's key names its successor.
    Vouch,
}

impl Act {
    /// Whatever makes a move. A new move has to be placed here, or this does not compile.
    const fn of(happens: CodeMove) -> &'static [Self] {
        match happens {
            CodeMove::Keyed => &[Self::Key],
            CodeMove::Allowed => &[Self::Allow],
            CodeMove::Moved => &[Self::MoveEarly, Self::MoveLate],
            CodeMove::SealedAgain => &[Self::SealAgain],
            CodeMove::Cancelled => &[Self::Cancel],
            CodeMove::MerchantRestored => &[Self::Restore],
            CodeMove::MerchantKeyEnded => &[Self::EndKey],
            CodeMove::MerchantKeyReplaced => &[Self::ReplaceKey],
            CodeMove::MerchantProven => &[Self::Prove],
            CodeMove::MerchantVouched => &[Self::Vouch],
        }
    }

    const fn write(self) -> Write {
        match self {
            Self::Key | Self::MoveEarly | Self::MoveLate => Write::CodeMove,
            Self::Allow => Write::CodeAllow,
            Self::SealAgain => Write::CodeAccept,
            Self::Cancel => Write::CodeFail,
            Self::Restore | Self::EndKey => Write::MerchantDecide,
            Self::ReplaceKey => Write::MerchantClaim,
            Self::Prove => Write::MerchantProve,
            Self::Vouch => Write::MerchantVouch,
        }
    }

    /// Whether the order was bought in a browser and has no key when it happens.
    const fn is_in_browser(self) -> bool {
        matches!(self, Self::Key | Self::Cancel)
    }
}

/// What an act needs, in this process or in one that dies.
#[derive(Serialize, Deserialize)]
struct Plan {
    act: Act,
    order: OrderId,
    merchant: String,
    owner: AccountId,
    account: AccountId,
    webhook: String,
    /// The merchant's key, and the one that follows it.
    key: Vec<u8>,
    spare: Vec<u8>,
    /// The terminal that acts, and the key that it makes.
    terminal: Vec<u8>,
    token: String,
    recipient: Octets<32>,
    submission: Option<CodeSubmission>,
    vouch: Option<MerchantVouchRequest>,
    /// How far the clock is shifted, in seconds.
    shift: i64,
}

fn secret(seed: &[u8]) -> SecretKey {
    SecretKey::from_seed(&seed.try_into().expect("a seed"))
}

impl Plan {
    fn text(error: &dyn std::fmt::Display) -> String {
        error.to_string()
    }

    async fn merchant(&self, core: &Core) -> Merchant {
        let name = self.merchant.parse().expect("a name");
        core.store.merchant(&name).await.expect("read").expect("a merchant")
    }

    /// The merchant is read before the act, as by a request that has come in.
    async fn act(&self, core: &Core, asker: &Asker, merchant: &Merchant) -> Result<(), String> {
        let text = |error| Self::text(&error);
        let spare = secret(&self.spare);
        let key = |first| RecipientRequest { recipient: self.recipient, first };
        match self.act {
            Act::Key | Act::MoveEarly | Act::MoveLate => {
                let asked = key(self.act == Act::Key);
                let moved = delivery::relocate(core, asker, &self.order, &asked).await;
                moved.map(drop).map_err(|error| Self::text(&error))
            }
            Act::Allow => {
                let holder = holder(core, self.account).await;
                let allowed = core.store.allow_code_order(&self.order, &holder, asker.terminal()).await;
                allowed.map(drop).map_err(text)
            }
            Act::SealAgain => {
                let sealed = self.submission.clone().expect("sealed");
                let accepted = merchants::orders::submit(core, merchant, sealed).await;
                accepted.map(drop).map_err(|error| Self::text(&error))
            }
            Act::Cancel => core.store.fail_code_order(&self.order, CodeFailure::Unkeyed).await.map(drop).map_err(text),
            Act::Restore => {
                core.store.decide_merchant(&merchant.name, MerchantDecision::Restore).await.map(drop).map_err(text)
            }
            Act::EndKey => {
                let rekey = MerchantDecision::Rekey(spare.public().thumbprint());
                core.store.decide_merchant(&merchant.name, rekey).await.map(drop).map_err(text)
            }
            Act::ReplaceKey => {
                let new = new_merchant(core, &self.merchant, &spare, self.owner, &self.webhook);
                match core.store.claim_merchant(new).await {
                    Ok(MerchantOutcome::Claimed(_)) => Ok(()),
                    Ok(refused) => panic!("{refused:?}"),
                    Err(error) => Err(text(error)),
                }
            }
            Act::Prove => core.store.prove_merchant(&merchant.id, &merchant.webhook).await.map(drop).map_err(text),
            Act::Vouch => {
                let asked = self.vouch.as_ref().expect("signed");
                registration::vouch(core, merchant, asked).await.map_err(|error| Self::text(&error))
            }
        }
    }
}

/// Merchants whose endpoints answer, and their customers.
struct Trade {
    world: World,
    url: String,
    points: usize,
}

impl Trade {
    async fn new() -> Self {
        let world = World::new().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new().fallback(async || StatusCode::NO_CONTENT);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { world, url, points: 0 }
    }

    /// Does whatever is due.
    async fn settle(&self) {
        for _ in 0..3 {
            self.world.core.clock.advance(3);
            while effects::round(&self.world.core).await.expect("a round") > 0 {}
        }
    }

    /// An order without a key, bought in a browser.
    async fn in_browser(&self, shop: &Shop, machine: &Machine) -> OrderId {
        let core = &self.world.core;
        let holder = holder(core, machine.account).await;
        let preset = core.store.set_preset(&holder, Some(&machine.id)).await.expect("preset");
        assert!(matches!(preset, PresetOutcome::Changed | PresetOutcome::Same), "{preset:?}");
        let codes =
            BrowserCodes { product: shop.product, quantity: Quantity::ONE, request: None, terminal: machine.id };
        let payment = PaymentMethod { provider: "sandbox".into(), token: "ok".into() };
        let buyer = Buyer::Browser(holder);
        let placed = orders::place(core, buyer, Ordered::InBrowser(codes), payment, true, &fresh(&self.points)).await;
        placed.expect("ordered").order
    }

    /// One act, stopped at one point: by a failure, or by the death of its process.
    async fn stopped(&mut self, happens: CodeMove, act: Act, phase: Phase, kill: bool) {
        let point = format!("{}.{}", act.write().name(), phase.name());
        let what = format!("{act:?} at {point}");
        let (world, name) = (&self.world, format!("shop{}", self.points));
        let (core, store) = (&world.core, &world.core.store);
        let owner = account(core, &format!("{name}@example.org")).await;
        let mut shop = Shop::at(core, &name, owner, &format!("{}/hook", self.url)).await;
        let first = world.machine(&format!("a{}@example.org", self.points)).await;
        let second = world.machine_of(first.account).await;
        let account_of_merchant = format!("merchant:{name}");
        let places = ["provider:sandbox", "undelivered", &account_of_merchant, "refunds", "disputes"];
        let before = books(world, places).await;
        let (old, new, spare) = (
            ReleaseSecretKey::generate(&mut rng()),
            ReleaseSecretKey::generate(&mut rng()),
            SecretKey::generate(&mut rng()),
        );
        let id = if act.is_in_browser() {
            self.in_browser(&shop, &first).await
        } else {
            bought(world, &first, &shop, &old).await.id
        };
        // What comes before.
        let is_moved = matches!(act, Act::Allow | Act::MoveEarly | Act::MoveLate | Act::SealAgain);
        if matches!(act, Act::MoveLate | Act::SealAgain) {
            shop.deliver(core, &id).await.expect("delivered");
        }
        if is_moved && act != Act::Allow {
            let holder = holder(core, first.account).await;
            store.allow_code_order(&id, &holder, &second.id).await.expect("allowed");
        }
        let recipient = Octets(*new.public().as_bytes());
        let asked = RecipientRequest { recipient, first: false };
        let mut submission = None;
        if act == Act::SealAgain {
            delivery::relocate(core, &second.asker, &id, &asked).await.expect("moved");
            let verification = shop.verify(core, &found(world, &id).await).await.expect("verified");
            submission = Some(shop.seal(&verification, &[&format!("SECRET-CODE-OF-{id}")], Vec::new()));
        }
        if act == Act::Restore {
            store.decide_merchant(&shop.merchant.name, MerchantDecision::Suspend).await.expect("suspended");
        }
        if act == Act::ReplaceKey {
            let rekey = MerchantDecision::Rekey(spare.public().thumbprint());
            store.decide_merchant(&shop.merchant.name, rekey).await.expect("ended");
        }
        let webhook = format!("{}/{}", self.url, if act == Act::Prove { "other" } else { "hook" });
        if act == Act::Prove {
            let new = new_merchant(core, &name, &shop.key, owner, &webhook);
            store.claim_merchant(new).await.expect("claimed");
        }
        self.settle().await;
        let machine = if is_moved { &second } else { &first };
        let plan = Plan {
            act,
            order: id,
            merchant: name.clone(),
            owner,
            account: first.account,
            webhook: webhook.clone(),
            key: shop.key.to_seed().to_vec(),
            spare: spare.to_seed().to_vec(),
            terminal: machine.key.to_seed().to_vec(),
            token: machine.token.clone(),
            recipient,
            submission,
            vouch: (act == Act::Vouch).then(|| vouch(core, &shop, &spare)),
            shift: (core.clock.now().millis() - Clock::default().now().millis()) / 1000,
        };
        let known = plan.merchant(core).await;
        if kill {
            self.die(&plan, &point);
            core.clock.advance(4);
        } else {
            world.faults.arm(&point, false);
            let failed = plan.act(core, &machine.asker, &known).await;
            assert!(failed.is_err(), "{what}: {failed:?}");
            assert!(world.faults.have_struck(), "{what}: the point was not passed, and this proves nothing");
        }

        // Whoever was not answered asks again, and the server does what is due.
        let again = plan.act(core, &machine.asker, &known).await;
        assert!(again.is_ok(), "{what}: {again:?}");
        self.settle().await;
        let word = happens.word();
        let subject: String = match act {
            Act::Restore | Act::EndKey | Act::ReplaceKey | Act::Prove | Act::Vouch => hex(&known.id.0.0),
            _ => hex(id.as_bytes()),
        };
        let said = count(world, &format!("SELECT count(*) FROM log WHERE kind = '{word}' AND subject = x'{subject}'"));
        assert!(said >= 1, "{what}: `{word}` is not in the log");

        // And then it ends as it would have: with one code and one payment, or with neither.
        let core = &self.world.core;
        match act {
            Act::Cancel => {
                let order = found(&self.world, &id).await;
                assert_eq!((order.state, order.accepted.is_none()), (Some(CodeState::Refunded), true), "{what}");
                assert_eq!(books(&self.world, places).await, before, "{what}: it is paid back once");
                assert_eq!(said, 1, "{what}");
                self.points += 1;
                return;
            }
            Act::Allow => {
                delivery::relocate(core, &second.asker, &id, &asked).await.expect("moved");
            }
            Act::EndKey => {
                let replace = Plan { act: Act::ReplaceKey, ..plan };
                replace.act(core, &machine.asker, &known).await.expect("replaced");
            }
            _ => {}
        }
        if matches!(act, Act::EndKey | Act::ReplaceKey) {
            assert!(core.store.prove_merchant(&known.id, &known.webhook).await.expect("proven"));
        }
        if matches!(act, Act::EndKey | Act::ReplaceKey | Act::Vouch) {
            shop.key = spare;
        }
        shop.merchant = core.store.merchant(&known.name).await.expect("read").expect("a merchant");
        self.settle().await;
        let order = found(&self.world, &id).await;
        if matches!(act, Act::EndKey | Act::ReplaceKey | Act::Prove) {
            assert!(told(&self.world, &order, "order.paid") >= 1, "{what}: it is told at the address in use");
        }
        if act != Act::SealAgain {
            shop.deliver(core, &id).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        }
        let (has, key) = match act {
            Act::Key => (&first, &new),
            _ if is_moved => (&second, &new),
            _ => (&first, &old),
        };
        let got = fetched(&self.world, has, &id).await.delivery.unwrap_or_else(|| panic!("{what}: no delivery"));
        assert_eq!(opened(&got, core, &shop, key), format!("SECRET-CODE-OF-{id}"), "{what}");
        let order = found(&self.world, &id).await;
        delivery::acknowledge(core, &has.asker, &id, &acknowledged(&order, true)).await.expect("acknowledged");
        self.settle().await;
        let order = found(&self.world, &id).await;
        let generation = if matches!(act, Act::MoveLate | Act::SealAgain) { 2 } else { 1 };
        assert_eq!((order.state, order.generation.get()), (Some(CodeState::Acknowledged), generation), "{what}");
        let after = books(&self.world, places).await;
        let moved: Vec<i64> = after.iter().zip(before).map(|(after, before)| after - before).collect();
        assert_eq!(moved, [-2000, 0, 2000, 0, 0], "{what}: money without goods, or goods without money");
        let open = "SELECT count(*) FROM effects WHERE state IN (0, 1) AND kind = 'code-deadline'";
        assert_eq!(count(&self.world, open), 0, "{what}: nothing happens by itself any more");
        self.points += 1;
    }

    /// Has another process act on the same database, and die.
    fn die(&self, plan: &Plan, point: &str) {
        let folder = self.world.folder.path();
        std::fs::write(folder.join("move.json"), serde_json::to_vec(plan).expect("JSON")).expect("written");
        let died = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "code_move_crashes::child", "--ignored", "--nocapture", "--test-threads=1"])
            .env("CODE_MOVE_FOLDER", folder)
            .env("PORTCULLIS_FAULT", format!("{point}:kill"))
            .output()
            .expect("a child");
        assert!(died.status.code().is_none(), "{:?}: {point}: the child died by a signal: {died:?}", plan.act);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A key's word for the one that follows it.
fn vouch(core: &Core, shop: &Shop, spare: &SecretKey) -> MerchantVouchRequest {
    let Merchant { name, title, webhook, .. } = shop.merchant.clone();
    let iat = core.clock.now().seconds();
    let vouch = MerchantVouch { merchant: name.clone(), jwk: spare.public().clone(), seq: 1, iat };
    let claim = MerchantClaim { name, title, jwk: spare.public().clone(), origin: core.origin.clone(), webhook, iat };
    MerchantVouchRequest { vouch: shop.sign(vouch), claim: Verified::sign(claim, spare).compact().to_owned() }
}

/// The process that dies.
#[tokio::test]
#[ignore = "started by other tests"]
async fn child() {
    let Ok(folder) = std::env::var("CODE_MOVE_FOLDER") else { return };
    let folder = Path::new(&folder);
    let plan: Plan = serde_json::from_slice(&std::fs::read(folder.join("move.json")).expect("a plan")).expect("JSON");
    let clock = Clock::default();
    clock.advance(plan.shift);
    let core = open_core(folder, clock, Faults::from_env()).await;
    let asker = signed_in(&core, &secret(&plan.terminal), &plan.token).await.expect("signed in");
    let asker = asker.asker().expect("enrolled");
    let merchant = plan.merchant(&core).await;
    let survived = plan.act(&core, &asker, &merchant).await;
    panic!("the fault point was not passed: {survived:?}");
}

/// Every move, by everything that makes it.
async fn every_move(kill: bool, phases: &[Phase]) -> usize {
    let mut trade = Trade::new().await;
    let mut expected = 0;
    for happens in CodeMove::ALL {
        for act in Act::of(*happens) {
            for phase in phases {
                trade.stopped(*happens, *act, *phase, kill).await;
                expected += 1;
            }
        }
    }
    let by = if kill { "the death of its process" } else { "a failure" };
    println!("{} points: {} moves, each stopped by {by}", trade.points, CodeMove::ALL.len());
    assert_eq!(trade.points, expected);
    expected
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_that_fails_on_either_side_of_its_write_is_taken_up_again_and_nothing_is_lost_or_doubled() {
    let points = every_move(false, &Phase::ALL).await;
    assert!(points >= 33, "{points}: three for each of eleven acts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "slow: cargo xtask test --all"]
async fn a_process_that_is_killed_at_any_move_leaves_an_order_that_goes_on() {
    let points = every_move(true, &Phase::ALL).await;
    assert!(points >= 33, "{points}: three for each of eleven acts");
}
