//! The outbox of webhooks, against endpoints that answer, refuse, hang, redirect and go away.

use crate::codes::{Shop, wanted};
use crate::database::{Of, Place};
use crate::stage::Stage;
use crate::world::{Machine, World, count, fresh, order_request};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64ct::{Base64, Encoding as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::wire::OrderAnswer;
use portcullis_protocol::{PublicKey, ReleaseSecretKey};
use portcullis_server::billing::payment::{PaymentChange, PaymentEvent, SANDBOX};
use portcullis_server::billing::{events, orders};
use portcullis_server::crypto::secrets::{random, rng};
use portcullis_server::effects::state::EffectState;
use portcullis_server::notices::outbound::{Networks, Outbound, OutboundError, Reach, WebhookUrl};
use portcullis_server::notices::webhooks::RETRIES;
use portcullis_server::notices::webhooks::keys::{self, OpenKeys};
use portcullis_server::store::{
    Attempt, EffectClaim, EffectVerdict, EndpointId, EndpointState, NewEndpoint, Receiver, Replayed,
};
use portcullis_server::{Core, effects};
use sha2::Sha256;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// A request that an endpoint got.
#[derive(Clone, Debug)]
struct Heard {
    headers: HeaderMap,
    body: Bytes,
}

impl Heard {
    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().expect("text")
    }

    fn id(&self) -> &str {
        self.header("webhook-id")
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("json")
    }

    /// Which of these keys have signed it, by `v1` and by `v1a`.
    fn signed_by(&self, keys: &[&OpenKeys]) -> Vec<(bool, bool)> {
        let message =
            [self.id().as_bytes(), b".", self.header("webhook-timestamp").as_bytes(), b".", &self.body].concat();
        let of = |scheme: &str| -> Vec<Vec<u8>> {
            let signatures = self.header("webhook-signature").split(' ');
            signatures
                .filter_map(|text| text.strip_prefix(scheme))
                .map(|text| Base64::decode_vec(text).expect("base64"))
                .collect()
        };
        let (shared, public) = (of("v1,"), of("v1a,"));
        let by = |keys: &&OpenKeys| {
            let secret = Base64::decode_vec(keys.shared().strip_prefix("whsec_").expect("a prefix")).expect("base64");
            let mut mac = Hmac::<Sha256>::new_from_slice(&secret).expect("a key");
            mac.update(&message);
            let key = Base64::decode_vec(keys.public().strip_prefix("whpk_").expect("a prefix")).expect("base64");
            let key = PublicKey::from_bytes(&key.try_into().expect("32 bytes")).expect("a key");
            let has_shared = shared.iter().any(|tag| mac.clone().verify_slice(tag).is_ok());
            let verifies =
                |tag: &Vec<u8>| key.verify(&message, &Octets(tag.clone().try_into().expect("64 bytes"))).is_ok();
            (has_shared, public.iter().any(verifies))
        };
        keys.iter().map(by).collect()
    }
}

/// What an endpoint does with the next requests; with none left it answers 204.
#[derive(Clone, Debug)]
enum Answer {
    Status(u16),
    Redirect(String),
    Endless,
}

/// An endpoint on this machine.
#[derive(Clone)]
struct Post {
    url: String,
    heard: Arc<Mutex<Vec<Heard>>>,
    answers: Arc<Mutex<Vec<Answer>>>,
    /// Requests that may be answered; closed: all.
    gate: Option<Arc<Semaphore>>,
    at_once: Arc<Mutex<(usize, usize)>>,
}

async fn take(State(post): State<Post>, headers: HeaderMap, body: Bytes) -> Response {
    post.heard.lock().expect("free").push(Heard { headers, body });
    {
        let mut at_once = post.at_once.lock().expect("free");
        at_once.0 += 1;
        at_once.1 = at_once.1.max(at_once.0);
    }
    if let Some(gate) = &post.gate {
        gate.acquire().await.expect("open").forget();
    }
    post.at_once.lock().expect("free").0 -= 1;
    let mut answers = post.answers.lock().expect("free");
    match if answers.is_empty() { Answer::Status(204) } else { answers.remove(0) } {
        Answer::Status(status) => StatusCode::from_u16(status).expect("a status").into_response(),
        Answer::Redirect(to) => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)]).into_response(),
        Answer::Endless => vec![b' '; 1024 * 1024].into_response(),
    }
}

