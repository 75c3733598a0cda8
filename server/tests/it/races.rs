//! What two processes do at once on one database happens once. Each process here has connections, threads and memory of
//! its own, as those of two machines have.

use crate::database::Place;
use crate::leases::begun;
use crate::metered::{accepted, metered, pay, purse, top_up};
use crate::terminal::rng;
use crate::world::{
    Machine, World, account, approval, count, fresh, new_account, new_terminal, order_request, origin, tokens,
};
use futures::future::join_all;
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::wire::{OfferTerms, OrderState, VerificationRequest};
use portcullis_protocol::{AccountId, ReleaseSecretKey, Rights, SecretKey};
use portcullis_server::billing::payment::{Decision as Payment, PaymentChange, PaymentEvent};
use portcullis_server::billing::{cycle, offers, orders};
use portcullis_server::crypto::secrets::{Secrets, TokenRole, new_token, random};
use portcullis_server::ops::clock::Clock;
use portcullis_server::ops::faults::FaultPoints;
use portcullis_server::store::{
    AnswerScope, BeginOutcome, ClaimOutcome, EnrolOutcome, KeyRole, NewAccount, NewDevice, PollOutcome, PublishOutcome,
    Publisher, PublisherId, RefreshOutcome, RefundOutcome, SessionId, SignUp,
};
use portcullis_server::{Core, ServeError, bind};

/// How often each race is run.
const ROUNDS: usize = 8;

async fn sums_to_zero(world: &World) {
    let balances = world.core.store.balances().await.expect("balances");
    for balance in &balances {
        let of = balances.iter().filter(|other| other.commodity == balance.commodity);
        assert_eq!(of.map(|other| other.amount).sum::<i64>(), 0, "{balances:?}");
    }
}

