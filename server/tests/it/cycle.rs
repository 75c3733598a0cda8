//! The cycle on a real SQLite file. Each attack stands beside the honest request it imitates.

use crate::world::{World, count, fresh, keyed, reason};
use portcullis_protocol::encoding::{BoundedOctets, Octets};
use portcullis_protocol::limits::{MAX_QUANTITY, STATUS_CODE_LIFE};
use portcullis_protocol::wire::{AuthorisationRequest, OrderState, VerificationRequest};
use portcullis_protocol::{Digest, GrantId, Reason, Rights};
use portcullis_server::billing::entitlement::Draw;
use portcullis_server::billing::{cycle, orders};
use portcullis_server::store::{AccountPage, AuthoriseOutcome, GrantState, NewAuthorisation};
use portcullis_server::{Core, ServiceError};
use std::collections::BTreeSet;

#[tokio::test]
async fn who_has_paid_gets_the_key_and_who_has_not_gets_the_offers() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;

    let opened = world.run(&machine, "preview").await.expect("free");
    assert_eq!(opened.keys[0].1, world.file_keys[1].1, "the preview opens its own part");

    let refusal = match world.run(&machine, "view").await {
        Err(ServiceError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    assert_eq!(refusal.reason, Reason::PaymentRequired);
    let offer = &refusal.offers[0];
    assert_eq!(offer.document().price.to_string(), "4.99 EUR");
    assert_eq!(offer.digest(), world.offer("view").await.1, "what is signed is what is accepted");

    assert_eq!(world.buy(&machine, "view").await.state, OrderState::Paid);
    let opened = world.run(&machine, "view").await.expect("paid");
    assert_eq!(opened.keys[0].1, world.file_keys[0].1);
    let grant = opened.grant.document();
    assert_eq!((grant.exp - grant.iat, grant.run_max, grant.limits.uses), (30, 60, None));

    // What one bought, another did not.
    let other = world.machine("eve@example.org").await;
    assert_eq!(reason(world.run(&other, "view").await), Reason::PaymentRequired);
}

#[tokio::test]
async fn uses_are_held_then_drawn_and_run_out() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    world.buy(&machine, "resize").await;
    let request = world.ask("resize", 4);
    let code = world.authorise(&machine, &request).await.expect("held");
    assert_eq!(world.remaining(&machine, "resize").await, 6, "held counts as gone");
    let answer = world.verify(&machine, &request, &code).await.expect("drawn");
    let grant = world.open(&machine, request, &code, answer).grant;
    assert_eq!((grant.document().limits.uses, grant.document().exp - grant.document().iat), (Some(4), 300));
    assert_eq!(world.remaining(&machine, "resize").await, 6);
    let refused = world.authorise(&machine, &world.ask("resize", 7)).await;
    assert_eq!(reason(refused), Reason::EntitlementExhausted);
    world.authorise(&machine, &world.ask("resize", 6)).await.expect("exactly what is left");
}

#[tokio::test]
async fn a_repeated_request_gets_the_same_answer_and_debits_once() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    world.buy(&machine, "resize").await;
    let request = world.ask("resize", 1);
    let idempotency = fresh(&request);
    let one = cycle::authorise(&world.core, &machine.asker, &request, &idempotency).await.expect("held");
    let two = cycle::authorise(&world.core, &machine.asker, &request, &idempotency).await.expect("again");
    assert_eq!((one.code.expose(), one.expires), (two.code.expose(), two.expires));
    assert_eq!(world.remaining(&machine, "resize").await, 9);

    let verification = VerificationRequest { code: one.code.clone(), request: request.clone() };
    let idempotency = fresh(&verification);
    let first = cycle::verify(&world.core, &machine.asker, &verification, &idempotency).await.expect("granted");
    // When the code has expired, and at another process. See `reissue.rs` for the time after the grant.
    world.core.clock.advance(200);
    let second = world.second().await;
    let again = cycle::verify(&second, &machine.asker, &verification, &idempotency).await.expect("the same grant");
    assert_eq!((&first.grant, first.grant_nonce, &first.keys), (&again.grant, again.grant_nonce, &again.keys));
    assert_eq!(world.remaining(&machine, "resize").await, 9);

    // The same key with another body is another request.
    let mut other = verification.clone();
    other.request.quantity = 2;
    let reused = keyed(idempotency.key.as_str(), &other);
    assert!(matches!(cycle::verify(&world.core, &machine.asker, &other, &reused).await, Err(ServiceError::KeyReused)));
    let reused = keyed(idempotency.key.as_str(), &request);
    assert!(matches!(
        cycle::authorise(&world.core, &machine.asker, &request, &reused).await,
        Err(ServiceError::KeyReused)
    ));
}

