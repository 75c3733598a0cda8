//! The store of a billing server, as its customers see it: the catalogue, orders, what the account holds.

use crate::client_error::ClientError;
use crate::ports::gatekeeper::Refused;
use crate::ports::transport::{Body, Exchange, Method};
use crate::random;
use crate::server::prover::Request;
use crate::server::session::{Patience, Session, Sessions, printable};
use crate::server::trust::{self, Trust, offline};
use crate::state::journal::Journal;
use crate::store::payment_step;
use crate::store::publisher_pin::StoreWord;
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::paths;
use portcullis_protocol::wire::{
    AccountAnswer, BalanceInfo, BalancesAnswer, CatalogueEntry, CatalogueVersion, CodeReceiptsAnswer, Done,
    EntitlementInfo, EntitlementsAnswer, Problem, ProductEntry, ReceiptsAnswer, RefundInfo, RefundsAnswer,
    SearchAnswer, SessionsAnswer, TopUpsAnswer, UnpaidOrder, UnpaidOrdersAnswer,
};
use portcullis_protocol::{
    AdoptedVersions, Adoption, CodeReceipt, JwsError, KeyDocument, Listed, ListedEntry, MerchantName, Offer, Origin,
    Product, PublicKey, PublisherName, Receipt, ResourceName, TerminalId, TopUpReceipt, UnknownEntry, Unverified,
    Verified, Version, version,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// Pages of a list that are asked for: a server that always has one more does not keep its customers for ever.
pub(crate) const PAGES: u32 = 1000;

/// The path of a page of a list, the first of which has no number.
fn paged(path: &str, page: u32) -> String {
    if page == 0 { path.to_owned() } else { format!("{path}/{page}") }
}

/// The path of a search. A function of its own: the serializer cannot go to another thread, and futures have to.
fn search_path(query: &str, kind: Option<&str>, page: Option<u32>) -> String {
    let mut text = form_urlencoded::Serializer::new(String::new());
    text.append_pair("q", query);
    if let Some(kind) = kind {
        text.append_pair("kind", kind);
    }
    if let Some(page) = page {
        text.append_pair("page", &page.to_string());
    }
    format!("{}?{}", paths::SEARCH, text.finish())
}

/// A resource in the catalogue. Its offers are signed by the store; the texts are the store's word only, and the
/// manifest of the installed file is what counts.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Listing {
    /// The store.
    pub server: Origin,
    /// The publisher.
    pub publisher: PublisherName,
    /// The publisher key, by the store's word.
    pub publisher_key: PublicKey,
    /// The name.
    pub name: ResourceName,
    /// The kind.
    pub kind: String,
    /// The title.
    pub title: String,
    /// The description.
    pub description: String,
    /// Newest first; in a [`SearchPage`] the newest few that are sold.
    pub versions: Vec<CatalogueVersion>,
    /// The offers in force, signed by the store for this very resource.
    pub offers: Vec<Verified<Offer>>,
    /// Offers under terms that this version does not know.
    pub unknown_offers: Vec<UnknownEntry>,
    /// Compact vouches of the publisher, not verified.
    pub(crate) vouches: Vec<String>,
    /// What the publisher key has adopted, compact, not verified.
    pub(crate) adoption: Option<String>,
}

impl Listing {
    /// What the store says of the publisher.
    pub(crate) fn of_publisher(&self) -> StoreWord<'_> {
        StoreWord { key: Some(&self.publisher_key), vouches: &self.vouches, adoption: self.adoption.as_deref() }
    }

    /// What the publisher key stands for of what earlier ones signed, by its own signature.
    #[must_use]
    pub fn adopted(&self) -> Option<AdoptedVersions> {
        let adoption = Unverified::<Adoption>::parse(self.adoption.as_deref()?).ok()?;
        let adoption = adoption.verify(&self.publisher_key).ok()?.into_document();
        (adoption.publisher == self.publisher && adoption.name == self.name).then_some(adoption.versions)
    }

    /// The version to install unless another is asked for: the newest that was not withdrawn, and no pre-release where
    /// there is anything else.
    #[must_use]
    pub fn newest(&self) -> Option<&CatalogueVersion> {
        version::newest(self.versions.iter().filter(|version| !version.withdrawn), |version| &version.version)
    }

    /// A certain version.
    #[must_use]
    pub fn version(&self, version: &Version) -> Option<&CatalogueVersion> {
        self.versions.iter().find(|entry| entry.version == *version)
    }
}

