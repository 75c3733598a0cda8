//! Events: pulled and pushed, at several processes, past gaps, and after a revocation.

use crate::database::Of;
use crate::stage::{Shop, Stage};
use crate::terminal::{Draft, Terminal};
use portcullis_protocol::wire::{EventsAnswer, OrderAnswer, OrderRequest, PaymentMethod};
use portcullis_protocol::{EpochId, Event, TerminalId, Unverified, paths};
use portcullis_server::billing::orders;
use portcullis_server::billing::payment::Decision;
use portcullis_server::store::{Cursor, Receiver};
use reqwest::Method;
use std::time::{Duration, Instant};

async fn pull(terminal: &mut Terminal, cursor: Option<(EpochId, u64)>) -> EventsAnswer {
    let path = match cursor {
        None => paths::EVENTS.to_owned(),
        Some((epoch, seq)) => paths::fill(paths::EVENTS_AFTER, &[&epoch, &seq]),
    };
    terminal.get_yes(&Draft::get(path)).await
}

/// The documents of an answer, each checked by itself.
fn read(terminal: &Terminal, answer: &EventsAnswer) -> Vec<Event> {
    let read = |compact: &String| {
        let event = Unverified::<Event>::parse(compact).expect("an event");
        let key = terminal.keys.signing_key(event.kid(), crate::terminal::now()).expect("a current key");
        event.verify(key).expect("signed by the server").into_document()
    };
    answer.events.iter().map(read).collect()
}

fn kind(event: &Event) -> &str {
    event.body.as_ref().map_or("", |body| body.kind.as_str())
}

async fn buy(shop: &Shop, customer: &mut Terminal, token: &str) -> OrderAnswer {
    let payment = PaymentMethod { provider: "sandbox".into(), token: token.into() };
    let request = OrderRequest { offer: shop.offer("print").digest(), payment, again: true };
    customer.get_yes(&Draft::post(paths::ORDERS, &request)).await
}

#[tokio::test]
async fn push_and_pull_say_the_same_in_the_same_order() {
    let stage = Stage::open().await;
    let (shop, mut customer) = (stage.shop().await, stage.customer("ada@example.org").await);
    let nothing = pull(&mut customer, None).await;
    assert_eq!((nothing.events.len(), nothing.last, nothing.gap), (0, 0, false));
    let epoch = nothing.epoch;
    let origin = stage.origin.to_string();
    let mut stream = customer.follow(&origin, epoch, 0).await.expect("a stream");
    let first = stream.next().await.expect("read").expect("a heartbeat");
    assert_eq!((first.epoch, first.seq, first.body), (epoch, 0, None), "the stream stands");
    let mut orders = Vec::new();
    for token in ["ok", "decline", "ok"] {
        orders.push(buy(&shop, &mut customer, token).await.order);
    }
    let mut pushed = Vec::new();
    for _ in 0..3 {
        pushed.push(stream.event().await.expect("an event"));
    }
    assert_eq!(pushed.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(pushed.iter().map(kind).collect::<Vec<_>>(), ["order.paid", "order.declined", "order.paid"]);
    for (event, order) in pushed.iter().zip(&orders) {
        assert_eq!(event.body.as_ref().expect("a body").data["order"], order.to_string());
    }
    let pulled = pull(&mut customer, Some((epoch, 1))).await;
    let read = read(&customer, &pulled);
    assert_eq!(
        read.iter().map(|event| &event.body).collect::<Vec<_>>(),
        pushed[1..].iter().map(|e| &e.body).collect::<Vec<_>>()
    );
    assert!(read.iter().all(|event| event.req != pushed[0].req), "each is bound to the request that asked");
    // Resumed, it goes on after the cursor.
    drop(stream);
    let mut again = customer.follow(&origin, epoch, 2).await.expect("a stream");
    assert_eq!(again.event().await.expect("an event").seq, 3);
    // Nobody else is told.
    let mut other = stage.customer("eve@example.org").await;
    assert_eq!(pull(&mut other, None).await.last, 0);
    drop(again);
    stage.stop().await;
}

/// What happened at another process is pushed at once, and the commits of the others do not matter.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn processes_wake_each_other() {
    let stage = Stage::open().await;
    let (shop, mut customer) = (stage.shop().await, stage.customer("ada@example.org").await);
    let second = stage.second().await;
    let epoch = pull(&mut customer, None).await.epoch;
    let there = format!("http://{}", second.address());
    let mut stream = customer.follow(&there, epoch, 0).await.expect("a stream of the other process");
    stream.next().await.expect("read").expect("a heartbeat");
    // Without being woken a stream looks once a second. A machine that stands still may need another round.
    let mut median = Duration::MAX;
    for round in 0..3 {
        let mut waits = Vec::new();
        for seq in 1..=10 {
            let answer = buy(&shop, &mut customer, "ok").await;
            let begun = Instant::now();
            let event = stream.event().await.expect("an event");
            waits.push(begun.elapsed());
            let order = &event.body.expect("a body").data["order"];
            assert_eq!((event.seq, order), (10 * round + seq, &answer.order.to_string().into()));
        }
        waits.sort();
        median = median.min(waits[5]);
        println!("woken by another process: median {:?}, longest {:?}", waits[5], waits[9]);
        if median < Duration::from_millis(400) {
            break;
        }
    }
    assert!(median < Duration::from_millis(400), "{median:?}");
    drop(stream);
    second.stop().await.expect("stops");
    stage.stop().await;
}