#[tokio::test]
async fn the_same_key_of_another_terminal_is_another_request() {
    let world = World::new().await;
    let (one, two) = (world.machine("ada@example.org").await, world.machine("eve@example.org").await);
    let request = world.ask("preview", 1);
    let idempotency = fresh(&request);
    let first = cycle::authorise(&world.core, &one.asker, &request, &idempotency).await.expect("held");
    let second = cycle::authorise(&world.core, &two.asker, &request, &idempotency).await.expect("held");
    assert_ne!(first.code.expose(), second.code.expose());
}

#[tokio::test]
async fn a_spent_code_is_refused() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let request = world.ask("preview", 1);
    let code = world.authorise(&machine, &request).await.expect("held");
    world.verify(&machine, &request, &code).await.expect("granted");
    assert_eq!(reason(world.verify(&machine, &request, &code).await), Reason::StatusCodeSpent);
}

/// The promise: however many verifications of one code run at once, over two processes, one grant comes of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_verifications_of_one_code_give_one_grant() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    world.buy(&machine, "resize").await;
    let request = world.ask("resize", 1);
    let code = world.authorise(&machine, &request).await.expect("held");
    let verification = VerificationRequest { code: code.code.clone(), request };
    let cores = [world.core.clone(), world.second().await];
    let shared = fresh(&verification);
    let tasks: Vec<_> = (0..1000)
        .map(|index| {
            let (core, asker, request) = (cores[index % 2].clone(), machine.asker.clone(), verification.clone());
            // Every tenth is an honest retry; the others are replays under keys of their own.
            let idempotency = if index % 10 == 0 { shared.clone() } else { fresh(&request) };
            tokio::spawn(async move { cycle::verify(&core, &asker, &request, &idempotency).await })
        })
        .collect();
    let (mut grants, mut granted, mut spent) = (BTreeSet::new(), 0, 0);
    for task in tasks {
        match task.await.expect("no panic") {
            Ok(answer) => {
                grants.insert(answer.grant);
                granted += 1;
            }
            Err(ServiceError::Refused(refusal)) if refusal.reason == Reason::StatusCodeSpent => spent += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(grants.len(), 1, "exactly one grant");
    assert!(granted == 1 || granted == 100, "one replay, or the honest request with its retries: {granted}");
    assert_eq!(granted + spent, 1000);
    assert_eq!(world.remaining(&machine, "resize").await, 9, "one use was drawn");
    assert_eq!(count(&world, "SELECT count(*) FROM grants"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_draws_never_exceed_what_was_bought() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    world.buy(&machine, "resize").await;
    let cores = [world.core.clone(), world.second().await];
    let request = world.ask("resize", 1);
    let draw = |core: Core| {
        let (asker, request) = (machine.asker.clone(), request.clone());
        tokio::spawn(async move {
            let code = cycle::authorise(&core, &asker, &request, &fresh(&request)).await?;
            let request = VerificationRequest { code: code.code, request };
            cycle::verify(&core, &asker, &request, &fresh(&request)).await
        })
    };
    let tasks: Vec<_> = (0..60).map(|index| draw(cores[index % 2].clone())).collect();
    let mut drawn = 0;
    for task in tasks {
        match task.await.expect("no panic") {
            Ok(_) => drawn += 1,
            Err(ServiceError::Refused(refusal)) => assert_eq!(refusal.reason, Reason::EntitlementExhausted),
            // Overrun by the others: nothing was decided.
            Err(ServiceError::UnderWay) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(drawn, 10, "ten were bought, ten were drawn");
    assert_eq!(world.remaining(&machine, "resize").await, 0);
}

#[tokio::test]
async fn a_code_for_one_request_serves_no_other() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    world.buy(&machine, "resize").await;
    world.buy(&machine, "view").await;
    let newer = world.publish("alpine-lake", "1.1.0").await.0;
    let request = world.ask("resize", 1);
    let code = world.authorise(&machine, &request).await.expect("held");

    let altered = |change: &dyn Fn(&mut AuthorisationRequest)| {
        let mut request = request.clone();
        change(&mut request);
        request
    };
    let attempts = [
        ("version", altered(&|r| r.resource = newer)),
        ("resource", altered(&|r| r.resource = Digest::of(b"another"))),
        ("operation", altered(&|r| r.operation = "view".parse().expect("a name"))),
        ("quantity", altered(&|r| r.quantity = 10)),
        ("offer", altered(&|r| r.offer = Some(Digest::of(b"an offer")))),
        ("nonce", altered(&|r| r.nonce = BoundedOctets::new(b"other".to_vec()).expect("short"))),
    ];
    for (what, request) in &attempts {
        assert_eq!(reason(world.verify(&machine, request, &code).await), Reason::BindingMismatch, "{what}");
    }

    // Another terminal of the same account, and one of another account.
    let sibling = world.machine_of(machine.account).await;
    let stranger = world.machine("eve@example.org").await;
    for thief in [&sibling, &stranger] {
        assert_eq!(reason(world.verify(thief, &request, &code).await), Reason::StatusCodeUnknown);
    }

    // A forged code: the right row, another authentication; and one that names no row.
    let forged = |byte: usize| {
        let mut bytes: Octets<48> = code.code.expose().parse().expect("48 bytes");
        bytes.0[byte] ^= 1;
        let mut answer = code.clone();
        answer.code = bytes.to_string().parse().expect("48 bytes");
        answer
    };
    for answer in [forged(47), forged(16), forged(15)] {
        assert_eq!(reason(world.verify(&machine, &request, &answer).await), Reason::StatusCodeUnknown);
    }

    // The control: none of it has hurt the honest request.
    world.verify(&machine, &request, &code).await.expect("granted");
}

#[tokio::test]
async fn a_code_that_expires_gives_back_what_it_held() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    world.buy(&machine, "resize").await;
    let request = world.ask("resize", 10);
    let code = world.authorise(&machine, &request).await.expect("held");
    assert_eq!(reason(world.authorise(&machine, &request).await), Reason::EntitlementExhausted);

    world.core.clock.advance(STATUS_CODE_LIFE.cast_signed());
    assert_eq!(world.remaining(&machine, "resize").await, 10);
    assert_eq!(reason(world.verify(&machine, &request, &code).await), Reason::StatusCodeExpired);
    // No sweep has run: the next hold releases what it needs by itself.
    let code = world.authorise(&machine, &request).await.expect("held again");
    world.verify(&machine, &request, &code).await.expect("granted");
}

#[tokio::test]
async fn the_sweep_releases_expired_holds_and_nothing_else() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    world.buy(&machine, "resize").await;
    world.authorise(&machine, &world.ask("resize", 3)).await.expect("held");
    world.authorise(&machine, &world.ask("preview", 1)).await.expect("held");
    assert_eq!(world.core.store.sweep().await.expect("swept"), 0);
    world.core.clock.advance(20);
    world.authorise(&machine, &world.ask("resize", 2)).await.expect("held");
    world.core.clock.advance(15);
    assert_eq!(world.core.store.sweep().await.expect("swept"), 2);
    assert_eq!(count(&world, "SELECT held FROM entitlements"), 2, "the younger hold stands");
    world.core.clock.advance(30);
    assert_eq!(world.core.store.sweep().await.expect("swept"), 1);
    assert_eq!(count(&world, "SELECT held FROM entitlements"), 0);
}

#[tokio::test]
async fn a_refund_ends_rights_codes_and_grants() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let order = world.buy(&machine, "resize").await.order;
    let request = world.ask("resize", 1);
    let spent = world.authorise(&machine, &request).await.expect("held");
    let verification = VerificationRequest { code: spent.code.clone(), request: request.clone() };
    let idempotency = fresh(&verification);
    let answer = cycle::verify(&world.core, &machine.asker, &verification, &idempotency).await.expect("granted");
    let held = world.authorise(&machine, &request).await.expect("held");
    let grant = world.open(&machine, request.clone(), &spent, answer).grant.document().jti;
    cycle::redeliver(&world.core, &machine.asker, &grant).await.expect("before the refund it is delivered again");

    let refunded = orders::refund(&world.core, &order).await.expect("refunded");
    assert_eq!(refunded.state, OrderState::Refunded);
    assert_eq!(reason(world.authorise(&machine, &request).await), Reason::EntitlementRevoked);
    assert_eq!(reason(world.verify(&machine, &request, &held).await), Reason::StatusCodeExpired);
    assert_eq!(reason(cycle::redeliver(&world.core, &machine.asker, &grant).await), Reason::EntitlementRevoked);
    assert_eq!(reason(cycle::acknowledge(&world.core, &machine.asker, &grant).await), Reason::EntitlementRevoked);
    // A stored answer outlives the code, not a revocation.
    let repeated = cycle::verify(&world.core, &machine.asker, &verification, &idempotency).await;
    assert_eq!(reason(repeated), Reason::EntitlementRevoked);

    // Bought again, it runs again.
    world.buy(&machine, "resize").await;
    world.run(&machine, "resize").await.expect("paid again");
}

#[tokio::test]
async fn a_held_code_of_rights_that_do_not_count_ends_with_them() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let order = world.buy(&machine, "view").await.order;
    let request = world.ask("view", 1);
    let code = world.authorise(&machine, &request).await.expect("held");
    orders::refund(&world.core, &order).await.expect("refunded");
    assert_eq!(reason(world.verify(&machine, &request, &code).await), Reason::EntitlementRevoked);
}