impl Post {
    async fn open() -> Self {
        Self::with(None).await
    }

    async fn with(gate: Option<Arc<Semaphore>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hooks", listener.local_addr().expect("an address"));
        let post = Self { url, heard: Arc::default(), answers: Arc::default(), gate, at_once: Arc::default() };
        let router = Router::new().fallback(take).with_state(post.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        post
    }

    fn heard(&self) -> Vec<Heard> {
        self.heard.lock().expect("free").clone()
    }

    fn next(&self, answers: impl IntoIterator<Item = Answer>) {
        self.answers.lock().expect("free").extend(answers);
    }
}

async fn endpoint(core: &Core, url: &str) -> (EndpointId, OpenKeys) {
    let id = EndpointId(Octets(random()));
    let (sealed, open) = keys::new(&core.secrets, &id);
    let new = NewEndpoint { id, owner: Receiver::Store, url: url.to_owned(), keys: sealed };
    assert!(core.store.add_endpoint(new).await.expect("added"));
    (id, open)
}

/// An order is paid, and the store's endpoints are to be told.
async fn buy(world: &World, machine: &Machine) {
    let request = order_request(world.offer("resize").await.1, "ok");
    orders::order(&world.core, &machine.asker, &request, &fresh(&request)).await.expect("paid");
}

async fn deliver(core: &Core) {
    while effects::round(core).await.expect("a round") > 0 {}
}

#[tokio::test]
async fn a_message_is_enqueued_with_its_cause_and_signed_anew_with_each_attempt() {
    let (world, post) = (World::new().await, Post::open().await);
    let machine = world.machine("ada@example.org").await;
    let (_, keys) = endpoint(&world.core, &post.url).await;
    post.next([Answer::Status(500), Answer::Status(503), Answer::Endless]);
    buy(&world, &machine).await;
    assert!(post.heard().is_empty(), "nothing is sent in the request of a buyer");
    deliver(&world.core).await;
    world.core.clock.advance(RETRIES[0].try_into().expect("few"));
    deliver(&world.core).await;
    world.core.clock.advance(RETRIES[1].try_into().expect("few"));
    deliver(&world.core).await;
    let heard = post.heard();
    assert_eq!(heard.len(), 3, "two errors, and a yes, whatever follows it");
    for attempt in &heard {
        assert_eq!(attempt.id(), heard[0].id(), "the same message");
        assert_eq!(attempt.body, heard[0].body);
        assert_eq!(attempt.signed_by(&[&keys]), [(true, true)]);
    }
    let times: Vec<u64> =
        heard.iter().map(|heard| heard.header("webhook-timestamp").parse().expect("seconds")).collect();
    assert!(times[0] < times[1] && times[1] < times[2], "{times:?}");
    let said = heard[0].json();
    assert_eq!((&said["type"], &said["aud"]), (&"order.paid".into(), &post.url.as_str().into()));
    assert_eq!(
        (&said["iss"], &said["data"]["amount"]),
        (&"https://store.example".into(), &serde_json::json!({"currency": "EUR", "minor_units": 100}))
    );
    // One bit, and no signature holds.
    let mut flipped = heard[0].clone();
    flipped.body = Bytes::from([&heard[0].body[..1], b"!", &heard[0].body[2..]].concat());
    assert_eq!(flipped.signed_by(&[&keys]), [(false, false)]);
    // An order that did not come about says nothing.
    let sql = "SELECT count(*) FROM webhook_messages";
    assert_eq!(count(&world, sql), 1);
}

#[tokio::test]
async fn retries_come_at_their_times_and_what_was_given_up_is_listed_and_replayed() {
    let (world, post) = (World::new().await, Post::open().await);
    let machine = world.machine("ada@example.org").await;
    let (id, _) = endpoint(&world.core, &post.url).await;
    post.next((0..8).map(|_| Answer::Status(503)));
    buy(&world, &machine).await;
    deliver(&world.core).await;
    for (tried, pause) in RETRIES.iter().enumerate() {
        assert_eq!(post.heard().len(), tried + 1);
        world.core.clock.advance(i64::try_from(*pause).expect("few") - 2);
        deliver(&world.core).await;
        assert_eq!(post.heard().len(), tried + 1, "not before its time: {pause} s");
        world.core.clock.advance(3);
        deliver(&world.core).await;
    }
    assert_eq!(post.heard().len(), 8);
    world.core.clock.advance(7 * 24 * 3600);
    deliver(&world.core).await;
    assert_eq!(post.heard().len(), 8, "given up");
    let listed = world.core.store.messages(&id, 0, 10).await.expect("listed");
    assert_eq!(
        listed.iter().map(|message| (message.seq, message.state, message.status)).collect::<Vec<_>>(),
        [(1, EffectState::Failed, Some(503))]
    );
    assert_eq!(world.core.store.replay(&id, 1, 10).await, Ok(Replayed { count: 1, next: None }));
    let few = world.core.store.replay(&id, 1, 1).await.expect("replayed");
    assert_eq!(few.next, Some(2), "whoever replays is told where to go on");
    deliver(&world.core).await;
    let heard = post.heard();
    assert_eq!((heard.len(), heard[8].id()), (9, heard[0].id()), "under the same identifier");
    let listed = world.core.store.messages(&id, 0, 10).await.expect("listed");
    assert_eq!((listed[0].state, listed[0].status, listed[0].tries), (EffectState::Done, Some(204), 1));
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_disabled_and_loses_nothing() {
    let (world, post) = (World::new().await, Post::open().await);
    let machine = world.machine("ada@example.org").await;
    let (id, _) = endpoint(&world.core, &post.url).await;
    post.next([Answer::Status(410)]);
    for _ in 0..3 {
        buy(&world, &machine).await;
    }
    // Whichever is first says it for all.
    deliver(&world.core).await;
    world.core.clock.advance(3600);
    buy(&world, &machine).await;
    deliver(&world.core).await;
    let before = post.heard().len();
    assert!((1..=3).contains(&before), "{before}");
    let found = world.core.store.endpoint(&id).await.expect("read").expect("an endpoint");
    assert_eq!(found.state, EndpointState::Disabled);
    assert_eq!(world.core.store.replay(&id, 1, 10).await, Ok(Replayed::default()), "not while it is disabled");
    assert_eq!(world.core.store.messages(&id, 0, 10).await.expect("listed").len(), 4, "all are listed");
    assert_eq!(world.core.store.set_endpoint(&id, EndpointState::Active).await, Ok(true));
    world.core.store.replay(&id, 1, 10).await.expect("replayed");
    deliver(&world.core).await;
    let ids: std::collections::BTreeSet<String> = post.heard().iter().map(|heard| heard.id().to_owned()).collect();
    assert_eq!(ids.len(), 4, "every message arrived");
    assert_eq!(world.core.store.set_endpoint(&id, EndpointState::Removed).await, Ok(true));
    assert_eq!(world.core.store.set_endpoint(&id, EndpointState::Active).await, Ok(false), "removed for good");
    buy(&world, &machine).await;
    assert_eq!(world.core.store.messages(&id, 4, 10).await.expect("listed").len(), 0);
}

/// Two whole servers, whose runners wake by themselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_slow_endpoint_has_few_places_and_holds_nobody_else_up() {
    let stage = Stage::open().await;
    let (shop, mut customer) = (stage.shop().await, stage.customer("ada@example.org").await);
    let second = stage.second().await;
    let gate = Arc::new(Semaphore::new(0));
    let (slow, quick) = (Post::with(Some(Arc::clone(&gate))).await, Post::open().await);
    let core = &stage.running.app().core;
    endpoint(core, &slow.url).await;
    endpoint(core, &quick.url).await;
    for _ in 0..20 {
        let _: OrderAnswer = customer.get_yes(&crate::stage::order(shop.offer("print").digest(), "ok")).await;
    }
    // The quick endpoint has all of its messages while the slow one has not answered once.
    until(|| quick.heard().len() == 20 && slow.heard().len() == 8).await;
    assert_eq!(slow.at_once.lock().expect("free").1, 8, "in both processes together");
    gate.add_permits(1000);
    until(|| slow.heard().len() == 20).await;
    for post in [&slow, &quick] {
        let ids: std::collections::BTreeSet<String> = post.heard().iter().map(|heard| heard.id().to_owned()).collect();
        assert_eq!((ids.len(), post.heard().len()), (20, 20), "each message once");
        assert!(post.at_once.lock().expect("free").1 <= 8);
    }
    second.stop().await.expect("stops");
    stage.stop().await;
}

async fn until(happened: impl Fn() -> bool) {
    let begun = Instant::now();
    while !happened() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it did not happen");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn keys_are_published_a_day_before_they_sign_and_the_old_ones_sign_beside_them() {
    let (world, post) = (World::new().await, Post::open().await);
    let machine = world.machine("ada@example.org").await;
    let (id, old) = endpoint(&world.core, &post.url).await;
    let (sealed, new) = keys::new(&world.core.secrets, &id);
    let from = world.core.store.rotate_endpoint_keys(&id, sealed).await.expect("rotated").expect("from when");
    let in_seconds = from.seconds() - world.core.clock.now().seconds();
    assert!((24 * 3600 - 30..=24 * 3600).contains(&in_seconds), "{in_seconds}");
    assert_eq!(world.core.store.endpoint_keys(&id).await.expect("keys").len(), 2, "published at once");
    let (another, _) = keys::new(&world.core.secrets, &id);
    assert_eq!(world.core.store.rotate_endpoint_keys(&id, another).await, Ok(None), "one at a time");
    let mut seen = Vec::new();
    for hours in [0, 25, 46, 3] {
        world.core.clock.advance(hours * 3600);
        buy(&world, &machine).await;
        deliver(&world.core).await;
        seen.push(post.heard().last().expect("heard").signed_by(&[&old, &new]));
    }
    let (both, none) = ((true, true), (false, false));
    assert_eq!(seen, [[both, none], [both, both], [both, both], [none, both]], "at 0, 25, 71 and 74 hours");
    assert_eq!(world.core.store.endpoint_keys(&id).await.expect("keys").len(), 1);
    // Neither secret is in the database in the clear; the attack suite looks through all of its disk.
    for (number, keys) in [(1, &old), (2, &new)] {
        let secret = Base64::decode_vec(keys.shared().strip_prefix("whsec_").expect("a prefix")).expect("base64");
        let public = Base64::decode_vec(keys.public().strip_prefix("whpk_").expect("a prefix")).expect("base64");
        let column = |name: &str| {
            let sql = format!("SELECT {name} FROM webhook_keys WHERE endpoint = ?1 AND number = ?2");
            world.database().bytes(&sql, &[Of::Blob(&id.0.0), Of::Int(number)])
        };
        for sealed in [column("secret"), column("seed")] {
            assert!(sealed.len() > 60 && !sealed.windows(32).any(|window| window == secret));
        }
        assert_eq!(column("public"), public, "the control: what is public is there");
    }
    // What has ended, or belongs to an endpoint that was removed, is not kept, sealed or not.
    world.core.store.sweep().await.expect("swept");
    assert_eq!(count(&world, "SELECT count(*) FROM webhook_keys"), 1);
    assert_eq!(world.core.store.set_endpoint(&id, EndpointState::Removed).await, Ok(true));
    assert_eq!(count(&world, "SELECT count(*) FROM webhook_keys"), 0);
    for (days, left) in [(30, 1), (2, 0)] {
        world.core.clock.advance(days * 24 * 3600);
        world.core.store.sweep().await.expect("swept");
        assert_eq!(count(&world, "SELECT count(*) FROM webhook_endpoints"), left, "as long as its messages");
        assert_eq!(count(&world, "SELECT count(*) FROM effect_lanes"), left);
    }
}

/// Of an endpoint that does not answer, eight messages are tried once, and one at a time from then on: it takes the
/// places of a process from nobody else.
#[tokio::test]
async fn an_endpoint_that_was_slow_has_one_place_until_it_answers() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let (id, _) = endpoint(&world.core, "http://127.0.0.1:9/").await;
    for _ in 0..20 {
        buy(&world, &machine).await;
    }
    let store = &world.core.store;
    let claims = async || {
        world.core.clock.advance(6);
        store.claim_effects(0, 256).await.expect("claimed")
    };
    let finish = async |claims: &[EffectClaim], in_time: bool| {
        for claim in claims {
            let verdict = if in_time { EffectVerdict::Done } else { EffectVerdict::Again(claim.now.plus(5)) };
            let attempt = Attempt { status: in_time.then_some(204), verdict, in_time, gone: false };
            assert!(store.finish_delivery(claim, attempt).await.expect("written"));
        }
    };
    let first = claims().await;
    assert_eq!(first.len(), 8);
    finish(&first, false).await;
    for in_time in [false, true] {
        let one = claims().await;
        assert_eq!(one.len(), 1, "as long as it is slow");
        finish(&one, in_time).await;
    }
    for (places, left) in [(2, 17), (8, 9), (8, 1)] {
        let more = claims().await;
        assert_eq!(more.len(), places, "twice as many after each answer, and eight at most");
        finish(&more, true).await;
        let due = "SELECT count(*) FROM effects WHERE lane = ?1 AND state = 0";
        assert_eq!(world.database().number(due, &[Of::Blob(&id.0.0)]), left);
    }
}