/// The numbers of a receiver have no gap and no order but that of the commits, whoever writes at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn events_of_one_receiver_are_numbered_without_gaps_by_two_processes() {
    let stage = Stage::open().await;
    let (shop, mut customer) = (stage.shop().await, stage.customer("ada@example.org").await);
    let second = stage.second().await;
    let mut placed = Vec::new();
    for _ in 0..20 {
        placed.push(buy(&shop, &mut customer, "pending").await.order);
    }
    let (one, two) = placed.split_at(10);
    let decide = async |app: &portcullis_server::App, placed: &[portcullis_protocol::OrderId]| {
        for order in placed {
            orders::decide(&app.core, order, Decision::Settled).await.expect("decided");
        }
    };
    tokio::join!(decide(stage.running.app(), one), decide(second.app(), two));
    let mut events = Vec::new();
    let mut cursor = None;
    loop {
        let page = pull(&mut customer, cursor).await;
        let Some(last) = read(&customer, &page).last().map(|event| event.seq) else { break };
        events.extend(read(&customer, &page));
        cursor = Some((page.epoch, last));
    }
    let numbers: Vec<u64> = events.iter().map(|event| event.seq).collect();
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
    second.stop().await.expect("stops");
    stage.stop().await;
}

#[tokio::test]
async fn a_stream_ends_with_its_token_within_a_second_of_a_revocation() {
    for how in ["session", "terminal", "account", "everywhere"] {
        // On a machine that stands still for a second nothing happens within one.
        let mut took = Duration::MAX;
        for _ in 0..3 {
            if took >= Duration::from_secs(1) {
                took = ended(how).await;
            }
        }
        assert!(took < Duration::from_secs(1), "{how}: {took:?}");
    }
}

/// Ends what a stream rests on. Returns after what time the stream has ended.
async fn ended(how: &str) -> Duration {
    let stage = Stage::open().await;
    let mut browser = stage.person("ada@example.org").await;
    let (mut victim, mut other) = (stage.terminal_of(&mut browser).await, stage.terminal_of(&mut browser).await);
    let epoch = pull(&mut victim, None).await.epoch;
    let origin = stage.origin.to_string();
    let mut stream = victim.follow(&origin, epoch, 0).await.expect("a stream");
    stream.next().await.expect("read").expect("a heartbeat");
    match how {
        "session" => {
            let refresh = victim.refresh.clone().expect("a token");
            let draft = Draft::form(paths::REVOKE, &[("token", &refresh), ("client_id", "portcullis")]);
            assert!(victim.send(&draft).await.status.is_success());
        }
        "terminal" => {
            let id = stage.database().bytes("SELECT id FROM terminals ORDER BY id LIMIT 1", &[]);
            let id = TerminalId::from_bytes(id.try_into().expect("16 bytes"));
            let path = paths::fill(paths::TERMINAL, &[&id]);
            let draft = Draft::json(Method::DELETE, path, &serde_json::json!({}));
            let _: portcullis_protocol::wire::Done = other.get_yes(&draft).await;
        }
        "account" => {
            stage.database().change(
                "UPDATE accounts SET suspended_at = 1 WHERE id = (SELECT id FROM accounts ORDER BY id DESC LIMIT 1)",
                &[],
            );
        }
        _ => {
            let draft = Draft::post(paths::SIGN_OUT, &serde_json::json!({}));
            let _: serde_json::Value = other.get_yes(&draft).await;
        }
    }
    let begun = Instant::now();
    while stream.next().await.expect("read").is_some() {}
    let took = begun.elapsed();
    let error = victim.follow(&origin, epoch, 0).await.expect_err("a no").to_string();
    assert!(error.contains("401") || error.contains("403"), "{how}: {error}");
    // The control: the other terminal's stream goes on, unless everything of the account ended.
    if how == "session" || how == "terminal" {
        let mut stream = other.follow(&origin, epoch, 0).await.expect("a stream");
        stream.next().await.expect("read").expect("a heartbeat");
    }
    stage.stop().await;
    took
}