#[tokio::test]
async fn what_is_not_there_is_refused_in_the_order_of_checks() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    for quantity in [0, MAX_QUANTITY + 1, u32::MAX] {
        let refused = world.authorise(&machine, &world.ask("preview", quantity)).await;
        assert!(matches!(refused, Err(ServiceError::Unacceptable(_))), "{quantity}");
    }
    let mut unknown = world.ask("fly", 1);
    unknown.resource = Digest::of(b"nobody's");
    assert_eq!(reason(world.authorise(&machine, &unknown).await), Reason::ResourceUnknown);
    assert_eq!(reason(world.authorise(&machine, &world.ask("fly", 1)).await), Reason::OperationUnknown);

    let request = world.ask("preview", 1);
    let code = world.authorise(&machine, &request).await.expect("held");
    world.core.store.withdraw(&world.owner, &world.resource, "recalled".into()).await.expect("withdrawn");
    assert_eq!(reason(world.authorise(&machine, &world.ask("fly", 1)).await), Reason::ResourceWithdrawn);
    assert_eq!(reason(world.verify(&machine, &request, &code).await), Reason::ResourceWithdrawn);
}

#[tokio::test]
async fn a_grant_is_delivered_again_to_its_terminal_until_it_ends() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let request = world.ask("preview", 1);
    let code = world.authorise(&machine, &request).await.expect("held");
    let answer = world.verify(&machine, &request, &code).await.expect("granted");
    let grant = world.open(&machine, request.clone(), &code, answer.clone()).grant.document().jti;

    let sibling = world.machine_of(machine.account).await;
    assert_eq!(reason(cycle::redeliver(&world.core, &sibling.asker, &grant).await), Reason::StatusCodeUnknown);
    assert_eq!(reason(cycle::acknowledge(&world.core, &sibling.asker, &grant).await), Reason::StatusCodeUnknown);
    let unknown = GrantId::from_bytes([1; 16]);
    assert_eq!(reason(cycle::redeliver(&world.core, &machine.asker, &unknown).await), Reason::StatusCodeUnknown);

    let again = cycle::redeliver(&world.core, &machine.asker, &grant).await.expect("delivered again");
    assert_eq!((&again.grant, &again.keys), (&answer.grant, &answer.keys));
    for _ in 0..2 {
        cycle::acknowledge(&world.core, &machine.asker, &grant).await.expect("acknowledged");
    }
    cycle::redeliver(&world.core, &machine.asker, &grant).await.expect("an acknowledged one too");
    world.core.clock.advance(31);
    assert_eq!(reason(cycle::redeliver(&world.core, &machine.asker, &grant).await), Reason::StatusCodeExpired);
}

