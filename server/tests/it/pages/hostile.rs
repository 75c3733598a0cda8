//! Titles, descriptions and reasons that somebody chose who means harm: what would change how the text around it is
//! read is refused where it comes in, and the rest is nothing but text wherever it goes out.

use crate::codes::{Shop, signed_request};
use crate::stage::Stage;
use portcullis_protocol::encoding::base64url;
use portcullis_protocol::{Document, OrderId, Product};
use portcullis_server::ServiceError;
use portcullis_server::merchants::{self, products};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// What becomes of a text as a title.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    /// It is text like any other.
    Shown,
    /// It is not accepted.
    Refused,
}
use Fate::{Refused, Shown};

/// Texts, and what becomes of them as a title and as a description or a reason.
fn table() -> Vec<(&'static str, String, Fate, Fate)> {
    let text = str::to_owned;
    vec![
        ("a script", text("<script>alert(1)</script>"), Shown, Shown),
        ("out of an attribute", text("\"><img src=x onerror=alert(1)>"), Shown, Shown),
        ("out of a quoted attribute", text("' autofocus onfocus='alert(1)"), Shown, Shown),
        ("out of the title", text("</title><h1>Refunded</h1>"), Shown, Shown),
        ("out of a comment", text("--><b>"), Shown, Shown),
        ("an address", text("javascript:alert(1)"), Shown, Shown),
        ("escaped already", text("&lt;b&gt;&#x3c;i&#x3e;"), Shown, Shown),
        ("a template", text("{{7*7}} ${7*7} %s %n"), Shown, Shown),
        ("SQL", text("'); DROP TABLE products; --"), Shown, Shown),
        ("a homograph", text("Gаmes Shор (оfficial)"), Shown, Shown),
        ("letters of other scripts", text("ألعاب · 游戏 · ゲーム"), Shown, Shown),
        ("a new line", text("A game\nfree of charge"), Refused, Refused),
        ("a carriage return", text("A game\rfree"), Refused, Refused),
        ("a terminal's escape", text("\u{1b}[2J\u{1b}[31mA game"), Refused, Refused),
        ("a clipboard's escape", text("\u{1b}]52;c;QQ==\u{7}"), Refused, Refused),
        ("a C1 control", text("\u{9b}31mA game"), Refused, Refused),
        ("a null", text("A\0game"), Refused, Refused),
        ("turned around", text("A game \u{202e}RUE 00.5\u{202c}"), Refused, Refused),
        ("isolated", text("\u{2067}A game\u{2069}"), Refused, Refused),
        ("a mark of direction", text("\u{200f}A game"), Refused, Refused),
        ("without width", text("A\u{200b}game"), Refused, Refused),
        ("a tag", text("A game\u{e0041}"), Refused, Refused),
        ("a separator of lines", text("A\u{2028}game"), Refused, Refused),
        ("ten kilobytes", "x".repeat(10_240), Refused, Refused),
        ("longer than a title", "x".repeat(121), Refused, Shown),
        ("blanks", text("   "), Refused, Shown),
    ]
}

/// A product with texts as they are, signed by its merchant: no type of this program's own looks at them before.
fn signed(shop: &Shop, origin: &str, name: &str, title: &str, description: &str, now: u64) -> String {
    let header = json!({ "alg": "EdDSA", "kid": shop.key.public().thumbprint(), "typ": Product::TYP });
    let payload = json!({
        "merchant": shop.merchant.name, "aud": origin, "name": name, "title": title, "description": description,
        "price": { "minor_units": 1800, "currency": "EUR" }, "deadline": 600, "iat": now,
    });
    let part = |value: &Value| base64url(value.to_string().as_bytes());
    let input = format!("{}.{}", part(&header), part(&payload));
    format!("{input}.{}", base64url(&shop.key.sign(input.as_bytes()).0))
}