/// A page of search results.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SearchPage {
    /// What was found, best first.
    pub results: Vec<Listing>,
    /// What merchants sell among it, best first: by the store's word, until it is bought.
    pub products: Vec<FoundProduct>,
    /// What was found and cannot be read by this version.
    pub unknown: Vec<UnknownEntry>,
    /// Names the next page, if there is one. It is no count.
    pub next: Option<u32>,
}

/// What a merchant sells, as a search found it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FoundProduct {
    /// The product, signed by the key that the store says is the merchant's.
    pub product: Product,
    /// How many entries of the page come before it, resources and products. A store may not say.
    pub place: Option<usize>,
}

/// A store, at the account that is signed in.
#[derive(Clone)]
pub struct Storefront {
    sessions: Arc<Sessions>,
    journal: Journal,
    origin: Origin,
}

impl Storefront {
    pub(crate) const fn new(sessions: Arc<Sessions>, journal: Journal, origin: Origin) -> Self {
        Self { sessions, journal, origin }
    }

    /// The store's server.
    #[must_use]
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Searches what is on sale. Every word has to be in a name, title, kind, description, publisher or operation, or
    /// something like it; accents and case do not matter. With words the best come first, without them the newest.
    /// `page` is `None` for the first page, then what [`SearchPage::next`] of the page before says.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn search(&self, query: &str, kind: Option<&str>, page: Option<u32>) -> Result<SearchPage, ClientError> {
        let path = search_path(query, kind, page);
        let answer = match ask::<SearchAnswer>(&self.sessions, &self.origin, path).await? {
            Ok(answer) => answer,
            // What was asked for is wrong, such as a page that there is not.
            Err((status @ 400..=499, detail)) => return Err(ClientError::Rejected { status, detail }),
            Err((status, _)) => return Err(silent(status).into()),
        };
        let answer = answer.ok_or_else(|| offline("this server has no search"))?;
        let keys = self.sessions.trust.keys(&self.origin).await?;
        let Listed { known, mut unknown } = answer.results;
        let results: Result<_, _> = known.into_iter().map(|entry| listing(&keys, entry)).collect();
        let Listed { known, unknown: others } = answer.products;
        unknown.extend(others);
        // One that is not its merchant's word keeps nobody from the others.
        let products = known.iter().filter_map(|entry| self.found(entry).ok()).collect();
        Ok(SearchPage { results: results?, products, unknown, next: answer.next })
    }

    /// A product as a search shows it. Whose key it is, is judged when something is bought.
    fn found(&self, entry: &ProductEntry) -> Result<FoundProduct, ClientError> {
        let product = Unverified::<Product>::parse(&entry.product).and_then(|product| product.verify(&entry.key));
        let product = self.for_this_store(product, &entry.merchant)?.into_document();
        Ok(FoundProduct { product, place: entry.place.and_then(|place| usize::try_from(place).ok()) })
    }

    /// A product that a merchant signed, if it did, for this store.
    pub(crate) fn for_this_store(
        &self,
        product: Result<Verified<Product>, JwsError>,
        merchant: &MerchantName,
    ) -> Result<Verified<Product>, ClientError> {
        let product = product.map_err(|error| offline(format!("a product does not verify: {error}")))?;
        let said = product.document();
        if said.merchant == *merchant && said.aud == self.origin {
            Ok(product)
        } else {
            Err(offline("a product is another merchant's, or for another store").into())
        }
    }

    /// A resource in the catalogue.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] if the store does not have it.
    pub async fn entry(&self, publisher: &PublisherName, name: &ResourceName) -> Result<Listing, ClientError> {
        let found = find(&self.sessions, &self.origin, publisher, name).await?;
        found.ok_or_else(|| ClientError::NotFound(format!("{} does not sell {publisher}/{name}", self.origin)))
    }

    pub(crate) async fn keys(&self) -> Result<Arc<KeyDocument>, Refused> {
        self.sessions.trust.keys(&self.origin).await
    }

    pub(crate) const fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The account's prepaid balances, one per currency.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn balances(&self) -> Result<Listed<BalanceInfo>, ClientError> {
        let BalancesAnswer { balances } = self.session()?.get(paths::BALANCES).await?;
        Ok(balances)
    }

    /// The receipts of the account's top-ups, newest first, each verified.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn top_ups(&self) -> Result<Listed<Verified<TopUpReceipt>>, ClientError> {
        let pages = |answer: TopUpsAnswer| (answer.receipts.into(), answer.next);
        self.verified(paths::TOP_UPS, pages, Trust::top_up_receipt).await
    }

    /// The account, its terminals and its publishers.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn account(&self) -> Result<AccountAnswer, ClientError> {
        let mut answer: AccountAnswer = self.session()?.get(paths::ACCOUNT).await?;
        // Labels are what whoever enrolled a terminal called it.
        answer.account = printable(answer.account);
        for terminal in &mut answer.terminals.known {
            terminal.label = printable(std::mem::take(&mut terminal.label));
        }
        Ok(answer)
    }

    /// What the account has bought and what is left of it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn entitlements(&self) -> Result<Listed<EntitlementInfo>, ClientError> {
        let pages = |answer: EntitlementsAnswer| (answer.entitlements, answer.next);
        self.all(paths::ENTITLEMENTS, pages).await
    }

    /// The receipts of the account's electronic codes, newest first, each verified. Empty, too, at a store that does
    /// not tell.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn code_receipts(&self) -> Result<Listed<Verified<CodeReceipt>>, ClientError> {
        let pages = |answer: CodeReceiptsAnswer| (answer.receipts.into(), answer.next);
        match self.verified(paths::CODE_RECEIPTS, pages, Trust::code_receipt).await {
            Err(ClientError::Rejected { status: 404, .. }) => Ok(Listed::default()),
            receipts => receipts,
        }
    }

    /// The account's receipts, newest first, each verified.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn receipts(&self) -> Result<Listed<Verified<Receipt>>, ClientError> {
        let pages = |answer: ReceiptsAnswer| (answer.receipts.into(), answer.next);
        self.verified(paths::RECEIPTS, pages, Trust::receipt).await
    }

    /// The account's orders that were paid back or are being paid back, newest first. Empty, too, at a store that does
    /// not tell.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn refunds(&self) -> Result<Listed<RefundInfo>, ClientError> {
        let pages = |answer: RefundsAnswer| (answer.refunds, answer.next);
        let mut refunds = match self.all(paths::REFUNDS, pages).await {
            Err(ClientError::Rejected { status: 404, .. }) => return Ok(Listed::default()),
            refunds => refunds?,
        };
        let keys = self.keys().await?;
        refunds.known.iter_mut().try_for_each(|refund| believe(&keys, refund))?;
        Ok(refunds)
    }

    /// What the account has on order and has not paid, newest first, by the store's word. Empty, too, at a store that
    /// does not tell.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn unpaid_orders(&self) -> Result<Listed<UnpaidOrder>, ClientError> {
        let mut unpaid = match self.session()?.get::<UnpaidOrdersAnswer>(paths::ORDERS).await {
            Ok(answer) => answer.orders,
            Err(error) => match ClientError::from(error) {
                ClientError::Rejected { status: 404 | 405, .. } => return Ok(Listed::default()),
                error => return Err(error),
            },
        };
        for order in &mut unpaid.known {
            order.next = order.next.take().and_then(payment_step::followed);
        }
        Ok(unpaid)
    }

    /// The documents in a list of the account, each verified by `read`.
    async fn verified<A: Serialize + DeserializeOwned, D>(
        &self,
        path: &str,
        pages: fn(A) -> (Listed<String>, Option<u32>),
        read: fn(&KeyDocument, &str) -> Result<Verified<D>, JwsError>,
    ) -> Result<Listed<Verified<D>>, ClientError> {
        let compact = self.all(path, pages).await?;
        let keys = self.sessions.trust.keys(&self.origin).await?;
        let document = |compact: &String| {
            let listed = trust::listed(read(&keys, compact));
            listed.map_err(|error| offline(format!("a receipt does not verify: {error}")))
        };
        Ok(compact.iter().map(document).collect::<Result<_, _>>()?)
    }

    /// Everything in a list of the account, page by page: `read` returns what an answer lists and the next page.
    pub(crate) async fn all<A: Serialize + DeserializeOwned, T>(
        &self,
        path: &str,
        read: fn(A) -> (Listed<T>, Option<u32>),
    ) -> Result<Listed<T>, ClientError> {
        every_page(&*self.session()?, path, read).await
    }

    /// Revokes a terminal of the account: nothing is granted to it from now on, and it cannot be enrolled again.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn revoke_terminal(&self, terminal: TerminalId) -> Result<(), ClientError> {
        self.done(Method::Delete, paths::fill(paths::TERMINAL, &[&terminal])).await
    }

    /// What is signed in to the account: its sessions, and how many browsers.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn sessions(&self) -> Result<SessionsAnswer, ClientError> {
        let mut answer: SessionsAnswer = self.session()?.get(paths::SESSIONS).await?;
        for session in &mut answer.sessions.known {
            session.label = printable(std::mem::take(&mut session.label));
        }
        Ok(answer)
    }

    /// Ends a session of the account.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn end_session(&self, session: Octets<16>) -> Result<(), ClientError> {
        self.done(Method::Delete, paths::fill(paths::SESSION, &[&session])).await
    }

    /// Signs the account out everywhere: every terminal, this one too, every browser, and what was approved and has not
    /// been used. What is kept of the sign-in here goes with [`crate::Client::sign_out`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn sign_out_everywhere(&self) -> Result<(), ClientError> {
        self.done(Method::Post, paths::SIGN_OUT.to_owned()).await
    }

    /// Has something done that needs no body.
    async fn done(&self, method: Method, path: String) -> Result<(), ClientError> {
        let request = Request { method, path, idempotency_key: Some(random::idempotency_key()), body: Body::Empty };
        let Done {} = self.session()?.ask(&request, Patience::Write).await?;
        Ok(())
    }

    /// What all sessions of this terminal share.
    pub(crate) fn shared(&self) -> &Sessions {
        &self.sessions
    }

    pub(crate) fn session(&self) -> Result<Arc<Session>, Refused> {
        self.sessions.of(&self.origin)
    }
}