#[tokio::test]
async fn a_newer_grant_supersedes_one_that_nobody_acknowledged() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let first = world.run(&machine, "preview").await.expect("granted").grant.document().jti;
    cycle::acknowledge(&world.core, &machine.asker, &first).await.expect("acknowledged");
    let second = world.run(&machine, "preview").await.expect("granted").grant.document().jti;
    let third = world.run(&machine, "preview").await.expect("granted").grant.document().jti;
    let state = |grant: GrantId| {
        let (store, terminal) = (world.core.store.clone(), machine.id);
        async move { store.grant(&terminal, &grant).await.expect("read").1.expect("a grant").state }
    };
    assert_eq!(state(first).await, GrantState::Acknowledged);
    assert_eq!(state(second).await, GrantState::Superseded);
    assert_eq!(state(third).await, GrantState::Issued);
    assert_eq!(reason(cycle::redeliver(&world.core, &machine.asker, &second).await), Reason::StatusCodeSpent);
    // What counts is paid for: a newer grant takes nothing from an older one.
    world.buy(&machine, "resize").await;
    let older = world.run(&machine, "resize").await.expect("granted").grant.document().jti;
    world.run(&machine, "resize").await.expect("granted");
    assert_eq!(state(older).await, GrantState::Issued);
}

#[tokio::test]
async fn a_user_has_one_name_per_publisher_and_no_grant_says_more() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let sibling = world.machine_of(machine.account).await;
    let one = world.run(&machine, "preview").await.expect("granted").grant;
    let two = world.run(&sibling, "preview").await.expect("granted").grant;
    assert_eq!(one.document().sub, two.document().sub);
    assert_ne!(one.document().cnf, two.document().cnf, "grants do not say that two are of one terminal");
    let other = world.run(&world.machine("eve@example.org").await, "preview").await.expect("granted").grant;
    assert_ne!(one.document().sub, other.document().sub);
    let payload = serde_json::to_string(one.document()).expect("json");
    for secret in [machine.account.to_string(), machine.id.to_string(), machine.asker.key().to_string()] {
        assert!(!payload.contains(&secret));
    }
}