/// The server is no way into its own network: by an address, by a name, by a redirect.
#[tokio::test]
async fn no_message_reaches_what_is_not_public_unless_the_operator_listed_it() {
    let (world, post, inside) = (World::new().await, Post::open().await, Post::open().await);
    let machine = world.machine("ada@example.org").await;
    // Stored as if it had been allowed once, or had another address when it was checked.
    let port = inside.url.rsplit(':').next().and_then(|rest| rest.split('/').next()).expect("a port").to_owned();
    for host in ["localhost", "127.0.0.1", "[::ffff:127.0.0.1]"] {
        endpoint(&world.core, &format!("http://{host}:{port}/")).await;
    }
    endpoint(&world.core, &post.url).await;
    post.next([Answer::Redirect(inside.url.clone())]);
    let strict = Core { outbound: Outbound::new(Networks::default(), Networks::default()), ..world.core.clone() };
    buy(&world, &machine).await;
    deliver(&strict).await;
    assert_eq!((post.heard().len(), inside.heard().len()), (0, 0), "none of them is public");
    // The control: listed, all of them arrive, and the redirect is an answer like any other that is no yes.
    world.core.clock.advance(5);
    deliver(&world.core).await;
    assert_eq!((post.heard().len(), inside.heard().len()), (1, 3));
    assert_eq!(count(&world, "SELECT count(*) FROM webhook_messages WHERE status = 307"), 1);
    world.core.clock.advance(300);
    deliver(&world.core).await;
    assert_eq!((post.heard().len(), inside.heard().len()), (2, 3));
}

