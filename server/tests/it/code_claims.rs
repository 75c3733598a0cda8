//! Who may take an order of codes over: an account's terminals do not have by themselves what others of them bought.

use crate::codes::{Shop, acknowledged, bought, fetched, found, opened};
use crate::database::Of;
use crate::world::{Machine, World, holder, reason};
use portcullis_protocol::codes::{CodeState, Generation};
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::wire::{RecipientAnswer, RecipientRequest};
use portcullis_protocol::{OrderId, Reason, ReleaseSecretKey};
use portcullis_server::ServiceError;
use portcullis_server::crypto::secrets::rng;
use portcullis_server::merchants::{self, delivery};
use portcullis_server::store::{CodeStep, PresetOutcome};

/// Has an order delivered to a terminal, under a key of its own.
async fn claim(
    world: &World,
    machine: &Machine,
    order: &OrderId,
    key: &ReleaseSecretKey,
) -> Result<RecipientAnswer, ServiceError> {
    let to = RecipientRequest { recipient: Octets(*key.public().as_bytes()), first: false };
    delivery::relocate(&world.core, &machine.asker, order, &to).await
}

/// How often a terminal was told that an order has moved.
fn told_of_move(world: &World, machine: &Machine) -> i64 {
    let sql = "SELECT count(*) FROM events WHERE receiver = ?1 AND type = 'code.moved'";
    world.database().number(sql, &[Of::Blob(machine.id.as_bytes())])
}

/// The ways of an order until it arrives: a terminal that was planted takes it over at none of them.
#[tokio::test]
async fn another_terminal_of_the_account_takes_an_order_over_only_if_the_holder_of_the_account_says_so() {
    let world = World::new().await;
    let (shop, own) = (Shop::new(&world.core, "games").await, world.machine("ada@example.org").await);
    let (planted, stranger) = (world.machine_of(own.account).await, world.machine("eve@example.org").await);
    let (old, new) = (ReleaseSecretKey::generate(&mut rng()), ReleaseSecretKey::generate(&mut rng()));
    let store = &world.core.store;
    let (owner, theirs) = (holder(&world.core, own.account).await, holder(&world.core, stranger.account).await);
    for (what, generation) in [("paid", 1), ("verified", 1), ("code received", 2), ("delivered", 2)] {
        let order = bought(&world, &own, &shop, &old).await;
        if what != "paid" {
            let verification = shop.verify(&world.core, &order).await.expect("verified");
            if what != "verified" {
                shop.submit(&world.core, shop.seal(&verification, &["CODE"], Vec::new())).await.expect("accepted");
            }
            if what == "delivered" {
                fetched(&world, &own, &order.id).await;
            }
        }
        let (before, moves) = (found(&world, &order.id).await, told_of_move(&world, &own));
        let refused = claim(&world, &planted, &order.id, &new).await;
        let Err(ServiceError::Refused(no)) = refused else { panic!("{what}: {refused:?}") };
        assert_eq!(no.reason, Reason::ConfirmationRequired, "{what}");
        let why = no.detail.unwrap_or_default();
        assert!(why.contains(&format!("/account/orders/{}", order.id)), "it says where: {why}");
        let after = found(&world, &order.id).await;
        assert_eq!(
            (after.terminal, after.recipient, after.generation, after.nonce),
            (before.terminal, before.recipient, before.generation, before.nonce),
            "{what}: nothing was changed"
        );
        assert_eq!(told_of_move(&world, &own), moves, "{what}");
        // Somebody else's account and terminal say nothing.
        let foreign = store.allow_code_order(&order.id, &theirs, &stranger.id).await.expect("answered");
        assert!(matches!(foreign, Some(CodeStep::Unknown)), "{what}: {foreign:?}");
        let foreign = store.allow_code_order(&order.id, &owner, &stranger.id).await.expect("answered");
        assert!(matches!(foreign, Some(CodeStep::Mismatch)), "{what}: {foreign:?}");

        // The control: its holder says so, for this order and this terminal.
        let allowed = store.allow_code_order(&order.id, &owner, &planted.id).await.expect("answered");
        assert!(matches!(allowed, Some(CodeStep::Taken(_))), "{what}: {allowed:?}");
        let moved = claim(&world, &planted, &order.id, &new).await;
        if what == "verified" {
            assert_eq!(reason(moved), Reason::RateLimited, "a code is on its way");
            continue;
        }
        assert_eq!(moved.expect("moved").generation, Generation::new(generation).expect("a number"), "{what}");
        assert_eq!(told_of_move(&world, &own), moves + 1, "{what}: whoever had it is told");
        // An operator who has to decide sees that the first sealing was handed out.
        let accepted = found(&world, &order.id).await.accepted;
        assert_eq!(accepted.and_then(|accepted| accepted.delivered).is_some(), what == "delivered", "{what}");
        // It was said once, and for that terminal.
        assert_eq!(reason(claim(&world, &own, &order.id, &old).await), Reason::ConfirmationRequired, "{what}");
        // The same again, after a lost answer.
        assert!(claim(&world, &planted, &order.id, &new).await.is_ok(), "{what}");
    }
}

