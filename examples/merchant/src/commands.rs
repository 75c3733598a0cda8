//! The command line.

use crate::database::{shown, totals};
use crate::delivery::Desk;
use crate::shop::{NextKey, Settings, Shop, usual_folder};
use crate::steps::Watch;
use crate::store::{Store, StoreError};
use crate::storefront::{self, Front, Gate};
use crate::{hook, reconciliation, registration, rekey};
use anyhow::{Context as _, Result, bail, ensure};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::HeaderName;
use axum::routing::{get, post};
use clap::{Parser, Subcommand};
use portcullis_protocol::codes::{Quantity, TimeToDeliver};
use portcullis_protocol::text::{counted, shown_line};
use portcullis_protocol::wire::MerchantStatus;
use portcullis_protocol::{
    Description, MerchantName, Money, OrderId, Origin, Product, ProductName, Reason, Title, WebhookUrl, paths,
};
use std::io::{IsTerminal as _, Read as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// The longest body of a webhook: the store sends some hundred bytes.
const MAX_WEBHOOK: usize = 64 * 1024;
/// The most codes that are read at once, in bytes.
const MAX_CODES_FILE: u64 = 16 * 1024 * 1024;
/// How often the keys of webhooks are asked for. New ones are announced a day before they sign.
const KEYS_EVERY: Duration = Duration::from_secs(3600);

/// A small shop that sells electronic codes through a store of Portcullis
#[derive(Debug, Parser)]
#[command(version, after_help = "Begin with: init, serve (and leave it running), register, sell, stock.")]
struct Options {
    /// The shop's folder: settings, keys, database
    #[arg(long, global = true, value_name = "DIR", default_value_os_t = usual_folder())]
    dir: PathBuf,
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make the folder of a shop: its keys, its database, and which store it sells at
    Init(Init),
    /// Claim the name at the store, and prove the webhook's address. `serve` has to run
    Register,
    /// Sell a product, or change what it costs
    Sell(Sell),
    /// Put codes into stock, one a line, from a file or standard input
    Stock(Stock),
    /// Make a payment request, and print its address for a customer
    Request(Request),
    /// Take webhooks, deliver codes, and show the shop's page
    Serve(Serve),
    /// Show what the shop has earned
    Ledger,
    /// Sell nothing more of what is in stock, until it is released: after an older database was put back
    Hold(Hold),
    /// Sell again what is held: of an order that was paid back after its code was sent, or of a product's stock
    Release(Release),
    /// Give the merchant another key, vouched for by the one in use, and sign what is on sale by it. Stop `serve` first
    Rekey,
    /// Sign what is on sale by the key in use: after the store's operator has ended the one before it
    Resign,
    /// Compare the orders that may still change with the store's. Exit status 1 if they differ
    Reconcile,
}

#[derive(Debug, Parser)]
struct Init {
    /// The store's address, as in https://store.example
    #[arg(long, value_name = "URL")]
    store: Origin,
    /// The words of the store's root key, from its operator or its start page
    #[arg(long, value_name = "WORDS", allow_hyphen_values = true)]
    fingerprint: Option<String>,
    /// The merchant's name at the store
    #[arg(long)]
    name: MerchantName,
    /// What buyers read
    #[arg(long)]
    title: Title,
    /// Where the store reaches this shop, as in https://games.example/hook
    #[arg(long, value_name = "URL")]
    webhook: WebhookUrl,
}

#[derive(Debug, Parser)]
struct Sell {
    /// The product's name
    product: ProductName,
    /// What buyers read
    #[arg(long)]
    title: Title,
    /// What buyers read about it
    #[arg(long, default_value = "")]
    description: Description,
    /// What one code costs, as in 20.00EUR
    #[arg(long)]
    price: Money,
    /// Seconds from payment to code, 10 to 86400
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    deadline: u32,
}

#[derive(Debug, Parser)]
struct Stock {
    /// The product
    product: ProductName,
    /// The file; standard input if none is named
    file: Option<PathBuf>,
}

#[derive(Debug, Parser)]
struct Request {
    /// The product
    product: ProductName,
    /// How many codes
    #[arg(long, default_value_t = 1)]
    quantity: u32,
    /// What they cost together, if not what the product costs
    #[arg(long)]
    amount: Option<Money>,
    /// Seconds until it expires, at most 86400
    #[arg(long, value_name = "SECONDS", default_value_t = storefront::LIFE)]
    expires: u64,
}

#[derive(Debug, Parser)]
struct Hold {
    /// The product; all of them if none is named
    product: Option<ProductName>,
}

#[derive(Debug, Parser)]
struct Release {
    /// The order
    #[arg(allow_hyphen_values = true, required_unless_present = "product", conflicts_with = "product")]
    order: Option<OrderId>,
    /// What `hold` has held of this product's stock
    #[arg(long)]
    product: Option<ProductName>,
    /// A file of codes, one a line, that were sold all the same: they stay held
    #[arg(long, value_name = "FILE", requires = "product")]
    except: Option<PathBuf>,
}

#[derive(Debug, Parser)]
struct Serve {
    /// Where it listens, without TLS: a proxy in front of it has the certificate
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The header in which that proxy names the customer's address last, as in X-Forwarded-For: each address gets so
    /// many payment requests a minute
    #[arg(long, value_name = "HEADER")]
    address_header: Option<HeaderName>,
}

/// Runs a command line. `watch` is told of the steps of deliveries.
#[must_use]
pub fn main(watch: Watch) -> ExitCode {
    let options = Options::parse();
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(colours).with_target(false).init();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(options, watch)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            if is_unknown(&error) {
                eprintln!(
                    "The store does not know this shop's key: `example-merchant register` claims its name there."
                );
            }
            ExitCode::FAILURE
        }
    }
}