/// A name that leads to an endpoint while it is looked at, and into the network afterwards.
#[tokio::test]
async fn a_name_that_changes_where_it_leads_leads_nowhere_else() {
    let own = TcpListener::bind("127.0.0.2:0").await.expect("a port");
    let port = own.local_addr().expect("an address").port();
    let inner = TcpListener::bind(("127.0.0.1", port)).await.expect("the same port, inside");
    let knocked = Arc::new(Mutex::new((0, 0)));
    let answer = async |listener: TcpListener, count: fn(&mut (u32, u32)) -> &mut u32| {
        let knocked = Arc::clone(&knocked);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                *count(&mut knocked.lock().expect("free")) += 1;
                use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(b"HTTP/1.1 204 Taken\r\nconnection: close\r\n\r\n").await;
            }
        });
    };
    answer(own, |(own, _)| own).await;
    answer(inner, |(_, inner)| inner).await;
    let networks = || Networks::new(vec!["127.0.0.2/32".parse().expect("a network")]);
    let url = format!("http://merchant.example:{port}/hook");
    let to = WebhookUrl::parse(&url, &networks()).expect("a name is judged when it is connected to");
    let (inside, outside): (IpAddr, IpAddr) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
    let leads = |answers: Vec<Vec<IpAddr>>| {
        let answers = Arc::new(Mutex::new(answers.into_iter()));
        Reach::resolving(
            networks(),
            Arc::new(move |_| {
                let next = answers.lock().expect("free").next().unwrap_or_default();
                Box::pin(async move { Ok(next) })
            }),
        )
    };
    // Looked at twice: the second time it leads inside.
    let changing = leads(vec![vec![outside], vec![inside]]);
    assert_eq!(changing.tell(&to, &[], Vec::new()).await, Ok(204), "the control: it leads where it may");
    assert!(matches!(changing.tell(&to, &[], Vec::new()).await, Err(OutboundError::Private(_))));
    // Both at once: the one that is allowed.
    let both = leads(vec![vec![inside, outside]]);
    assert_eq!(both.tell(&to, &[], Vec::new()).await, Ok(204));
    // An IPv4 address in an IPv6 one.
    let mapped: IpAddr = "::ffff:127.0.0.1".parse().expect("an address");
    let hidden = leads(vec![vec![mapped]]);
    assert!(matches!(hidden.tell(&to, &[], Vec::new()).await, Err(OutboundError::Private(_))));
    assert_eq!(*knocked.lock().expect("free"), (2, 0), "nobody knocked inside");
}