impl std::fmt::Debug for Storefront {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Storefront({})", self.origin)
    }
}

/// The receipt of a refund has to be signed for this very refund. One of a later form is none that could be shown.
fn believe(keys: &KeyDocument, refund: &mut RefundInfo) -> Result<(), Refused> {
    let Some(compact) = &refund.document else { return Ok(()) };
    let read = trust::listed(Trust::refund(keys, compact));
    match read.map_err(|error| offline(format!("the receipt of a refund does not verify: {error}")))? {
        ListedEntry::Known(receipt) => {
            let receipt = receipt.document();
            if receipt.order != refund.order || receipt.amount != refund.amount || !refund.done {
                return Err(offline("the receipt of a refund is for another one"));
            }
        }
        ListedEntry::Unknown(_) => refund.document = None,
    }
    Ok(())
}

/// Everything in a list, page by page: `read` returns what an answer lists and the next page.
pub(crate) async fn every_page<A: Serialize + DeserializeOwned, T>(
    session: &Session,
    path: &str,
    read: fn(A) -> (Listed<T>, Option<u32>),
) -> Result<Listed<T>, ClientError> {
    let mut all = Listed::default();
    let mut page = 0;
    for _ in 0..PAGES {
        let (listed, next) = read(session.get(&paged(path, page)).await?);
        all.append(listed);
        match next {
            Some(next) => page = next,
            None => break,
        }
    }
    Ok(all)
}