/// Whether the store does not know the merchant.
fn is_unknown(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref())
        .any(|error| matches!(error, StoreError::Refused(refusal) if refusal.reason == Reason::MerchantUnknown))
}

async fn run(options: Options, watch: Watch) -> Result<ExitCode> {
    if let Verb::Init(init) = options.command {
        return init.run(&options.dir).await;
    }
    let shop = Shop::open(&options.dir)?;
    if matches!(options.command, Verb::Register) {
        let state = registration::register(&shop, |text| println!("{text}")).await?;
        println!("{} is {state} at {}", shop.settings.name, shop.settings.store);
        if state == "proven" {
            println!("The store's operator has to approve it before it sells.");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let shop = match options.command {
        Verb::Rekey => {
            let shop = rekey::rekey(shop, NextKey::of(&options.dir)?).await?;
            println!("the merchant's key has the words {}", shop.key.public().thumbprint().words());
            shop
        }
        _ => shop,
    };
    let store = Store::new(&shop.settings, &shop.key, &shop.database)?;
    let desk = Desk::new(shop, store, watch);
    match options.command {
        Verb::Init(_) | Verb::Register => {}
        Verb::Sell(sell) => sell.run(&desk).await?,
        Verb::Stock(stock) => stock.run(&desk).await?,
        Verb::Request(request) => request.run(&desk).await?,
        Verb::Serve(serve) => serve.run(desk).await?,
        Verb::Ledger => ledger(&desk).await?,
        Verb::Hold(hold) => hold.run(&desk).await?,
        Verb::Release(release) => release.run(&desk).await?,
        Verb::Rekey | Verb::Resign => {
            println!("the key in use signs {} on sale", counted(rekey::resign(&desk).await?, "product"));
            println!("Start `example-merchant serve` again: it signs by the key that it was started with.");
        }
        Verb::Reconcile => return reconcile(&desk).await,
    }
    Ok(ExitCode::SUCCESS)
}

impl Init {
    async fn run(self, folder: &std::path::Path) -> Result<ExitCode> {
        let root = Store::root_of(&self.store).await?;
        let words = root.thumbprint().words();
        match self.fingerprint.as_deref() {
            Some(told) if root.thumbprint().is_said_as(told) => {}
            Some(_) => bail!("the root key of {} has other words: {words}. Somebody may stand between", self.store),
            None => bail!(
                "the root key of {} has the words {words}. Compare them with the operator's, and say them: --fingerprint {words}",
                self.store
            ),
        }
        let settings = Settings { store: self.store, root, name: self.name, title: self.title, webhook: self.webhook };
        let shop = Shop::create(folder, &settings)?;
        println!("made {} for `{}`, whose key has the words", folder.display(), settings.name);
        println!("{}", shop.key.public().thumbprint().words());
        Ok(ExitCode::SUCCESS)
    }
}

impl Sell {
    async fn run(self, desk: &Desk) -> Result<()> {
        let settings = &desk.shop.settings;
        // Before anything is written down: whom the store does not know, it sells nothing of.
        let status: MerchantStatus = desk.store.get(paths::OWN_MERCHANT).await?;
        let product = Product {
            merchant: settings.name.clone(),
            aud: settings.store.clone(),
            name: self.product,
            title: self.title,
            description: self.description,
            price: self.price,
            deadline: TimeToDeliver::new(self.deadline)?,
            iat: crate::now(),
        };
        let said = format!("{} is sold for {}", product.name, product.price);
        rekey::sell(desk, product).await?;
        println!("{said}");
        let (name, store) = (&settings.name, &settings.store);
        match status.state.as_str() {
            "approved" => {}
            "claimed" => println!(
                "Nobody can buy it yet: {store} has not reached the webhook of `{name}`. Let `example-merchant serve` run, \
                 and register again."
            ),
            "suspended" => {
                println!("Nobody can buy it: `{name}` is suspended at {store}, and its operator has to restore it.");
            }
            state => println!(
                "Nobody can buy it yet: `{name}` is {} at {store}, and its operator has to approve it.",
                shown_line(state)
            ),
        }
        Ok(())
    }
}

impl Hold {
    async fn run(self, desk: &Desk) -> Result<()> {
        let held = desk.shop.database.hold(self.product).await?;
        if held.is_empty() {
            println!("Nothing more is held: what was in stock is held or sold already.");
        }
        for (product, codes) in held {
            println!(
                "{} of {product}: held, and not sold until `example-merchant release --product {product}`",
                counted(codes, "code")
            );
        }
        Ok(())
    }
}

impl Stock {
    async fn run(self, desk: &Desk) -> Result<()> {
        let codes = codes_in(self.file.as_deref())?;
        let is_sold = desk.shop.database.on_sale().await?.iter().any(|sold| sold.product.name == self.product);
        ensure!(is_sold, "`{0}` is not sold. Sell it first: example-merchant sell {0}", self.product);
        let added = desk.shop.database.stock(desk.shop.vault.clone(), self.product.clone(), codes).await?;
        println!("{} added for {}", counted(added, "code"), self.product);
        Ok(())
    }
}

/// The codes of a file, one a line; of standard input if none is named.
fn codes_in(file: Option<&std::path::Path>) -> Result<Vec<Zeroizing<String>>> {
    let mut text = Zeroizing::new(String::new());
    match file {
        Some(file) => {
            let opened = std::fs::File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
            opened.take(MAX_CODES_FILE + 1).read_to_string(&mut text)?;
        }
        None => {
            std::io::stdin().take(MAX_CODES_FILE + 1).read_to_string(&mut text)?;
        }
    }
    ensure!(text.len() as u64 <= MAX_CODES_FILE, "more than 16 MiB of codes: take several files");
    Ok(text.lines().filter(|line| !line.is_empty()).map(|line| Zeroizing::new(line.to_owned())).collect())
}

impl Release {
    async fn run(self, desk: &Desk) -> Result<()> {
        let database = &desk.shop.database;
        let (released, what) = match (self.order, self.product) {
            (Some(order), _) => (database.release(order).await?, order.to_string()),
            (None, Some(product)) => {
                let but = self.except.as_deref().map(|file| codes_in(Some(file))).transpose()?.unwrap_or_default();
                (database.release_stock(desk.shop.vault.clone(), product.clone(), but).await?, product.to_string())
            }
            (None, None) => bail!("say what is released: an order, or --product"),
        };
        ensure!(released > 0, "nothing is held of {what}: see `example-merchant ledger`");
        println!("{} in stock again", counted(released, "code"));
        Ok(())
    }
}

impl Request {
    async fn run(self, desk: &Desk) -> Result<()> {
        let quantity = Quantity::new(self.quantity)?;
        let url = storefront::ask(desk, &self.product, quantity, self.amount, self.expires).await?;
        let url = url.with_context(|| {
            format!("`{}` is not sold, or has not {} in stock", self.product, counted(quantity.get(), "code"))
        })?;
        println!("{url}");
        Ok(())
    }
}

impl Serve {
    async fn run(self, desk: Desk) -> Result<()> {
        let path = path_of(&desk.shop.settings.webhook);
        ensure!(
            path != "/",
            "the webhook needs a path of its own, as in https://games.example/hook: / is the shop's page"
        );
        let desk = Arc::new(desk);
        let front = Front { desk: Arc::clone(&desk), gate: Arc::new(Gate::new(self.address_header)) };
        let router = Router::new()
            .route("/", get(storefront::show))
            .route("/buy/{product}", post(storefront::buy))
            .with_state(front)
            .route(&path, post(hook::take).with_state(Arc::clone(&desk)))
            .layer(DefaultBodyLimit::max(MAX_WEBHOOK));
        let listener = tokio::net::TcpListener::bind(self.listen)
            .await
            .with_context(|| format!("cannot listen at {}: choose another address: --listen", self.listen))?;
        tracing::info!(address = %self.listen, hook = path, "the shop is open");
        let (worker, keys) = (Arc::clone(&desk), Arc::clone(&desk));
        let worker = tokio::spawn(async move { worker.work().await });
        tokio::spawn(async move {
            loop {
                keys.learn_keys().await;
                tokio::time::sleep(KEYS_EVERY).await;
            }
        });
        let served = axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>())
            .with_graceful_shutdown(asked_to_stop());
        tokio::select! {
            served = served => Ok(served?),
            // A shop that takes webhooks and delivers nothing is worse than none.
            ended = worker => bail!("the shop has stopped delivering: {}", ended.err().map_or_else(String::new, |e| e.to_string())),
        }
    }
}

/// The path of a webhook's address, without its query.
fn path_of(webhook: &WebhookUrl) -> String {
    let rest = webhook.as_str().split_once("://").map_or("", |(_, rest)| rest);
    let path = rest.find('/').map_or("/", |at| &rest[at..]);
    path.split('?').next().unwrap_or("/").to_owned()
}

async fn asked_to_stop() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
        if let Ok(mut terminate) = terminate {
            tokio::select! { _ = interrupt => {}, _ = terminate.recv() => {} }
            return;
        }
    }
    let _ = interrupt.await;
}

