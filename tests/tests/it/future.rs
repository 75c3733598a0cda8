//! A server from the future, and a terminal of this version: it goes on with what it understands, and names the rest.
//! The same proxy without changes is the control.

use anyhow::{Context as _, Result, bail, ensure};
use portcullis_host::{Client, ClientOptions, Error, InstallSource, Terms};
use portcullis_protocol::wire::{OrderState, PaymentMethod};
use portcullis_protocol::{Origin, paths};
use portcullis_tests::future::{Document, Future, Passing, Pen};
use portcullis_tests::{Browser, Ran, Terminal};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

const PASSWORD: &str = "correct horse battery staple 4411";
const NAME: &str = "tessera/lake";
/// What a terminal says of what it cannot read.
const UNKNOWN: &str = "sold under terms that this version does not know; update";
/// Values whose form is fixed: a member more would be another value.
const FIXED: [&str; 7] = ["rights", "price", "amount", "held", "root", "jwk", "publisher_key"];

/// A store behind the proxy, and what it sells.
struct Store {
    future: Future,
    folder: TempDir,
    publisher: Terminal,
    people: u32,
}

impl Store {
    /// With a picture on sale: `preview` is free, `view` is sold for good and by the unit, `hire` is rented, `print`
    /// is not sold.
    async fn open() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let future = Future::open(&folder.path().join("server")).await?;
        let publisher = Terminal::new(folder.path().join("publisher"));
        let mut store = Self { future, folder, publisher, people: 0 };
        store.publisher = store.terminal("publisher").await?;
        let project = store.path("lake");
        let path = "lake";
        store.publish(&["new", path, "--language", "wat", "--kind", "picture", "--publisher", "tessera"])?;
        let file = project.join("portcullis.toml");
        let more = "\n[[offer]]\noperation = \"view\"\ntitle = \"One look\"\nmodel = \"metered\"\nprice = \"0.10 EUR\"\n\
                    \n[[operation]]\nname = \"print\"\ntitle = \"Print it\"\nparts = [\"full\"]\n\
                    \n[[operation]]\nname = \"hire\"\ntitle = \"Hire it\"\nparts = [\"full\"]\n\
                    \n[[offer]]\noperation = \"hire\"\ntitle = \"A weekend\"\nmodel = \"rental\"\nprice = \"0.50 EUR\"\n\
                    start_within = \"30d\"\nuse_within = \"48h\"\n";
        let text = fs::read_to_string(&file)?.replace("[resource]", "[resource]\nadvisory_metering = true");
        fs::write(&file, text + more)?;
        store.publish(&["build", path])?;
        store.publish(&["keygen", "-o", "tessera.jwk"])?;
        let origin = store.future.server.origin().to_owned();
        store.publish(&["seal", path, "--server", &origin, "--key", "tessera.jwk", "-o", "lake.sealed.wasm"])?;
        store.publish(&["publish", "lake.sealed.wasm", "--project", path, "--key", "tessera.jwk"])?;
        Ok(store)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn publish(&self, arguments: &[&str]) -> Result<Ran> {
        self.publisher.run(arguments)?.done()
    }

    async fn person(&mut self) -> Result<Browser> {
        self.people += 1;
        let mut browser = Browser::new(self.future.server.origin())?;
        browser.sign_up(&format!("person{}@mail.example", self.people), PASSWORD).await?;
        Ok(browser)
    }

    /// A terminal of somebody new.
    async fn terminal(&mut self, home: &str) -> Result<Terminal> {
        let mut browser = self.person().await?;
        let terminal = Terminal::new(self.path(home));
        terminal.login(&self.future.server, &mut browser).await?.done()?;
        Ok(terminal)
    }

    /// A program's client of somebody new.
    async fn client(&mut self, home: &str) -> Result<Client> {
        let mut browser = self.person().await?;
        let client = Client::open(ClientOptions::new().state_dir(self.path(home)))?;
        let sign_in = client.sign_in(&self.origin()?, "a program").await?;
        browser.approve(&sign_in.user_code(), &sign_in.terminal_words()).await?;
        sign_in.finish().await?;
        Ok(client)
    }

