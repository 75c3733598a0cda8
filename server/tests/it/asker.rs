//! Who may ask: tokens, terminals, accounts, and what happens to a request that was let in a moment too early.

use crate::world::{World, reason, signed_in};
use portcullis_protocol::Reason;
use portcullis_server::billing::cycle;

#[tokio::test]
async fn a_revoked_terminal_and_a_suspended_account_are_shut_out_at_once() {
    let world = World::new().await;
    let (one, two) = (world.machine("ada@example.org").await, world.machine("eve@example.org").await);
    let request = world.ask("preview", 1);
    let code = world.authorise(&one, &request).await.expect("held");
    let unspent = world.authorise(&two, &request).await.expect("held");
    let answer = world.verify(&one, &request, &code).await.expect("granted");
    let grant = world.open(&one, request.clone(), &code, answer).grant.document().jti;

    assert!(world.core.store.revoke_terminal(&one.account, &one.id).await.expect("revoked"));
    assert!(world.core.store.set_suspended(&two.account, true).await.expect("suspended"));

    let asked = signed_in(&world.core, &one.key, &one.token).await.expect("the token is good");
    assert_eq!(reason(asked.asker()), Reason::TerminalRevoked);
    let asked = signed_in(&world.core, &two.key, &two.token).await.expect("the token is good");
    assert_eq!(reason(asked.asker()), Reason::AccountSuspended);

    // A request that was let in a moment before: the transaction sees what has changed.
    assert_eq!(reason(world.authorise(&one, &request).await), Reason::TerminalRevoked);
    assert_eq!(reason(world.verify(&two, &request, &unspent).await), Reason::AccountSuspended);
    assert_eq!(reason(cycle::redeliver(&world.core, &one.asker, &grant).await), Reason::EntitlementRevoked);

    assert!(world.core.store.set_suspended(&two.account, false).await.expect("restored"));
    world.verify(&two, &request, &unspent).await.expect("the control");
    let asked = signed_in(&world.core, &two.key, &two.token).await.map(|_| ());
    assert_eq!(reason(asked), Reason::NotSignedIn, "restored, it has to sign in again");
}

#[tokio::test]
async fn a_token_serves_no_other_key() {
    let world = World::new().await;
    let (one, two) = (world.machine("ada@example.org").await, world.machine("eve@example.org").await);
    assert_eq!(reason(signed_in(&world.core, &two.key, &one.token).await.map(|_| ())), Reason::NotSignedIn);
    assert_eq!(reason(signed_in(&world.core, &one.key, &one.refresh).await.map(|_| ())), Reason::NotSignedIn);
    assert!(signed_in(&world.core, &one.key, &one.token).await.is_ok());
    world.core.clock.advance(3601);
    assert_eq!(reason(signed_in(&world.core, &one.key, &one.token).await.map(|_| ())), Reason::NotSignedIn);
}