/// The store itself refuses what `cycle` would never ask of it.
#[tokio::test]
async fn no_transaction_holds_more_than_there_is() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    world.buy(&machine, "resize").await;
    let request = world.ask("resize", 11);
    let hold = |units: u32| NewAuthorisation {
        code: portcullis_protocol::CodeId::generate(
            crate::world::now_ms(),
            &mut portcullis_server::crypto::secrets::rng(),
        ),
        account: machine.account,
        terminal: machine.id,
        binding: portcullis_protocol::CodeBinding::of(&machine.account, &machine.id, &request),
        resource: world.resource,
        operation: "resize".parse().expect("a name"),
        rights: Rights::Uses { count: 10 },
        draw: Draw::Nothing,
        quantity: units,
        life: 30,
        request: fresh(&request),
    };
    let entitlement =
        world.core.store.entitlements(&machine.account, AccountPage::new(0, 1000)).await.expect("read").rows[0].id;
    let draw = |units| Draw::Units { entitlement, units };
    let too_much = NewAuthorisation { draw: draw(11), ..hold(11) };
    assert!(matches!(world.core.store.authorise(too_much).await, Ok(AuthoriseOutcome::Changed)));
    let enough = NewAuthorisation { draw: draw(10), ..hold(10) };
    assert!(matches!(world.core.store.authorise(enough).await, Ok(AuthoriseOutcome::Held { .. })));
    let foreign = NewAuthorisation { account: world.owner, draw: draw(0), ..hold(0) };
    assert!(matches!(world.core.store.authorise(foreign).await, Ok(AuthoriseOutcome::ShutOut(_))));
}
