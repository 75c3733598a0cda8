//! Finds what a person means who writes to the operator: an e-mail address, a number from a receipt, a name, a title.

use super::accounts::{self, email_of};
use super::merchants::merchant_row;
use super::sales::resource_row;
use super::{Report, moment, money};
use crate::App;
use crate::store::{
    Account, AccountPage, Listing, Merchant, MerchantState, Order, Page, ProductRevision, ResourceFacts, SearchPage,
    SearchQuery,
};
use anyhow::bail;
use clap::Args;
use portcullis_protocol::{AccountId, Digest, MerchantName, OrderId, ProductName, PublisherName, ResourceName};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashSet};
use std::fmt::Write as _;

/// Orders and publishers of an account, resources of a publisher, products of a merchant, and what a search found of
/// either: so many are shown unless all are wanted.
const SHOWN: u32 = 20;

#[derive(Debug, Args)]
pub(super) struct Find {
    /// An e-mail address; the identifier of an order, account or resource; PUBLISHER/NAME or MERCHANT/PRODUCT; a
    /// publisher or merchant; or words of a title.
    #[arg(value_name = "WORDS")]
    word: String,
    // What begins with a hyphen is an identifier, and stands alone.
    #[arg(hide = true)]
    more: Vec<String>,
    /// Shows everything that was found, however much it is.
    #[arg(long)]
    all: bool,
}

/// What was found, for people and for programs.
#[derive(Default)]
struct Finds {
    text: String,
    /// Whether everything is shown.
    all: bool,
    /// Of what there is more than is shown.
    more: BTreeSet<&'static str>,
    /// Orders that were shown: an account that was found by one of its orders lists it, too.
    shown: HashSet<OrderId>,
    accounts: Vec<Value>,
    orders: Vec<Value>,
    resources: Vec<Value>,
    publishers: Vec<Value>,
    merchants: Vec<Value>,
    products: Vec<Value>,
}

impl Find {
    pub(super) async fn run(self, app: &App) -> anyhow::Result<Report> {
        let words = [&[self.word], &self.more[..]].concat().join(" ");
        let mut finds = Finds { all: self.all, ..Finds::default() };
        finds.by(app, words.trim()).await?;
        let Finds { mut text, more, accounts, orders, resources, publishers, merchants, products, .. } = finds;
        if text.is_empty() {
            bail!(
                "nothing is known of `{words}`. Search by an e-mail address, by the identifier of an order, account or \
                 resource, by PUBLISHER/NAME or MERCHANT/PRODUCT, by a publisher or merchant, or by words of a title"
            );
        }
        if !more.is_empty() {
            let what = more.iter().copied().collect::<Vec<_>>().join(" and ");
            writeln!(text, "There are more {what} than these {SHOWN}: `find --all` shows them all.")?;
        }
        let json = json!({
            "accounts": accounts, "orders": orders, "resources": resources, "publishers": publishers,
            "merchants": merchants, "products": products, "more": more,
        });
        Ok(Report { text, json })
    }
}

impl Finds {
    async fn by(&mut self, app: &App, words: &str) -> anyhow::Result<()> {
        let store = &app.core.store;
        if words.contains('@') {
            if let Some(account) = accounts::known(app, words).await? {
                self.account(app, &account).await?;
            }
            return Ok(());
        }
        // Identifiers of different kinds are written alike, so each is tried.
        if let Ok(id) = words.parse::<OrderId>()
            && let Some(order) = store.order(&id).await?
        {
            self.orders(app, std::slice::from_ref(&order)).await?;
            if let Some(account) = store.account(&order.account).await? {
                self.account(app, &account).await?;
            }
        }
        if let Ok(id) = words.parse::<AccountId>()
            && let Some(account) = store.account(&id).await?
        {
            self.account(app, &account).await?;
        }
        if let Ok(digest) = words.parse::<Digest>()
            && let Some(resource) = store.resource(&digest).await?
        {
            self.resource(&resource)?;
        }
        if let Some((publisher, name)) = words.split_once('/')
            && let (Ok(publisher), Ok(name)) = (publisher.parse::<PublisherName>(), name.parse::<ResourceName>())
            && let Some(listing) = store.listing(&publisher, &name).await?
        {
            self.listing(app, &listing).await?;
        }
        if let Ok(name) = words.parse::<PublisherName>()
            && let Some(publisher) = store.publisher(&name).await?
        {
            let owner = email_of(app, &publisher.owner).await?;
            writeln!(self.text, "publisher {name}  {}  {owner}", publisher.key.thumbprint().words())?;
            self.publishers.push(json!({"publisher": name, "key": publisher.key.thumbprint(), "owner": owner}));
            let mut page = Some(0);
            while let Some(number) = page {
                let SearchPage { listings, next, .. } = store.sold_by(&name, number, SHOWN).await?;
                self.listings(app, &listings).await?;
                page = self.further("resources", next);
            }
        }
        if let Some((merchant, product)) = words.split_once('/')
            && let (Ok(merchant), Ok(product)) = (merchant.parse::<MerchantName>(), product.parse::<ProductName>())
            && let Some(merchant) = store.merchant(&merchant).await?
            && let Some(revision) = store.product_on_sale(&merchant.id, &product).await?
        {
            self.product(&merchant, &revision)?;
        }
        if let Ok(name) = words.parse::<MerchantName>()
            && let Some(merchant) = store.merchant(&name).await?
        {
            let (line, row) = merchant_row(app, &merchant).await?;
            writeln!(self.text, "merchant {line}")?;
            self.merchants.push(row);
            let products = store.products(&merchant.id).await?;
            let most = if self.all { products.len() } else { usize::try_from(SHOWN).unwrap_or(usize::MAX) };
            self.further("products", products.get(most));
            for revision in products.iter().take(most) {
                self.product(&merchant, revision)?;
            }
        }
        if self.text.is_empty() {
            let mut page = Some(0);
            while let Some(number) = page {
                let query = SearchQuery { text: words.to_owned(), kind: None, page: number, per_page: SHOWN };
                let SearchPage { listings, products, next } = store.search(query).await?;
                self.listings(app, &listings).await?;
                for found in &products {
                    self.product(&found.merchant, &found.revision)?;
                }
                page = self.further("resources and products", next);
            }
        }
        Ok(())
    }