#[tokio::test]
async fn a_gap_and_a_foreign_epoch_send_a_receiver_to_pull() {
    let stage = Stage::open().await;
    let (shop, mut customer) = (stage.shop().await, stage.customer("ada@example.org").await);
    for _ in 0..3 {
        buy(&shop, &mut customer, "ok").await;
    }
    let all = pull(&mut customer, None).await;
    let (epoch, origin) = (all.epoch, stage.origin.to_string());
    // The cursor of another epoch, and one that was told what this server never said.
    let foreign = EpochId::from_bytes([7; 16]);
    for (cursor, seq) in [(foreign, 2), (epoch, 99)] {
        let page = pull(&mut customer, Some((cursor, seq))).await;
        assert_eq!((page.epoch, page.events.len(), page.gap), (epoch, 3, true));
        let mut stream = customer.follow(&origin, cursor, seq).await.expect("a stream");
        let word = stream.next().await.expect("read").expect("where its events are");
        assert_eq!((word.epoch, word.seq, word.body), (epoch, 3, None));
        assert!(stream.next().await.expect("read").is_none(), "and no more");
    }
    // Old events leave: who has seen them misses nothing, who has not is told.
    stage.clock.advance(32 * 24 * 3600);
    stage.running.app().core.store.sweep().await.expect("swept");
    let receiver = stage.database().bytes("SELECT id FROM event_receivers WHERE kind = 0", &[]);
    let receiver = Receiver::Terminal(TerminalId::from_bytes(receiver.try_into().expect("16 bytes")));
    let store = &stage.running.app().core.store;
    let at = async |seq| {
        let page = store.events(&receiver, Some(Cursor { epoch, seq }), 10).await.expect("read");
        (page.events.len(), page.last, page.is_gap)
    };
    assert_eq!((at(3).await, at(2).await, at(0).await), ((0, 3, false), (0, 3, true), (0, 3, true)));
    assert_eq!(stage.database().number("SELECT count(*) FROM events WHERE seq > ?1", &[Of::Int(0)]), 0);
    stage.stop().await;
}

#[tokio::test]
async fn streams_are_bounded_and_end_with_the_server() {
    let stage = Stage::with(|config| config.limits.streams = 5).await;
    let (mut ada, mut eve) = (stage.customer("ada@example.org").await, stage.customer("eve@example.org").await);
    let (epoch, origin) = (pull(&mut ada, None).await.epoch, stage.origin.to_string());
    let mut streams = Vec::new();
    for _ in 0..4 {
        streams.push(ada.follow(&origin, epoch, 0).await.expect("a stream"));
    }
    let error = ada.follow(&origin, epoch, 0).await.expect_err("her fifth").to_string();
    assert!(error.contains("429"), "{error}");
    let _one = eve.follow(&origin, epoch, 0).await.expect("another's");
    let error = eve.follow(&origin, epoch, 0).await.expect_err("the server's sixth").to_string();
    assert!(error.contains("429"), "{error}");
    // A receiver that goes away leaves its place.
    drop(streams.pop());
    let begun = Instant::now();
    while let Err(error) = eve.follow(&origin, epoch, 0).await {
        assert!(begun.elapsed() < Duration::from_secs(15), "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let begun = Instant::now();
    stage.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(8), "streams hold nobody up");
    while streams[0].next().await.expect("read").is_some() {}
}

#[tokio::test]
async fn a_cursor_is_nobody_elses() {
    let stage = Stage::open().await;
    let (shop, mut ada) = (stage.shop().await, stage.customer("ada@example.org").await);
    let mut eve = stage.customer("eve@example.org").await;
    buy(&shop, &mut ada, "ok").await;
    let hers = pull(&mut ada, None).await;
    assert_eq!(hers.last, 1, "the control");
    let mine = pull(&mut eve, Some((hers.epoch, 0))).await;
    assert_eq!((mine.events.len(), mine.last), (0, 0));
    let mut stream = eve.follow(stage.origin.as_str(), hers.epoch, 0).await.expect("a stream");
    assert_eq!(stream.next().await.expect("read").expect("a heartbeat").seq, 0);
    stage.stop().await;
}