/// A resource in a trusted server's catalogue; `None` if it says that it does not have it.
pub(crate) async fn find(
    sessions: &Sessions,
    origin: &Origin,
    publisher: &PublisherName,
    name: &ResourceName,
) -> Result<Option<Listing>, Refused> {
    let path = paths::fill(paths::CATALOGUE_ENTRY, &[publisher, name]);
    let Some(entry) = public::<CatalogueEntry>(sessions, origin, path).await? else { return Ok(None) };
    if entry.publisher != *publisher || entry.name != *name {
        return Err(offline("the catalogue answers with another resource"));
    }
    let keys = sessions.trust.keys(origin).await?;
    match listing(&keys, entry.clone()) {
        // The store may have changed its keys since.
        Err(_) => listing(&*sessions.trust.refresh(origin).await?, entry).map(Some),
        listed => listed.map(Some),
    }
}

/// As [`find`], if a person is not asked about a missing entry but a resource waits.
pub(crate) async fn entry(
    sessions: &Sessions,
    origin: &Origin,
    publisher: &PublisherName,
    name: &ResourceName,
) -> Result<Listing, Refused> {
    let found = find(sessions, origin, publisher, name).await?;
    found.ok_or_else(|| offline(format!("{origin} does not list {publisher}/{name}")))
}