    fn origin(&self) -> Result<Origin> {
        Ok(self.future.server.origin().parse()?)
    }
}

/// Adds a member to every object that may grow.
fn grow(value: &mut Value) {
    match value {
        Value::Object(members) => {
            let open = members.iter_mut().filter(|(name, _)| !FIXED.contains(&name.as_str()));
            open.for_each(|(_, member)| grow(member));
            members.insert("colour".into(), json!({"of": ["the", "future"]}));
        }
        Value::Array(items) => items.iter_mut().for_each(grow),
        _ => {}
    }
}

/// Adds an entry to the list of this name.
fn list(body: &mut Value, name: &str, entry: Value) {
    if let Some(entries) = body.get_mut(name).and_then(Value::as_array_mut) {
        entries.push(entry);
    }
}

/// The offers of a later version beside one of this version: of another model for two operations, and with a member
/// more.
fn later_offers(pen: &Pen, known: &str) -> Vec<Value> {
    let Some(Document { typ, payload }) = Document::read(known) else { return Vec::new() };
    let with = |member: &str, value: Value| {
        let mut payload = payload.clone();
        payload[member] = value;
        payload
    };
    let mut season = with("rights", json!({"model": "season", "until": "autumn"}));
    season["operation"] = "view".into();
    let mut print = season.clone();
    print["operation"] = "print".into();
    [season, print, with("discount", json!(5))].iter().map(|offer| pen.sign(&typ, offer).into()).collect()
}

fn add_offers(pen: &Pen, body: &mut Value) {
    if let Some(offers) = body.get_mut("offers").and_then(Value::as_array_mut)
        && let Some(known) = offers.first().and_then(Value::as_str).map(str::to_owned)
    {
        offers.extend(later_offers(pen, &known));
    }
}

/// What a later version may answer in the place of this one.
fn later(pen: &Pen, passing: &mut Passing) {
    if let Some(signed) = passing.signed.as_mut().filter(|signed| signed.typ == "portcullis-refusal+jwt") {
        signed.payload["more"] = json!({"queue": {"place": 3}});
        add_offers(pen, &mut signed.payload);
        grow(&mut passing.answer);
        return;
    }
    if passing.is_of_the_cycle() {
        return;
    }
    grow(&mut passing.answer);
    if passing.is_to("GET", "/v1/catalogue/") {
        add_offers(pen, &mut passing.answer);
    }
    if let Some(results) = passing.answer.get_mut("results").and_then(Value::as_array_mut) {
        results.iter_mut().for_each(|entry| add_offers(pen, entry));
        results.push(json!({"publisher": "tessera", "name": "voucher", "goods": "gift-card"}));
    }
    let Some(body) = passing.body() else { return };
    grow(body);
    let (publisher, name) = NAME.split_once('/').unwrap_or_default();
    let season = json!({"publisher": publisher, "name": name, "operation": "view", "remaining": null, "revoked": false,
        "rights": {"model": "season", "until": "autumn"}});
    list(body, "entitlements", season.clone());
    list(body, "receipts", pen.sign("portcullis-gift-card+jwt", &json!({"worth": 5})).into());
    list(body, "receipts", pen.sign("portcullis-receipt+jwt", &season).into());
    list(body, "receipts", pen.sign("portcullis-top-up+jwt", &json!({"points": 5})).into());
    list(body, "refunds", json!({"voucher": "a code"}));
    list(body, "balances", json!({"points": 12}));
    list(body, "terminals", json!({"terminal": "a chip"}));
    list(body, "sessions", json!({"session": "of a chip"}));
    list(body, "orders", json!({"order": "a later one", "goods": {"kind": "gift-card"}}));
    list(body, "resources", json!({"bundle": "of films"}));
}

fn text(ran: &Ran) -> String {
    format!("{}{}", String::from_utf8_lossy(&ran.stdout), ran.stderr)
}