/// A receiver that was told keeps its place whatever the database forgets.
#[tokio::test]
async fn messages_leave_with_their_effects_after_a_month() {
    let (world, post) = (World::new().await, Post::open().await);
    let machine = world.machine("ada@example.org").await;
    let (id, _) = endpoint(&world.core, &post.url).await;
    buy(&world, &machine).await;
    deliver(&world.core).await;
    let left = |sql: &str| world.database().number(sql, &[Of::Blob(&id.0.0)]);
    world.core.clock.advance(30 * 24 * 3600);
    world.core.store.sweep().await.expect("swept");
    assert_eq!(left("SELECT count(*) FROM webhook_messages WHERE endpoint = ?1"), 1);
    world.core.clock.advance(2 * 24 * 3600);
    world.core.store.sweep().await.expect("swept");
    assert_eq!(left("SELECT count(*) FROM webhook_messages WHERE endpoint = ?1"), 0);
    assert_eq!(left("SELECT count(*) FROM effects WHERE lane = ?1"), 0);
    assert_eq!(count(&world, "SELECT count(*) FROM events"), 0, "events leave as well");
    buy(&world, &machine).await;
    assert_eq!(world.core.store.messages(&id, 0, 10).await.expect("listed")[0].seq, 2, "numbers go on");
}