/// Reads what everybody may read. Only servers that the user trusts are asked.
pub(crate) async fn public<T: DeserializeOwned>(
    sessions: &Sessions,
    origin: &Origin,
    path_and_query: String,
) -> Result<Option<T>, Refused> {
    ask(sessions, origin, path_and_query).await?.map_err(|(status, _)| silent(status))
}

/// The same; another status than 200 and 404 is returned, with what is said beside it.
async fn ask<T: DeserializeOwned>(
    sessions: &Sessions,
    origin: &Origin,
    path_and_query: String,
) -> Result<Result<Option<T>, (u16, String)>, Refused> {
    sessions.trust.keys(origin).await?;
    let exchange = Exchange::get(origin.clone(), path_and_query);
    let answer = sessions.server.exchange(exchange).await?;
    match answer.status {
        200 => serde_json::from_slice(&answer.body)
            .map(|found| Ok(Some(found)))
            .map_err(|_| offline("the catalogue is damaged")),
        404 => Ok(Ok(None)),
        status => {
            let problem = serde_json::from_slice::<Problem>(&answer.body);
            Ok(Err((
                status,
                problem.map_or_else(|_| "no reason is given".to_owned(), |problem| printable(problem.detail)),
            )))
        }
    }
}

fn silent(status: u16) -> Refused {
    offline(format!("the catalogue does not answer (status {status})"))
}

/// Believes the offers that the server signed for this very resource; one that it did not spoils the whole entry. One
/// that it did sign, and this version cannot read, does not.
fn listing(keys: &KeyDocument, entry: CatalogueEntry) -> Result<Listing, Refused> {
    let CatalogueEntry {
        publisher,
        publisher_key,
        name,
        kind,
        title,
        description,
        mut versions,
        offers,
        vouches,
        adoption,
    } = entry;
    let read = |compact: &String| {
        let offer = trust::listed(Trust::offer(keys, compact));
        match offer.map_err(|error| offline(format!("an offer does not verify: {error}")))? {
            ListedEntry::Known(offer) if offer.document().publisher != publisher || offer.document().name != name => {
                Err(offline("an offer is for another resource"))
            }
            entry => Ok(entry),
        }
    };
    let Listed { known: offers, unknown: unknown_offers } = offers.iter().map(read).collect::<Result<_, _>>()?;
    version::sort_newest_first(&mut versions, |version| &version.version);
    Ok(Listing {
        server: keys.iss.clone(),
        publisher,
        publisher_key,
        name,
        kind: printable(kind),
        title: printable(title),
        description: printable(description),
        versions,
        offers,
        unknown_offers,
        vouches,
        adoption,
    })
}
