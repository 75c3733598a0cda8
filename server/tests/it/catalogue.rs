//! What everybody sees: search, entries, files; and prices.

use crate::stage::{Stage, catalogue, read_offer, terms};
use crate::terminal::Draft;
use portcullis_protocol::Rights;
use portcullis_protocol::sealed::Sealed;
use portcullis_protocol::wire::{OffersAnswer, OffersRequest, SearchAnswer};
use reqwest::header::{ACCEPT_RANGES, CONTENT_RANGE, ETAG, IF_NONE_MATCH, IF_RANGE, RANGE};
use reqwest::{Method, StatusCode};

#[tokio::test]
async fn a_resource_is_found_by_its_words() {
    let stage = Stage::open().await;
    let shop = stage.shop().await;
    let search = async |query: &str| -> SearchAnswer {
        let url = format!("{}/v1/search?{query}", stage.origin);
        let answer = shop.terminal.http.get(url).send().await.expect("answers");
        assert_eq!(answer.status(), StatusCode::OK, "{query}");
        serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("results")
    };
    for found in ["", "q=alpine", "q=LAKE+glacier", "q=lumen", "kind=picture"] {
        let answer = search(found).await;
        assert_eq!(answer.results.len(), 1, "{found}");
        assert_eq!(answer.next, None);
        assert_eq!(answer.results[0].offers.len(), 3);
    }
    for missed in ["q=desert", "q=alpine+desert", "kind=music", "q=%25", "page=1"] {
        assert!(search(missed).await.results.is_empty(), "{missed}");
    }
    let url = format!("{}/v1/search?q={}", stage.origin, "a".repeat(300));
    assert_eq!(shop.terminal.http.get(url).send().await.expect("answers").status(), StatusCode::BAD_REQUEST);
    for bad in ["page=-1", "page=99999", "unknown=1", "q=a%00b", "kind=%00"] {
        let url = format!("{}/v1/search?{bad}", stage.origin);
        assert_eq!(
            shop.terminal.http.get(url).send().await.expect("answers").status(),
            StatusCode::BAD_REQUEST,
            "{bad}"
        );
    }
    stage.stop().await;
}

#[tokio::test]
async fn files_are_served_whole_and_in_ranges() {
    let stage = Stage::open().await;
    let shop = stage.shop().await;
    let http = &shop.terminal.http;
    let url = format!("{}/v1/files/{}", stage.origin, shop.resource);
    let whole = http.get(&url).send().await.expect("answers");
    assert_eq!(whole.status(), StatusCode::OK);
    assert_eq!(whole.headers()[ETAG], format!("\"{}\"", shop.resource).as_str());
    assert_eq!(whole.headers()[ACCEPT_RANGES], "bytes");
    let whole = whole.bytes().await.expect("a body").to_vec();
    let size = whole.len();
    Sealed::open(whole.clone()).expect("sealed");

    let part = http.get(&url).header(RANGE, "bytes=10-19").send().await.expect("answers");
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.headers()[CONTENT_RANGE], format!("bytes 10-19/{size}").as_str());
    assert_eq!(part.bytes().await.expect("a body"), whole[10..20]);

    let etag = format!("\"{}\"", shop.resource);
    let resumed = http.get(&url).header(RANGE, format!("bytes={}-", size - 5)).header(IF_RANGE, &etag);
    let resumed = resumed.send().await.expect("answers");
    assert_eq!(resumed.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(resumed.bytes().await.expect("a body"), whole[size - 5..]);
    let changed =
        http.get(&url).header(RANGE, "bytes=5-").header(IF_RANGE, "\"another\"").send().await.expect("answers");
    assert_eq!(changed.status(), StatusCode::OK, "another file: from the beginning");

    let beyond = http.get(&url).header(RANGE, format!("bytes={size}-")).send().await.expect("answers");
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(beyond.headers()[CONTENT_RANGE], format!("bytes */{size}").as_str());
    let known = http.get(&url).header(IF_NONE_MATCH, &etag).send().await.expect("answers");
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    let head = http.head(&url).send().await.expect("answers");
    assert_eq!(head.status(), StatusCode::OK);
    assert_eq!(head.headers()["content-length"], size.to_string().as_str());
    assert!(head.bytes().await.expect("a body").is_empty());

    for path in ["nonsense", "..%2F..%2Fmaster.key", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        let url = format!("{}/v1/files/{path}", stage.origin);
        assert_eq!(http.get(url).send().await.expect("answers").status(), StatusCode::NOT_FOUND, "{path}");
    }
    stage.stop().await;
}

#[tokio::test]
async fn a_price_list_is_replaced_as_a_whole_by_its_publisher() {
    let stage = Stage::open().await;
    let mut shop = stage.shop().await;
    let path = "/v1/catalogue/lumen/alpine-lake/offers";
    let put = |offers| Draft::json(Method::PUT, path, &OffersRequest { offers });

    let mut cheaper = terms("view", Rights::Perpetual {}, "0.99 EUR");
    cheaper.id = Some(shop.offer("view").document().id);
    let OffersAnswer { offers } = shop.terminal.get_yes(&put(vec![cheaper])).await;
    let [offer] = offers.as_slice() else { panic!("one offer") };
    let offer = read_offer(&shop.terminal, offer);
    assert_eq!(offer.document().id, shop.offer("view").document().id, "revised");
    assert_ne!(offer.digest(), shop.offer("view").digest(), "another price is another digest");
    assert_eq!(catalogue(&shop.terminal, "/v1/catalogue/lumen/alpine-lake").await.offers.len(), 1);

    for bad in [
        terms("fly", Rights::Perpetual {}, "1.00 EUR"),
        terms("view", Rights::Uses { count: 0 }, "1.00 EUR"),
        terms("view", Rights::Free {}, "1.00 EUR"),
    ] {
        let answer = shop.terminal.send(&put(vec![bad.clone()])).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{bad:?}");
    }
    let negative = br#"{"offers":[{"operation":"view","title":"x","rights":{"model":"perpetual"},"price":{"minor_units":-1,"currency":"EUR"}}]}"#;
    let negative = Draft { body: negative.to_vec(), ..put(Vec::new()) };
    assert_eq!(shop.terminal.send(&negative).await.status, StatusCode::BAD_REQUEST);

    let mut stranger = stage.customer("ada@example.org").await;
    let answer = stranger.send(&put(vec![terms("view", Rights::Perpetual {}, "0.01 EUR")])).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND, "somebody else's resource");
    assert_eq!(catalogue(&shop.terminal, "/v1/catalogue/lumen/alpine-lake").await.offers.len(), 1);
    stage.stop().await;
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let stage = Stage::open().await;
    let http = reqwest::Client::new();
    for path in ["/v1/catalogue/lumen/alpine-lake", "/v1/catalogue/LUMEN/x", "/v1/catalogue/a%00b/x", "/nothing"] {
        let answer = http.get(format!("{}{path}", stage.origin)).send().await.expect("answers");
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{path}");
    }
    stage.stop().await;
}
