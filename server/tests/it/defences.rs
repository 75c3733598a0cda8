//! Defences that another one stands behind, each by itself: what is refused is refused by the write that decides, in
//! words that its caller understands, and not by a constraint that happens to be in the way.

use crate::metered::{accepted, metered, purse, top_up};
use crate::world::{World, account, fresh, now_ms};
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::{AccountId, CodeBinding, CodeId, GrantId, Money, PairwiseId};
use portcullis_server::billing::entitlement::{Draw, Holding};
use portcullis_server::crypto::secrets::{TokenRole, new_token, random, rng};
use portcullis_server::store::{
    AuthoriseOutcome, ChangedBy, NewAuthorisation, NewGrant, NewPassword, NewWebSession, VerifyOutcome,
};

#[tokio::test]
async fn a_code_is_consumed_once_by_the_write_itself() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let request = world.ask("preview", 1);
    let code = world.authorise(&machine, &request).await.expect("free").code.id();
    let facts = world.core.store.resource(&world.resource).await.expect("read").expect("there");
    let grant = |number: u8| NewGrant {
        id: GrantId::generate(now_ms(), &mut rng()),
        code,
        account: machine.account,
        terminal: machine.id,
        resource: world.resource,
        publisher: facts.publisher,
        operation: request.operation.clone(),
        pairwise: PairwiseId::from_bytes([7; 16]),
        draw: Draw::Nothing,
        rests_on: Holding::default(),
        begins: None,
        supersedes: false,
        compact: format!("grant {number}"),
        nonce: Octets(random()),
        keys: "[]".into(),
        expires: world.core.clock.now().plus(300),
        replaces: None,
        request: fresh(&number),
    };
    assert!(matches!(world.core.store.verify(grant(1)).await, Ok(VerifyOutcome::Granted)));
    let again = world.core.store.verify(grant(2)).await;
    assert!(matches!(again, Ok(VerifyOutcome::Changed)), "{again:?}");
}

#[tokio::test]
async fn money_is_held_to_the_last_unit_and_not_one_further_by_the_write_itself() {
    let world = metered("0.02 EUR").await;
    let machine = world.machine("ada@example.org").await;
    top_up(&world, &machine, "0.06 EUR").await;
    let request = accepted(&world, 1).await;
    let offer = request.offer.expect("accepted");
    let hold = async |minor_units: i64, account: AccountId| {
        let currency = "0.01 EUR".parse::<Money>().expect("money").currency();
        let cost = Money::new(minor_units, currency).expect("money");
        let new = NewAuthorisation {
            code: CodeId::generate(now_ms(), &mut rng()),
            account,
            terminal: machine.id,
            binding: CodeBinding::of(&machine.account, &machine.id, &request),
            resource: request.resource,
            operation: request.operation.clone(),
            rights: portcullis_protocol::Rights::Metered {},
            draw: Draw::Money { offer, cost },
            quantity: 1,
            life: 30,
            request: fresh(&minor_units),
        };
        world.core.store.authorise(new).await
    };
    let beyond = hold(7, machine.account).await;
    assert!(matches!(beyond, Ok(AuthoriseOutcome::Changed)), "{beyond:?}");
    assert!(matches!(hold(2, machine.account).await, Ok(AuthoriseOutcome::Held { .. })));
    let beyond = hold(5, machine.account).await;
    assert!(matches!(beyond, Ok(AuthoriseOutcome::Changed)), "{beyond:?}");
    assert!(matches!(hold(4, machine.account).await, Ok(AuthoriseOutcome::Held { .. })), "exactly what is left");
    assert_eq!(purse(&world.core, &machine).await, (6, 6));
    let beyond = hold(1, machine.account).await;
    assert!(matches!(beyond, Ok(AuthoriseOutcome::Changed)), "{beyond:?}");
}

/// Whoever typed the old password, while another browser was changing it, is not signed in by it.
#[tokio::test]
async fn a_browser_session_begins_under_the_password_that_is_the_accounts_still() {
    let world = World::new().await;
    let store = &world.core.store;
    let ada = account(&world.core, "ada@example.org").await;
    let matched = store.account(&ada).await.expect("read").expect("there").password;
    let begin = async |password: &str| {
        let token = world.core.secrets.hash_token(TokenRole::Web, &new_token());
        let session = NewWebSession { token, account: ada, password: password.to_owned(), life: 600 };
        store.create_web_session(session).await.expect("asked")
    };
    assert!(begin(&matched).await, "the control");
    let other = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$another-hash-of-nothing".to_owned();
    let change = NewPassword { account: ada, password: other.clone(), by: ChangedBy::Operator };
    assert!(store.set_password(change).await.expect("changed"));
    assert!(!begin(&matched).await, "the password that was matched is the old one");
    assert!(begin(&other).await);
    store.set_suspended(&ada, true).await.expect("suspended");
    assert!(!begin(&other).await);
    assert!(store.browser_sessions(&ada, None).await.expect("read").is_empty(), "nobody is signed in");
}