/// Once an order is final, only the last word on it is tried again.
#[tokio::test]
async fn nothing_is_retried_about_an_order_that_is_final() {
    let (world, post) = (World::new().await, Post::open().await);
    let machine = world.machine("ada@example.org").await;
    let (id, _) = endpoint(&world.core, &post.url).await;
    post.next([Answer::Status(500)]);
    let request = order_request(world.offer("resize").await.1, "ok");
    let order = orders::order(&world.core, &machine.asker, &request, &fresh(&request)).await.expect("paid").order;
    deliver(&world.core).await;
    orders::refund(&world.core, &order).await.expect("paid back");
    deliver(&world.core).await;
    world.core.clock.advance(24 * 3600);
    deliver(&world.core).await;
    let kinds: Vec<String> =
        post.heard().iter().map(|heard| heard.json()["type"].as_str().expect("a type").to_owned()).collect();
    let times = |kind: &str| kinds.iter().filter(|heard| *heard == kind).count();
    assert_eq!((times("order.paid"), times("order.refunded")), (1, 1), "{kinds:?}");
    let states: Vec<_> = world.core.store.messages(&id, 0, 10).await.expect("listed").iter().map(|m| m.state).collect();
    assert_eq!(states, [EffectState::Failed, EffectState::Failed, EffectState::Done]);
}