async fn ledger(desk: &Desk) -> Result<()> {
    let entries = desk.shop.database.ledger().await?;
    for entry in &entries {
        let sign = if entry.kind == "sale" { "" } else { "-" };
        println!("{} {:<8} {sign}{}", entry.order, entry.kind, entry.amount());
    }
    for (currency, minor) in totals(&entries) {
        println!("total {}", shown(&currency, minor));
    }
    for sold in desk.shop.database.on_sale().await? {
        let held = if sold.held == 0 { String::new() } else { format!(", {} held", sold.held) };
        println!("{} left of {}{held}", sold.left, sold.product.name);
    }
    Ok(())
}

async fn reconcile(desk: &Desk) -> Result<ExitCode> {
    let lines = reconciliation::compare(desk).await?;
    for line in &lines {
        let shop = line.shop.map_or("unheard of", crate::database::OrderState::name);
        println!("{} store: {:<14} shop: {shop:<10} {}", line.order, line.store, shown_line(&line.what));
    }
    let wrong = lines.iter().filter(|line| line.is_wrong).count();
    println!("{} compared, {wrong} to look at", counted(lines.len(), "order"));
    match desk.shop.database.finished().await? {
        0 => {}
        1 => println!("1 order more is over: the store has signed that its buyer was paid back."),
        over => println!("{over} orders more are over: the store has signed that their buyers were paid back."),
    }
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[test]
fn the_path_of_a_webhook() {
    for (address, path) in [
        ("https://games.example/hook", "/hook"),
        ("https://games.example/a/b?key=1", "/a/b"),
        ("https://games.example", "/"),
        ("https://games.example?x", "/"),
    ] {
        assert_eq!(path_of(&WebhookUrl::new(address).expect("an address")), path);
    }
}

#[test]
fn the_command_line_is_sound() {
    <Options as clap::CommandFactory>::command().debug_assert();
}