/// As a browser has to be sent a text, so that it is text.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[tokio::test]
async fn texts_of_merchants_are_refused_or_are_nothing_but_text_on_every_page_and_in_every_list() {
    let stage = Stage::open().await;
    let core = &stage.running.app().core;
    let shop = Shop::new(core, "games").await;
    let (origin, now) = (core.origin.to_string(), core.clock.now().seconds());
    // The control of the forge: a text that is all right, signed the same way.
    let good = signed(&shop, &origin, "plain", "A game", "It is fun.", now);
    products::sell(core, &shop.merchant, &good).await.expect("sold");
    let mut browser = stage.person("ada@example.org").await;

    for (number, (what, text, as_title, as_description)) in table().into_iter().enumerate() {
        for (title, description, fate) in [(text.as_str(), "", as_title), ("A game", text.as_str(), as_description)] {
            let name = format!("product-{number}");
            let compact = signed(&shop, &origin, &name, title, description, now);
            let sold = products::sell(core, &shop.merchant, &compact).await;
            if fate == Refused {
                let Err(ServiceError::Unacceptable(why)) = sold else { panic!("{what}: {sold:?}") };
                assert!(!why.chars().any(portcullis_protocol::text::disturbs), "{what}: the error repeats it: {why}");
                assert!(why.len() < 500, "{what}: the error is as long as the text");
                assert_eq!(browser.get(&format!("/merchants/games/{name}")).await.status, StatusCode::NOT_FOUND);
                continue;
            }
            let product = sold.unwrap_or_else(|error| panic!("{what}: {error}")).product;
            let of_it = Shop { merchant: shop.merchant.clone(), key: shop.key.clone(), product };
            let asked = signed_request(core, &of_it, "15.00 EUR");
            let pay = products::request(core, &shop.merchant, asked.compact()).await.expect("taken").request;
            let pay = format!("/pay/{pay}");
            let path = format!("/merchants/games/{name}");
            let shown = browser.get(&path).await;
            assert!(shown.text.contains(&escaped(&text)), "{what}: {}", shown.text);
            let pages = [path.as_str(), pay.as_str(), "/merchants/games", "/search?kind=code"];
            for at in pages {
                let page = browser.get(at).await;
                assert_eq!(page.status, StatusCode::OK, "{what}: {at}");
                if text.contains(['<', '"']) {
                    assert!(!page.text.contains(&text), "{what}: {at}: {}", page.text);
                }
                assert!(!page.text.contains("<script") && !page.text.contains("<img src=x"), "{what}: {at}");
            }
            // In JSON it is what its merchant wrote.
            let entry = merchants::registration::show(core, &shop.merchant.name).await.expect("shown");
            assert!(entry.products.contains(&compact), "{what}: not a byte of it is changed");
            if !description.is_empty() {
                let end = core.store.end_product(&shop.merchant.id, &name.parse().expect("a name")).await;
                assert!(end.expect("ended"));
            }
        }
        // Why an order is declined is for the operator, and for nobody's terminal to obey.
        let nobodys = OrderId::from_bytes([7; 16]);
        let declined = merchants::orders::decline(core, &shop.merchant, &nobodys, &text).await;
        let fits = text.len() <= 200 && as_description == Shown;
        match declined {
            Err(ServiceError::Unacceptable(_)) => assert!(!fits, "{what}"),
            Err(ServiceError::Refused(_)) => assert!(fits, "{what}: it gets as far as the order"),
            other => panic!("{what}: {other:?}"),
        }
    }
    stage.stop().await;
}

/// PostgreSQL takes no text with U+0000: a form that sends one is not the page's, and a link says nothing with it.
#[tokio::test]
async fn the_character_that_no_database_takes_stays_outside() {
    let stage = Stage::open().await;
    let mut browser = stage.person("ada@example.org").await;
    let csrf = browser.get("/account/means").await.csrf();
    for (path, fields) in [
        ("/account/means", &[("provider", "sandbox")][..]),
        ("/account/redeem", &[("code", "a code")]),
        ("/account/end", &[("id", "nobody's")]),
        ("/sign-in", &[("email", "ada@example.org"), ("password", "a password")]),
    ] {
        let sent = |text: &str| -> Vec<(String, String)> {
            let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), format!("{value}{text}")));
            fields.chain([("csrf".to_owned(), csrf.clone())]).collect()
        };
        for (text, is_form) in [("\0", false), ("%00", true)] {
            let fields = sent(text);
            let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let page = browser.post(path, &fields).await;
            assert_eq!(page.status != StatusCode::BAD_REQUEST, is_form, "{path}: {}", page.text);
            assert!(!page.status.is_server_error(), "{path}: {}", page.text);
        }
    }
    for path in ["/search?q=a%00b", "/search?kind=%00", "/device?code=%00", "/sign-in?to=%00", "/?to=%00"] {
        assert!(!browser.get(path).await.status.is_server_error(), "{path}");
    }
    stage.stop().await;
}