/// Payments, refunds and deliveries at two processes and two endpoints wait for each other in one order.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn payments_and_deliveries_lock_no_two_endpoints_crosswise() {
    let world = World::new().await;
    let second = world.second().await;
    let machines = [world.machine("ada@example.org").await, world.machine("eve@example.org").await];
    let posts = [Post::open().await, Post::open().await];
    for post in &posts {
        endpoint(&world.core, &post.url).await;
    }
    let offer = world.offer("resize").await.1;
    let trade = async |core: &Core, machine: &Machine| {
        for _ in 0..15 {
            let request = order_request(offer, "ok");
            let paid = orders::order(core, &machine.asker, &request, &fresh(&request)).await.expect("paid");
            orders::refund(core, &paid.order).await.expect("paid back");
        }
    };
    let rounds = async |core: &Core| {
        for _ in 0..40 {
            effects::round(core).await.expect("a round");
        }
    };
    tokio::join!(trade(&world.core, &machines[0]), trade(&second, &machines[1]), rounds(&world.core), rounds(&second));
    world.core.clock.advance(10);
    deliver(&world.core).await;
    if let Place::Address(_) = world.database() {
        let sql = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
        assert_eq!(count(&world, sql), 0, "deadlocks");
    }
    for post in &posts {
        let refunded = post.heard().iter().filter(|heard| heard.json()["type"] == "order.refunded").count();
        assert!(refunded >= 30, "{refunded}");
    }
}

/// Orders of one merchant's codes are paid, fail, are disputed and are decided, at two processes: what they tell the
/// store and the merchant, and what they count, is locked in one order.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn payments_and_failures_of_codes_lock_no_two_rows_crosswise() {
    let world = World::new().await;
    let second = world.second().await;
    let shop = Shop::new(&world.core, "games").await;
    let machines = [world.machine("ada@example.org").await, world.machine("eve@example.org").await];
    endpoint(&world.core, "https://store.example/hook").await;
    let key = ReleaseSecretKey::generate(&mut rng());
    let trade = async |core: &Core, machine: &Machine| {
        for round in 0..30 {
            let request = wanted(shop.product, &key, "ok");
            let key = fresh(&request);
            let paid = orders::order(core, &machine.asker, request, &key).await.expect("paid").order;
            let play = async |what| {
                let event = PaymentEvent::new(paid, what);
                events::apply(core, SANDBOX, &event).await.expect("heard");
            };
            match round % 4 {
                0 => drop(orders::refund(core, &paid).await.expect("paid back")),
                1 => play(PaymentChange::Refunded).await,
                2 => {
                    play(PaymentChange::Disputed).await;
                    play(PaymentChange::DisputeWon).await;
                }
                _ => play(PaymentChange::ChargedBack).await,
            }
        }
    };
    tokio::join!(trade(&world.core, &machines[0]), trade(&second, &machines[1]));
    if let Place::Address(_) = world.database() {
        let sql = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
        assert_eq!(count(&world, sql), 0, "deadlocks");
    }
    assert_eq!(count(&world, "SELECT count(*) FROM orders WHERE state IN (0, 1)"), 0);
}