/// What is held is what holds say.
fn holds_add_up(world: &World) {
    let units = "SELECT coalesce(sum(held), 0) - (SELECT coalesce(sum(units), 0) FROM authorisations WHERE state = 0)
                 FROM entitlements";
    assert_eq!(count(world, units), 0);
    let money = "SELECT coalesce(sum(held), 0) - (SELECT coalesce(sum(cost), 0) FROM authorisations WHERE state = 0)
                 FROM prepaid";
    assert_eq!(count(world, money), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_refund_is_begun_finished_and_booked_once() {
    let world = World::new().await;
    let second = world.second().await;
    for round in 0..ROUNDS {
        let machine = world.machine(&format!("ada{round}@example.org")).await;
        let order = world.buy(&machine, "resize").await.order;
        let stores = [&world.core.store, &second.store, &world.core.store, &second.store];
        for outcome in join_all(stores.map(|store| store.begin_refund(&order))).await {
            assert!(matches!(outcome, Ok((RefundOutcome::Done(_), _))), "{outcome:?}");
        }
        for outcome in join_all(stores.map(|store| store.finish_refund(&order, None))).await {
            assert!(matches!(outcome, Ok(RefundOutcome::Done(_))), "{outcome:?}");
        }
        // A bank that takes the money back in the same moment takes it once.
        let other = world.buy(&machine, "resize").await.order;
        let taken = PaymentEvent::new(other, PaymentChange::ChargedBack);
        let (refund, dispute) = tokio::join!(world.core.store.begin_refund(&other), second.store.hear_event(&taken));
        assert!(refund.is_ok() && dispute.is_ok(), "{refund:?} {dispute:?}");
    }
    sums_to_zero(&world).await;
    let begun = "SELECT count(*) FROM log WHERE kind = 'refunded'";
    assert!(count(&world, begun) >= i64::try_from(ROUNDS).expect("few"));
    let transfers = world.core.store.transfers(0, 1000).await.expect("transfers");
    let mut seen = std::collections::BTreeMap::new();
    for transfer in &transfers {
        let key = format!("{:?} {:?} {}", transfer.from, transfer.to, transfer.amount);
        *seen.entry(key).or_insert(0) += 1;
    }
    let to_provider = transfers.iter().filter(|transfer| transfer.to.as_str() == "provider:sandbox").count();
    assert_eq!(to_provider, ROUNDS * 2 - open(&world), "each payment goes back once: {seen:?}");
}

/// Orders whose money is still on its way back.
fn open(world: &World) -> usize {
    usize::try_from(count(world, "SELECT count(*) FROM orders WHERE state = 3")).expect("few")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_many_that_begin_the_same_request_begins_it() {
    let world = World::new().await;
    let second = world.second().await;
    for _ in 0..ROUNDS {
        let request = fresh(&"body");
        let scope = AnswerScope::Session(SessionId(Octets([7; 16])));
        let stores = [&world.core.store, &second.store, &second.store, &world.core.store];
        let outcomes = join_all(stores.map(|store| store.begin_answer(scope, &request))).await;
        let mut fences = Vec::new();
        for (outcome, store) in outcomes.into_iter().zip(stores) {
            match outcome {
                Ok(BeginOutcome::InProgress) => {}
                other => fences.push((begun(other), store)),
            }
        }
        assert_eq!(fences.len(), 1, "one is told to do it");
        let (fence, store) = fences.remove(0);
        store.finish_answer(fence, Some("{}".into())).await.expect("finished");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_request_that_is_begun_again_while_old_ones_are_swept_can_be_finished() {
    let world = World::new().await;
    let second = world.second().await;
    let scope = AnswerScope::Session(SessionId(Octets([7; 16])));
    for _ in 0..ROUNDS {
        // Left behind by a process that died, days ago.
        let requests: Vec<_> = (0..40).map(|number| fresh(&number)).collect();
        for request in &requests {
            drop(begun(world.core.store.begin_answer(scope, request).await));
        }
        world.core.clock.advance(40 * 24 * 3600);
        let again = join_all(requests.iter().map(|request| second.store.begin_answer(scope, request)));
        let (swept, again) = tokio::join!(world.core.store.sweep(), again);
        swept.expect("swept");
        for outcome in again {
            second.store.finish_answer(begun(outcome), Some("{}".into())).await.expect("it is still there");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_part_belongs_to_one_publisher_and_a_version_is_published_once() {
    let world = World::new().await;
    let second = world.second().await;
    let other = SecretKey::generate(&mut rng());
    let owner = account(&world.core, "other@example.org").await;
    assert_eq!(world.claim_as("umbra", owner, &other).await, ClaimOutcome::Claimed);
    for round in 0..ROUNDS {
        let name = format!("picture-{round}");
        let (ours, _) = world.new_resource(&name, "1.0.0");
        let mut theirs = ours.clone();
        theirs.account = owner;
        theirs.manifest.publisher.name = "umbra".parse().expect("a name");
        theirs.manifest.publisher.jwk = other.public().clone();
        theirs.digest = portcullis_protocol::Digest::of(&serde_json::to_vec(&theirs.manifest).expect("json"));
        let (mine, stolen, again) = tokio::join!(
            world.core.store.publish(ours.clone()),
            second.store.publish(theirs),
            second.store.publish(ours)
        );
        let outcomes = [mine.expect("answered"), stolen.expect("answered"), again.expect("answered")];
        let taken = |outcome: &&PublishOutcome| matches!(outcome, PublishOutcome::CommitmentTaken(_));
        let published = outcomes.iter().filter(|outcome| **outcome == PublishOutcome::Published).count();
        assert_eq!(published, 1, "{outcomes:?}");
        assert!(outcomes.iter().any(|outcome| taken(&outcome)), "{outcomes:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_balance_is_drawn_and_paid_back_to_the_cent() {
    let world = metered("0.50 EUR").await;
    let second = world.second().await;
    for round in 0..ROUNDS {
        let machine = world.machine(&format!("ada{round}@example.org")).await;
        top_up(&world, &machine, "1.00 EUR").await;
        let order = account_order(&world, &machine);
        let request = accepted(&world, 1).await;
        let draw = async |core: &Core| {
            let code = cycle::authorise(core, &machine.asker, &request, &fresh(&request)).await?;
            let request = VerificationRequest { code: code.code, request: request.clone() };
            cycle::verify(core, &machine.asker, &request, &fresh(&request)).await
        };
        let (first, third, refund, fourth) =
            tokio::join!(draw(&world.core), draw(&second), second.store.begin_refund(&order), draw(&second));
        let drawn = [first.is_ok(), third.is_ok(), fourth.is_ok()].into_iter().filter(|drawn| *drawn).count();
        let (left, held) = purse(&world.core, &machine).await;
        let back = match refund.expect("answered") {
            (RefundOutcome::Done(order), _) => order.refund().minor_units(),
            _ => 0,
        };
        let drawn = i64::try_from(drawn).expect("few") * 50;
        assert_eq!((left + back + drawn, held), (100, 0), "drawn {drawn}, paid back {back}, left {left}");
    }
    sums_to_zero(&world).await;
    holds_add_up(&world);
}

/// The only order of an account.
fn account_order(world: &World, machine: &Machine) -> portcullis_protocol::OrderId {
    let sql = "SELECT id FROM orders WHERE account = ?1";
    let id = world.database().bytes(sql, &[crate::database::Of::Blob(machine.account.as_bytes())]);
    portcullis_protocol::OrderId::from_bytes(id.try_into().expect("an identifier"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn uses_are_drawn_as_often_as_they_were_bought() {
    let world = World::new().await;
    let second = world.second().await;
    let machine = world.machine("ada@example.org").await;
    world.buy(&machine, "resize").await;
    let request = world.ask("resize", 1);
    let draw = async |core: &Core| {
        let code = cycle::authorise(core, &machine.asker, &request, &fresh(&request)).await?;
        let request = VerificationRequest { code: code.code, request: request.clone() };
        cycle::verify(core, &machine.asker, &request, &fresh(&request)).await
    };
    let cores = [&world.core, &second].repeat(8);
    let drawn = join_all(cores.into_iter().map(draw)).await.into_iter().filter(Result::is_ok).count();
    assert_eq!(drawn, 10);
    assert_eq!(world.remaining(&machine, "resize").await, 0);
    holds_add_up(&world);
    sums_to_zero(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_account_enrols_as_many_terminals_a_day_as_it_may() {
    let world = World::new().await;
    let second = world.second().await;
    let owner = account(&world.core, "ada@example.org").await;
    let mut terminals = Vec::new();
    for _ in 0..6 {
        let (key, release) = (SecretKey::generate(&mut rng()), ReleaseSecretKey::generate(&mut rng()));
        let mut terminal = new_terminal(&world.core, owner, &key, &release).await;
        terminal.most_per_day = 3;
        terminals.push(terminal);
    }
    let stores = [&world.core.store, &second.store].repeat(3);
    let outcomes = join_all(terminals.into_iter().zip(stores).map(|(terminal, store)| store.enrol(terminal))).await;
    let enrolled = outcomes.iter().filter(|outcome| matches!(outcome, Ok(EnrolOutcome::Enrolled(_)))).count();
    let refused = outcomes.iter().filter(|outcome| matches!(outcome, Ok(EnrolOutcome::TooMany { .. }))).count();
    assert_eq!((enrolled, refused), (3, 3), "{outcomes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_outlives_signing_out_everywhere() {
    let world = World::new().await;
    let second = world.second().await;
    for round in 0..ROUNDS {
        let owner = account(&world.core, &format!("ada{round}@example.org")).await;
        let key = SecretKey::generate(&mut rng()).public().thumbprint();
        let device = world.core.secrets.hash_token(TokenRole::Device, &new_token());
        let user = world.core.secrets.hash_token(TokenRole::User, &new_token());
        let new = NewDevice { device, user, key, label: "desk".into(), life: 600, interval: 0 };
        assert!(world.core.store.create_device(new).await.expect("a code"));
        let approval = approval(&world.core, owner).await;
        world.core.store.decide_device(&user, approval).await.expect("approved");
        let (tokens, ..) = tokens(&world.core);
        let session = SessionId(Octets(random()));
        let (polled, ended) = tokio::join!(
            world.core.store.poll_device(&device, &key, session, tokens),
            second.store.sign_out_everywhere(&owner)
        );
        let (polled, ended) = (polled.expect("polled"), ended.expect("ended"));
        let signed_in = matches!(polled, PollOutcome::Session { .. });
        assert_eq!(world.core.store.sessions(&owner).await.expect("listed").len(), 0, "{polled:?} {ended:?}");
        assert_eq!((usize::from(signed_in), 1 - usize::from(signed_in)), (ended.sessions, ended.codes), "{ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_refresh_token_is_used_and_a_session_goes_on_once() {
    let world = World::new().await;
    let second = world.second().await;
    let machine = world.machine("ada@example.org").await;
    let refresh = world.core.secrets.hash_token(TokenRole::Refresh, &machine.refresh);
    let key = machine.key.public().thumbprint();
    let (first, other) = (tokens(&world.core).0, tokens(&world.core).0);
    let (one, two, ended) = tokio::join!(
        world.core.store.refresh_session(&refresh, &key, first),
        second.store.refresh_session(&refresh, &key, other),
        second.store.sign_out_everywhere(&machine.account),
    );
    for outcome in [one, two] {
        assert!(matches!(outcome, Ok(RefreshOutcome::Refreshed | RefreshOutcome::Unknown)), "{outcome:?}");
    }
    assert_eq!(ended.expect("ended").sessions, 1);
    assert!(world.core.store.sessions(&machine.account).await.expect("listed").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_sweeps_and_a_cycle_release_a_hold_once() {
    let world = World::new().await;
    let second = world.second().await;
    let machine = world.machine("ada@example.org").await;
    world.buy(&machine, "resize").await;
    for _ in 0..ROUNDS {
        let request = world.ask("resize", 3);
        world.authorise(&machine, &request).await.expect("held");
        world.authorise(&machine, &request).await.expect("held");
        world.core.clock.advance(31);
        let once = fresh(&request);
        let (one, two, held) = tokio::join!(
            world.core.store.sweep(),
            second.store.sweep(),
            cycle::authorise(&second, &machine.asker, &request, &once)
        );
        assert!(one.expect("swept") + two.expect("swept") <= 2);
        held.expect("there is room");
        holds_add_up(&world);
        world.core.clock.advance(31);
        world.core.store.sweep().await.expect("swept");
        assert_eq!(world.remaining(&machine, "resize").await, 10);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_grant_outlives_the_terminal_that_was_revoked_meanwhile() {
    let world = World::new().await;
    let second = world.second().await;
    for round in 0..ROUNDS {
        let machine = world.machine(&format!("ada{round}@example.org")).await;
        world.buy(&machine, "resize").await;
        let request = world.ask("resize", 1);
        let code = world.authorise(&machine, &request).await.expect("held");
        let (granted, revoked) = tokio::join!(
            world.verify(&machine, &request, &code),
            second.store.revoke_terminal(&machine.account, &machine.id)
        );
        assert_eq!(revoked, Ok(true));
        let live = "SELECT count(*) FROM grants WHERE state IN (0, 1)";
        assert_eq!(count(&world, live), 0, "{granted:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_price_lists_one_is_in_force() {
    let world = World::new().await;
    let second = world.second().await;
    let (publisher, name) = ("lumen".parse().expect("a name"), "alpine-lake".parse().expect("a name"));
    let terms = |price: &str| {
        let terms = ["view", "resize"].map(|operation| OfferTerms {
            id: None,
            operation: operation.parse().expect("a name"),
            title: operation.into(),
            rights: Rights::Uses { count: 2 },
            price: price.parse().expect("a price"),
        });
        terms.to_vec()
    };
    for _ in 0..ROUNDS {
        let (one, two) = tokio::join!(
            offers::replace(&world.core, &world.owner, &publisher, &name, terms("1.00 EUR")),
            offers::replace(&second, &world.owner, &publisher, &name, terms("2.00 EUR"))
        );
        one.expect("replaced");
        two.expect("replaced");
        let in_force = world.core.store.offers(&publisher, &name).await.expect("offers");
        let prices: std::collections::BTreeSet<String> =
            in_force.iter().map(|revision| revision.offer.price.to_string()).collect();
        assert_eq!((in_force.len(), prices.len()), (2, 1), "{in_force:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_name_is_claimed_once() {
    let world = World::new().await;
    let second = world.second().await;
    let claim = async |core: &Core, name: &str, owner: AccountId| {
        let publisher = Publisher {
            id: PublisherId(Octets(random())),
            name: name.parse().expect("a name"),
            key: SecretKey::generate(&mut rng()).public().clone(),
            owner,
            created: core.clock.now(),
        };
        core.store.claim_publisher(publisher).await.expect("answered")
    };
    // Either has a form of its name that is the other's name.
    let sign_up = async |core: &Core, name: &str, form: &str| {
        let new = NewAccount { other_lookups: vec![core.secrets.lookup_name(form)], ..new_account(core, name) };
        core.store.create_account(new).await.expect("answered")
    };
    for round in 0..ROUNDS {
        let name = format!("umbra-{round}");
        let (one, two) = tokio::join!(claim(&world.core, &name, world.owner), claim(&second, &name, world.owner));
        assert!((one == ClaimOutcome::Claimed) != (two == ClaimOutcome::Claimed), "{one:?} {two:?}");
        let (plain, fancy) = (format!("ada{round}@example.org"), format!("\u{e4}da{round}@example.org"));
        let (one, two) = tokio::join!(sign_up(&world.core, &plain, &fancy), sign_up(&second, &fancy, &plain));
        assert!((one == SignUp::Made) != (two == SignUp::Made), "{one:?} {two:?}");
        let (one, two) = tokio::join!(sign_up(&world.core, &name, &name), sign_up(&second, &name, &name));
        assert!((one == SignUp::Made) != (two == SignUp::Made), "{one:?} {two:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keys_are_made_once() {
    let folder = tempfile::tempdir().expect("a folder");
    crate::database::choose(folder.path());
    let place = crate::database::Place::of(folder.path(), "server.db");
    let secrets =
        portcullis_server::crypto::secrets::Secrets::create(&folder.path().join("master.key")).expect("secrets");
    let open = || place.open(Default::default(), portcullis_server::ops::faults::FaultPoints::none()).expect("a store");
    let stores = [open(), open(), open(), open()];
    let made = join_all(stores.iter().map(|store| portcullis_server::crypto::keys::init(&**store, &secrets))).await;
    assert!(made.iter().any(Result::is_ok), "{made:?}");
    assert_eq!(place.number("SELECT count(*) FROM signing_keys", &[]), 1);
    assert_eq!(place.number("SELECT count(*) FROM server_keys", &[]), i64::try_from(KeyRole::ALL.len()).expect("few"));
    let keys = portcullis_server::crypto::keys::Keys::open(&*stores[3], &secrets, origin()).await;
    keys.expect("whole");
}

/// An order is opened, paid and settled once, whoever asks.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_database_is_one_servers_and_the_other_one_hears_so() {
    for _ in 0..ROUNDS {
        let folder = tempfile::tempdir().expect("a folder");
        crate::database::choose(folder.path());
        let place = Place::of(folder.path(), "server.db");
        let stores = [(); 2].map(|()| place.open(Clock::default(), FaultPoints::none()).expect("opened"));
        let secrets = Secrets::create(&folder.path().join("master.key")).expect("made");
        let origins = ["https://one.example", "https://two.example"].map(|origin| origin.parse().expect("an origin"));
        let (one, two) = tokio::join!(
            bind(&*stores[0], &secrets, &origins[0], (folder.path(), None)),
            bind(&*stores[1], &secrets, &origins[1], (folder.path(), None))
        );
        let bound = stores[0].identity().await.expect("read").expect("bound").origin;
        for (outcome, origin) in [one, two].into_iter().zip(&origins) {
            match outcome {
                Ok(()) => assert_eq!(origin.as_str(), bound),
                Err(error) => assert!(matches!(error, ServeError::OtherOrigin { .. }), "{error}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_ordered_twice_at_once_is_paid_once() {
    let world = World::new().await;
    let second = world.second().await;
    for round in 0..ROUNDS {
        let machine = world.machine(&format!("ada{round}@example.org")).await;
        let request = order_request(world.offer("view").await.1, "pending");
        let requests = (fresh(&request), fresh(&request));
        let (one, two) = tokio::join!(
            orders::order(&world.core, &machine.asker, &request, &requests.0),
            orders::order(&second, &machine.asker, &request, &requests.1)
        );
        let (one, two) = (one.expect("pending"), two.expect("pending"));
        assert_eq!((one.order, one.state), (two.order, OrderState::Pending), "one order");
        let (settled, again) = tokio::join!(
            orders::decide(&world.core, &one.order, Payment::Settled),
            orders::decide(&second, &one.order, Payment::Settled)
        );
        for answer in [settled, again] {
            assert_eq!(answer.expect("decided").state, OrderState::Paid);
        }
        // And looked up by one process.
        let (one, two) = tokio::join!(world.core.store.claim_effects(10, 0), second.store.claim_effects(10, 0));
        let (one, two) = (one.expect("claimed"), two.expect("claimed"));
        assert!(one.iter().all(|effect| two.iter().all(|other| effect.id != other.id)));
    }
    let view = "SELECT count(*) FROM entitlements WHERE operation = 'view'";
    assert_eq!(count(&world, view), i64::try_from(ROUNDS).expect("few"));
    sums_to_zero(&world).await;
    let top_up = pay("1.00 EUR", "ok");
    let machine = world.machine("eve@example.org").await;
    let same = crate::world::keyed("same", &top_up);
    let (one, two) = tokio::join!(
        orders::order(&world.core, &machine.asker, &top_up, &same),
        orders::order(&second, &machine.asker, &top_up, &same)
    );
    assert_eq!(one.expect("paid").order, two.expect("paid").order, "one request, whoever takes it");
    assert_eq!(purse(&world.core, &machine).await, (100, 0));
}