    /// The next page of a list, if it is wanted. If it is not, that there is one is told.
    fn further<T>(&mut self, what: &'static str, next: Option<T>) -> Option<T> {
        if next.is_some() && !self.all {
            self.more.insert(what);
        }
        next.filter(|_| self.all)
    }

    async fn account(&mut self, app: &App, account: &Account) -> anyhow::Result<()> {
        let store = &app.core.store;
        let email = email_of(app, &account.id).await?;
        let (operator, suspended) = (account.operator, account.suspended);
        write!(self.text, "account {}  {email}  since {}", account.id, moment(account.created))?;
        self.text.push_str(if operator { "  operator" } else { "" });
        if let Some(at) = suspended {
            write!(self.text, "  suspended {}", moment(at))?;
        }
        self.text.push('\n');
        let mut publishers = Vec::new();
        let mut after = Some(None);
        while let Some(last) = after {
            let names = store.publishers_of(&account.id, last, SHOWN).await?;
            let full = names.len() >= usize::try_from(SHOWN).unwrap_or(usize::MAX);
            for name in names {
                writeln!(self.text, "  publisher {name}")?;
                publishers.push(name);
            }
            let last = publishers.last().cloned().filter(|_| full);
            // A full page may be the last one.
            let next = match last {
                Some(last) if !store.publishers_of(&account.id, Some(last.clone()), 1).await?.is_empty() => Some(last),
                _ => None,
            };
            after = self.further("publishers", next).map(Some);
        }
        let mut balances = Vec::new();
        for prepaid in store.prepaid(&account.id).await? {
            let amount = |minor_units: i64| prepaid.currency.amount(i128::from(minor_units));
            writeln!(self.text, "  balance {}, of which {} is held", amount(prepaid.amount), amount(prepaid.held))?;
            balances.push(json!({"currency": prepaid.currency, "amount": prepaid.amount, "held": prepaid.held}));
        }
        self.accounts.push(json!({
            "account": account.id, "email": email, "operator": operator, "created": account.created.seconds(),
            "suspended": suspended.map(|at| at.seconds()), "publishers": publishers, "balances": balances,
        }));
        let mut page = Some(0);
        while let Some(number) = page {
            let wanted = AccountPage::new(number, usize::try_from(SHOWN).unwrap_or(usize::MAX));
            let Page { rows, next } = store.orders_of(&account.id, wanted).await?;
            self.orders(app, &rows).await?;
            page = self.further("orders", next);
        }
        Ok(())
    }

    async fn orders(&mut self, app: &App, orders: &[Order]) -> anyhow::Result<()> {
        let new: Vec<Order> = orders.iter().filter(|order| self.shown.insert(order.id)).cloned().collect();
        let Report { text, json } = money::report(app, &new).await?;
        for line in text.lines() {
            writeln!(self.text, "order {line}")?;
        }
        self.orders.extend(json["orders"].as_array().into_iter().flatten().cloned());
        Ok(())
    }

    async fn listings(&mut self, app: &App, listings: &[Listing]) -> anyhow::Result<()> {
        for listing in listings {
            self.listing(app, listing).await?;
        }
        Ok(())
    }

    async fn listing(&mut self, app: &App, listing: &Listing) -> anyhow::Result<()> {
        for version in &listing.versions {
            if let Some(resource) = app.core.store.resource(&version.digest).await? {
                self.resource(&resource)?;
            }
        }
        Ok(())
    }

    /// A product of a merchant. Of one that is not approved nothing is sold.
    fn product(&mut self, merchant: &Merchant, revision: &ProductRevision) -> anyhow::Result<()> {
        let (digest, product) = (revision.digest, &revision.product);
        let (name, title, price) = (&product.name, &product.title, product.price);
        let is_sold = revision.is_sold && merchant.state == MerchantState::Approved;
        let mark =
            if is_sold { String::new() } else { format!("  not sold: its merchant is {}", merchant.state.word()) };
        writeln!(self.text, "product {digest}  {}/{name}  {title}  {price}{mark}", merchant.name)?;
        self.products.push(json!({
            "product": digest, "merchant": merchant.name, "name": name, "title": title, "price": price, "sold": is_sold,
        }));
        Ok(())
    }

    fn resource(&mut self, resource: &ResourceFacts) -> anyhow::Result<()> {
        let (line, row) = resource_row(resource);
        writeln!(self.text, "resource {line}")?;
        self.resources.push(row);
        Ok(())
    }
}