/// Any terminal of an account revokes any other, so that a revocation says nothing about who may have what.
#[tokio::test]
async fn revoking_the_terminal_that_has_an_order_is_no_way_to_its_code() {
    let world = World::new().await;
    let (shop, own) = (Shop::new(&world.core, "games").await, world.machine("ada@example.org").await);
    let planted = world.machine_of(own.account).await;
    let (old, new) = (ReleaseSecretKey::generate(&mut rng()), ReleaseSecretKey::generate(&mut rng()));
    let order = bought(&world, &own, &shop, &old).await;
    shop.deliver(&world.core, &order.id).await.expect("delivered");
    assert!(world.core.store.revoke_terminal(&own.account, &own.id).await.expect("revoked"));
    assert_eq!(reason(claim(&world, &planted, &order.id, &new).await), Reason::ConfirmationRequired);
    // The control: the terminal that the account has preset, which takes the password, needs nothing more.
    let owner = holder(&world.core, own.account).await;
    let preset = world.core.store.set_preset(&owner, Some(&planted.id)).await;
    assert_eq!(preset, Ok(PresetOutcome::Changed));
    claim(&world, &planted, &order.id, &new).await.expect("moved");
    let order = found(&world, &order.id).await;
    let verification = shop.verify(&world.core, &order).await.expect("verified");
    shop.submit(&world.core, shop.seal(&verification, &["CODE"], Vec::new())).await.expect("accepted");
    let got = fetched(&world, &planted, &order.id).await.delivery.expect("a delivery");
    assert_eq!(opened(&got, &world.core, &shop, &new), "CODE");
}

/// What is over, or has no key yet, is nobody's to allow; a terminal that was revoked after it was chosen has nothing.
#[tokio::test]
async fn nothing_is_allowed_of_an_order_that_is_over_nor_to_a_terminal_that_is_revoked() {
    let world = World::new().await;
    let (shop, own) = (Shop::new(&world.core, "games").await, world.machine("ada@example.org").await);
    let next = world.machine_of(own.account).await;
    let (old, new) = (ReleaseSecretKey::generate(&mut rng()), ReleaseSecretKey::generate(&mut rng()));
    let (store, owner) = (&world.core.store, holder(&world.core, own.account).await);
    let over = bought(&world, &own, &shop, &old).await;
    shop.deliver(&world.core, &over.id).await.expect("delivered");
    let said = acknowledged(&found(&world, &over.id).await, true);
    delivery::acknowledge(&world.core, &own.asker, &over.id, &said).await.expect("heard");
    let declined = bought(&world, &own, &shop, &old).await;
    merchants::orders::decline(&world.core, &shop.merchant, &declined.id, "").await.expect("declined");
    for order in [&over.id, &declined.id] {
        let closed = store.allow_code_order(order, &owner, &next.id).await.expect("answered");
        assert!(matches!(closed, Some(CodeStep::Closed(_))), "{closed:?}");
        assert_eq!(reason(claim(&world, &next, order, &new).await), Reason::OrderClosed, "and says so");
    }
    let open = bought(&world, &own, &shop, &old).await;
    store.allow_code_order(&open.id, &owner, &next.id).await.expect("allowed");
    assert!(store.revoke_terminal(&own.account, &next.id).await.expect("revoked"));
    let claimed = claim(&world, &next, &open.id, &new).await;
    assert!(matches!(claimed, Err(ServiceError::NotFound)), "{claimed:?}");
    let allowed = store.allow_code_order(&open.id, &owner, &next.id).await.expect("answered");
    assert!(matches!(allowed, Some(CodeStep::Mismatch)), "{allowed:?}");
    assert_eq!(found(&world, &open.id).await.state, Some(CodeState::Paid));
}