/// Runs a command that has to end with this code and to say all this; what it prints besides is returned.
fn expect(terminal: &Terminal, arguments: &[&str], exit: i32, says: &[&str]) -> Result<String> {
    let ran = terminal.run(arguments)?;
    let said = text(&ran);
    ensure!(ran.exit == exit, "`{}` ended with {} and not {exit}:\n{said}", ran.line, ran.exit);
    for wanted in says {
        ensure!(said.contains(wanted), "`{}` does not say {wanted:?}:\n{said}", ran.line);
    }
    Ok(said)
}

/// The whole of a terminal's life, as a person types it: all that is printed.
async fn live(store: &mut Store, is_later: bool) -> Result<String> {
    let user = store.terminal(if is_later { "later" } else { "now" }).await?;
    let unknown: &[&str] = if is_later { &[UNKNOWN] } else { &[] };
    let both = |known: &'static str| -> Vec<&'static str> { if is_later { vec![known, UNKNOWN] } else { vec![known] } };
    let more: &[&str] = if is_later { &["more that this version does not know; update"] } else { &[] };
    let mut all = String::new();
    let mut run = |arguments: &[&str], exit: i32, says: &[&str]| -> Result<()> {
        all += &expect(&user, arguments, exit, says)?;
        Ok(())
    };
    run(&["search", "lake"], 0, &both("1.99 EUR"))?;
    run(&["inspect", NAME], 0, &both("1.99 EUR"))?;
    run(&["install", NAME], 0, &both("1.99 EUR"))?;
    run(&["list"], 0, &["lake"])?;
    run(&["update", "lake"], 0, &[])?;
    run(&["price", NAME], 0, &both("0.10 EUR"))?;
    run(&["run", "--invoke", "preview()", "-o", "sketch.svg", NAME], 0, &["wrote sketch.svg"])?;
    // Unpaid: refused, with every offer.
    run(&["run", "--invoke", "view()", "-o", "none.svg", NAME], 20, &both("0.10 EUR"))?;
    // What is sold under a model that is not known cannot be bought by this version, and says so.
    let not_sold = if is_later { UNKNOWN } else { "the store sells no operation `print`" };
    run(&["buy", NAME, "--operation", "print", "--yes"], 1, &[not_sold])?;
    // By the unit, then for good.
    run(&["top-up", "1.00EUR", "--yes"], 0, &["paid in"])?;
    run(&["run", "--invoke", "view()", "--max-spend", "0.10EUR", "-o", "one.svg", NAME], 0, &["wrote one.svg"])?;
    run(&["balance"], 0, &["0.90 EUR"])?;
    run(&["buy", NAME, "--operation", "view", "--yes"], 0, &["bought", "1.99 EUR"])?;
    run(&["run", "--invoke", "view()", "-o", "full.svg", NAME], 0, &["wrote full.svg"])?;
    run(&["buy", NAME, "--operation", "hire", "--yes"], 0, &["bought", "for 2 days, to be started within 30 days"])?;
    run(&["grants"], 0, &both("view"))?;
    run(&["receipts"], 0, &both("1.99 EUR"))?;
    run(&["receipts"], 0, &["1.00 EUR"])?;
    run(&["balance"], 0, more)?;
    run(&["terminals"], 0, more)?;
    run(&["whoami"], 0, more)?;
    run(&["doctor"], 0, &[])?;
    // Programs read the same.
    let json: Value = user.run(&["--json", "search", "lake"])?.done()?.json()?;
    let lists = |value: &Value| value.as_array().map_or(0, Vec::len);
    let found = &json["results"][0];
    ensure!((lists(&found["offers"]), lists(&found["unknown_offers"])) == (4, if is_later { 3 } else { 0 }), "{json}");
    ensure!(lists(&json["unknown"]) == usize::from(is_later), "{json}");
    let json: Value = user.run(&["--json", "receipts"])?.done()?.json()?;
    ensure!((lists(&json["receipts"]), lists(&json["top_ups"])) == (2, 1), "{json}");
    ensure!(unknown.is_empty() == json["unknown"].is_null(), "{json}");
    Ok(all)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminal_goes_on_with_what_it_understands_and_names_the_rest() -> Result<()> {
    let mut store = Store::open().await?;
    // The control: the same proxy, which changes nothing.
    let all = live(&mut store, false).await?;
    ensure!(!all.contains("does not know"), "nothing is unknown: {all}");

    store.future.change(later);
    live(&mut store, true).await?;
    // A publisher sees such an offer on its price list, and does not end it by mistake.
    let cheaper = ["price", NAME, "--operation", "view", "--model", "perpetual", "--price", "1.49 EUR"];
    expect(&store.publisher, &["price", NAME], 0, &[UNKNOWN])?;
    expect(&store.publisher, &cheaper, 1, &["update"])?;
    // A new key would have to stand for what this version cannot read.
    store.publish(&["keygen", "-o", "new.jwk"])?;
    let change = ["change-key", "tessera", "new.jwk", "--key", "tessera.jwk", "--yes"];
    expect(&store.publisher, &change, 1, &["update"])?;
    store.future.change_nothing();
    expect(&store.publisher, &cheaper, 0, &["1.49 EUR"])?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_goes_on_with_what_it_understands_and_is_handed_the_rest() -> Result<()> {
    let mut store = Store::open().await?;
    let origin = store.origin()?;
    for is_later in [false, true] {
        if is_later {
            store.future.change(later);
        }
        let client = store.client(if is_later { "later" } else { "now" }).await?;
        let shop = client.store(&origin);
        let entry = shop.entry(&"tessera".parse()?, &"lake".parse()?).await?;
        let unknown: Vec<_> =
            entry.unknown_offers.iter().map(|offer| (offer.text("operation"), offer.model())).collect();
        ensure!(entry.offers.len() == 4, "{entry:?}");
        let season = |operation: &str| (Some(operation.to_owned()), Some("season".to_owned()));
        if is_later {
            ensure!(unknown[..2] == [season("view"), season("print")] && unknown.len() == 3, "{unknown:?}");
        } else {
            ensure!(unknown.is_empty(), "{unknown:?}");
        }
        let found = shop.search("lake", None, None).await?;
        ensure!((found.results.len(), found.unknown.len()) == (1, usize::from(is_later)), "{found:?}");

        let source: InstallSource = NAME.parse()?;
        client.library().install(&source, &|_, _| {}).await?;
        let runtime = client.runtime().build()?;
        let installed = client.library().find("lake")?;
        let resource = runtime.load(installed.path.as_path())?;
        let Err(Error::Refused(refused)) = resource.authorize("view").await else { bail!("nothing was paid") };
        ensure!(
            (refused.offers.len(), refused.unknown_offers().len()) == (2, if is_later { 3 } else { 0 }),
            "{refused:?}"
        );

        // An entitlement of a later model allows nothing here, and hides nothing that is held besides.
        let offer = entry
            .offers
            .iter()
            .find(|offer| offer.document().operation.as_str() == "view" && offer.document().rights.is_bought())
            .context("an offer")?;
        let payment = || PaymentMethod { provider: "sandbox".into(), token: "ok".into() };
        let order = shop.order(offer, payment()).await?;
        ensure!(order.state == OrderState::Paid && order.paid().is_some(), "{order:?}");
        ensure!(shop.order_state(order.id).await?.paid().is_some(), "it is paid");
        let held = shop.entitlements().await?;
        ensure!((held.len(), held.unknown.len()) == (1, usize::from(is_later)), "{held:?}");
        let authorised = resource.authorize_with("view", Terms::default()).await?;
        ensure!(!authorised.call("view", &[]).await?.is_empty(), "it runs");

        let receipts = shop.receipts().await?;
        ensure!((receipts.len(), receipts.unknown.len()) == (1, if is_later { 3 } else { 0 }), "{receipts:?}");
        let balances = shop.balances().await?;
        ensure!((balances.len(), balances.unknown.len()) == (0, usize::from(is_later)), "{balances:?}");
        ensure!(shop.refunds().await?.unknown.len() == usize::from(is_later), "refunds");
        ensure!(shop.unpaid_orders().await?.unknown.len() == usize::from(is_later), "unpaid orders");
        ensure!(shop.top_ups().await?.unknown.len() == if is_later { 3 } else { 0 }, "top-ups");
        ensure!(shop.account().await?.terminals.unknown.len() == usize::from(is_later), "terminals");
        ensure!(shop.sessions().await?.sessions.unknown.len() == usize::from(is_later), "sessions");
    }
    Ok(())
}

/// Answers every order with this state; the receipt stays, as a trap.
fn answer_orders(state: &'static str) -> impl Fn(&Pen, &mut Passing) + Send + Sync + 'static {
    move |_, passing| {
        if (passing.is_to("POST", paths::ORDERS) || passing.is_to("POST", paths::TOP_UPS))
            && let Some(body) = passing.body()
        {
            body["state"] = state.into();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_of_an_order_that_is_not_known_is_shown_and_is_not_paid() -> Result<()> {
    let mut store = Store::open().await?;
    let user = store.terminal("user").await?;
    store.future.change(answer_orders("held-for-review"));
    for arguments in [&["buy", NAME, "--operation", "view", "--yes"][..], &["top-up", "1.00EUR", "--yes"]] {
        let said = expect(&user, arguments, 0, &["ordered", "`held-for-review`", "nothing counts as paid", "Update"])?;
        ensure!(!said.contains("bought") && !said.contains("paid in") && !said.contains("charged"), "{said}");
    }
    let other = store.terminal("other").await?;
    let json: Value = other.run(&["--json", "buy", NAME, "--operation", "view", "--yes"])?.done()?.json()?;
    ensure!(json["state"] == "held-for-review" && json["receipt"].is_null(), "{json}");
    // For a program: neither paid nor a failure of the line, and the order's identifier is there to ask with later.
    let client = store.client("program").await?;
    let shop = client.store(&store.origin()?);
    let entry = shop.entry(&"tessera".parse()?, &"lake".parse()?).await?;
    let offer = entry
        .offers
        .iter()
        .find(|offer| offer.document().operation.as_str() == "view" && offer.document().rights.is_bought())
        .context("an offer")?;
    let order = shop.order(offer, PaymentMethod { provider: "sandbox".into(), token: "ok".into() }).await?;
    ensure!(matches!(order.state, OrderState::Other(code) if code.code() == "held-for-review"), "{order:?}");
    ensure!(order.paid().is_none(), "{order:?}");
    // An order of goods that are not known: its receipt is none that this version reads.
    store.future.change(|pen, passing| {
        if passing.is_to("GET", "/v1/orders/")
            && let Some(body) = passing.body()
        {
            body["receipt"] = pen.sign("portcullis-gift-card+jwt", &json!({"worth": 5})).into();
        }
    });
    let shown = shop.order_state(order.id).await?;
    ensure!(shown.paid().is_none() && shown.unknown_receipt.is_some(), "{shown:?}");
    // What is no state at all is no answer.
    store.future.change(answer_orders("Paid\u{1b}[2J"));
    let third = store.terminal("third").await?;
    let said = expect(&third, &["buy", NAME, "--operation", "view", "--yes"], 41, &["offline"])?;
    ensure!(!said.contains('\u{1b}'), "{said:?}");

    // The control.
    store.future.change_nothing();
    let fourth = store.terminal("fourth").await?;
    expect(&fourth, &["buy", NAME, "--operation", "view", "--yes"], 0, &["bought"])?;
    ensure!(shop.order_state(order.id).await?.paid().is_some(), "the store had it paid");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reason_that_is_not_known_is_a_no_in_the_stores_own_words() -> Result<()> {
    let mut store = Store::open().await?;
    let user = store.terminal("user").await?;
    expect(&user, &["install", NAME], 0, &[])?;
    let run = ["run", "--invoke", "view()", "-o", "full.svg", NAME];
    expect(&user, &run, 20, &["payment-required"])?;
    store.future.change(|_, passing| {
        if let Some(signed) = passing.signed.as_mut().filter(|signed| signed.typ == "portcullis-refusal+jwt") {
            signed.payload["reason"] = "gift-card-needed".into();
            signed.payload["detail"] = "Bring a card from the shop.".into();
            signed.payload["more"] = json!({"shop": "around the corner"});
        }
    });
    let said = expect(&user, &run, 44, &["gift-card-needed", "Bring a card from the shop."])?;
    ensure!(!said.contains("offline"), "{said}");
    let json: Value = user.run(&["--json", "run", "--invoke", "view()", "-o", "full.svg", NAME])?.json()?;
    ensure!(json["error"]["reason"] == "gift-card-needed", "{json}");
    ensure!(json["error"]["more"]["shop"] == "around the corner", "{json}");
    ensure!(!store.path("full.svg").exists(), "nothing was allowed");
    Ok(())
}

/// Adds a member to the answers to this.
fn widen(path: &'static str) -> impl Fn(&Pen, &mut Passing) + Send + Sync + 'static {
    move |_, passing| {
        if passing.is_to("POST", path)
            && let Some(body) = passing.body()
        {
            body["only"] = "on Sundays".into();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_of_the_cycle_are_closed_and_nothing_is_charged_twice_for_one_that_grew() -> Result<()> {
    let mut store = Store::open().await?;
    let user = store.terminal("user").await?;
    expect(&user, &["install", NAME], 0, &[])?;
    expect(&user, &["top-up", "1.00EUR", "--yes"], 0, &["paid in"])?;
    let run = ["run", "--invoke", "view()", "--max-spend", "0.10EUR", "-o", "full.svg", NAME];
    let balance = |wanted: &str| expect(&user, &["balance"], 0, &[wanted]);
    store.future.change(widen(paths::AUTHORIZATIONS));
    expect(&user, &run, 41, &["offline"])?;
    store.future.change(widen(paths::VERIFICATIONS));
    expect(&user, &run, 41, &["offline"])?;
    ensure!(!store.path("full.svg").exists(), "nothing ran");
    // The control. What was verified and not believed is fetched again, not paid again.
    store.future.change_nothing();
    expect(&user, &run, 0, &["wrote full.svg"])?;
    balance("0.90 EUR")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_receipt_of_a_refund_is_signed_for_that_refund() -> Result<()> {
    let mut store = Store::open().await?;
    let user = store.terminal("user").await?;
    let bought: Value = user.run(&["--json", "buy", NAME, "--operation", "view", "--yes"])?.done()?.json()?;
    let order = bought["order"].as_str().context("an order")?;
    store.future.server.operator(&["order", "refund", order])?;
    let receipts = |user: &Terminal| user.run(&["--json", "receipts"])?.done()?.json();
    let refund = receipts(&user)?["refunds"][0].clone();
    let document = Document::read(refund["document"].as_str().context("a receipt of it")?).context("a document")?;
    ensure!(document.typ == "portcullis-refund+jwt", "{document:?}");
    ensure!(document.payload["order"] == order && document.payload["amount"]["minor_units"] == 199, "{document:?}");
    // Signed by the store, and of another order, or of more than goes back: not believed.
    for (member, value) in
        [("order", json!("AAAAAAAAAAAAAAAAAAAAAA")), ("amount", json!({"minor_units": 299, "currency": "EUR"}))]
    {
        store.future.change(move |pen, passing| {
            let Some(refund) = passing.body().and_then(|body| body.get_mut("refunds")?.get_mut(0)) else { return };
            let Some(Document { typ, mut payload }) = refund["document"].as_str().and_then(Document::read) else {
                return;
            };
            payload[member] = value.clone();
            refund["document"] = pen.sign(&typ, &payload).into();
        });
        expect(&user, &["receipts"], 41, &["the receipt of a refund is for another one"])?;
    }
    // A later form of it is left out, and the refund stands.
    store.future.change(|pen, passing| {
        let Some(refund) = passing.body().and_then(|body| body.get_mut("refunds")?.get_mut(0)) else { return };
        refund["document"] = pen.sign("portcullis-refund+jwt", &json!({"points": 5})).into();
    });
    let refund = receipts(&user)?["refunds"][0].clone();
    ensure!(refund["done"] == true && refund["document"].is_null(), "{refund}");
    store.future.change_nothing();
    ensure!(receipts(&user)?["refunds"][0]["document"].is_string(), "the control");
    Ok(())
}
