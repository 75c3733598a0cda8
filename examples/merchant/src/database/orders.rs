//! Orders: what the store told of them, what was sealed for them, and how they ended.
//!
//! ```text
//! open ──▶ accepted ──▶ reversed        stuck: a person has to look
//!   └────▶ refunded
//! ```

use super::ledger::enter;
use super::{Around, number, products};
use crate::steps::Watch;
use crate::vault::Vault;
use crate::verification::{Expected, Mismatch};
use anyhow::{Context as _, Result};
use portcullis_protocol::codes::{CodeError, Codes, Generation, SealedBytes};
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::{Digest, OrderId, ProductName, Verification, Verified};
use rusqlite::{OptionalExtension as _, Row, Transaction, params};
use zeroize::Zeroizing;

/// How long the identifier of a webhook is remembered, in seconds. The store gives a message up after 28 hours.
const KEPT: i64 = 31 * 24 * 3600;

/// How far an order has come in this shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OrderState {
    /// Something is to be done.
    Open,
    /// The store has accepted the code.
    Accepted,
    /// The store has signed that it never accepted one: the codes are back in stock.
    Refunded,
    /// The buyer has the code and the money.
    Reversed,
    /// A person has to look.
    Stuck,
}

impl OrderState {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Accepted => "accepted",
            Self::Refunded => "refunded",
            Self::Reversed => "reversed",
            Self::Stuck => "stuck",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Open, Self::Accepted, Self::Refunded, Self::Reversed, Self::Stuck].into_iter().find(|s| s.name() == name)
    }
}

/// An order as this shop has it.
#[derive(Debug, Clone)]
pub(crate) struct OrderRow {
    pub(crate) id: OrderId,
    pub(crate) state: OrderState,
    pub(crate) tries: u32,
    pub(crate) note: String,
    /// How many webhooks told of it. Whoever decides something on an older count leaves the next step due.
    pub(crate) notices: i64,
}

/// What a webhook said of an order.
#[derive(Debug, Clone)]
pub(crate) struct Notice {
    pub(crate) message: String,
    pub(crate) order: OrderId,
    /// Of `order.paid` and `order.reseal`; absent in `order.closed`.
    pub(crate) nonce: Option<Octets<32>>,
}

/// A sealed code as it is sent, and sent again.
#[derive(Debug, Clone)]
pub(crate) struct Sealed {
    pub(crate) code: String,
    pub(crate) bytes: SealedBytes,
}

/// What came of the wish to seal.
pub(crate) enum Seal {
    /// This is to be sent: made now, or before.
    Send(Sealed),
    /// There are not enough codes.
    SoldOut,
    /// What the store says does not fit what the shop knows.
    Mismatch(Mismatch),
}

const COLUMNS: &str = "id, state, tries, note, notices";

type Columns = (String, String, u32, String, i64);

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
}

fn order((id, state, tries, note, notices): Columns) -> Result<OrderRow> {
    Ok(OrderRow {
        id: id.parse()?,
        state: OrderState::from_name(&state).with_context(|| format!("an order is `{state}`"))?,
        tries,
        note,
        notices,
    })
}

impl super::Database {
    /// Writes down what a webhook said, once. Returns whether it was new.
    pub(crate) async fn notify(&self, watch: &Watch, around: Around, notice: Notice) -> Result<bool> {
        self.watched(watch, around, move |tx| {
            let now = number(crate::now());
            tx.execute("DELETE FROM messages WHERE heard < ?1", [now - KEPT])?;
            let sql = "INSERT INTO messages (id, heard) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING";
            if tx.execute(sql, params![notice.message, now])? == 0 {
                return Ok(false);
            }
            let id = notice.order.to_string();
            let sql = "INSERT INTO orders (id, state, due, heard) VALUES (?1, 'open', ?2, ?2)
                       ON CONFLICT (id) DO UPDATE SET due = ?2, tries = 0, notices = notices + 1";
            tx.execute(sql, params![id, now])?;
            // Of two that come, the later one need not be the newer one: both are kept.
            if let Some(nonce) = notice.nonce {
                let sql = "INSERT INTO nonces (order_id, nonce) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
                tx.execute(sql, params![id, nonce.to_string()])?;
            }
            Ok(true)
        })
        .await
    }

    /// What the store sent for an order, the last one that came first.
    pub(crate) async fn nonces(&self, id: OrderId) -> Result<Vec<Octets<32>>> {
        self.run(move |tx| {
            let mut statement = tx.prepare("SELECT nonce FROM nonces WHERE order_id = ?1 ORDER BY id DESC")?;
            let rows = statement.query_map([id.to_string()], |row| row.get::<_, String>(0))?;
            rows.map(|nonce| Ok(nonce?.parse()?)).collect()
        })
        .await
    }

    /// The orders for which something is to be done now, and when the next one is due.
    pub(crate) async fn due(&self, most: u32) -> Result<(Vec<OrderRow>, Option<u64>)> {
        self.run(move |tx| {
            let now = number(crate::now());
            let sql = format!("SELECT {COLUMNS} FROM orders WHERE due <= ?1 ORDER BY due LIMIT ?2");
            let found = all(tx, &sql, params![now, most])?;
            let next: Option<i64> =
                tx.query_row("SELECT min(due) FROM orders WHERE due > ?1", [now], |row| row.get(0))?;
            Ok((found, next.and_then(|next| u64::try_from(next).ok())))
        })
        .await
    }

    /// Every order of the shop that may still change.
    pub(crate) async fn unfinished(&self) -> Result<Vec<OrderRow>> {
        self.run(|tx| {
            let sql =
                format!("SELECT {COLUMNS} FROM orders WHERE state NOT IN ('refunded', 'reversed') ORDER BY heard, id");
            all(tx, &sql, [])
        })
        .await
    }

    /// How many orders have ended: nothing changes there any more.
    pub(crate) async fn finished(&self) -> Result<u64> {
        self.run(|tx| {
            let sql = "SELECT count(*) FROM orders WHERE state IN ('refunded', 'reversed')";
            Ok(u64::try_from(tx.query_row(sql, [], |row| row.get::<_, i64>(0))?)?)
        })
        .await
    }

    /// Looks at an order again at a time, or not by itself.
    pub(crate) async fn again(&self, row: OrderRow, at: Option<u64>, note: String) -> Result<()> {
        self.run(move |tx| {
            let sql = "UPDATE orders SET due = ?3, tries = tries + 1, note = ?4 WHERE id = ?1 AND notices = ?2";
            tx.execute(sql, params![row.id.to_string(), row.notices, at.map(number), note])?;
            Ok(())
        })
        .await
    }

    /// A person has to look.
    pub(crate) async fn stick(&self, row: OrderRow, note: String) -> Result<()> {
        self.run(move |tx| {
            let sql = "UPDATE orders SET state = 'stuck', due = NULL, note = ?3 WHERE id = ?1 AND notices = ?2";
            tx.execute(sql, params![row.id.to_string(), row.notices, note])?;
            Ok(())
        })
        .await
    }

    /// Checks a verification, takes codes from the stock and seals them, in one transaction: whoever dies before its
    /// commit has taken none, and whoever comes after it finds what is to be sent. What was sealed before stays so.
    pub(crate) async fn seal(
        &self,
        watch: &Watch,
        around: Around,
        vault: Vault,
        verification: Verified<Verification>,
        expected: Expected,
        seal: impl FnOnce(&Codes) -> Result<Sealed, CodeError> + Send + 'static,
    ) -> Result<Seal> {
        self.watched(watch, around, move |tx| {
            let said = verification.document();
            if let Some(mismatch) = against_the_order(tx, said)? {
                return Ok(Seal::Mismatch(mismatch));
            }
            if let Some(sealed) = sealing(tx, &said.order, said.generation)? {
                return Ok(Seal::Send(sealed));
            }
            let product = products::revision(tx, &said.product)?;
            let request = match &said.request {
                Some(digest) => products::request(tx, digest)?,
                None => None,
            };
            let product = match expected.check(said, product, request) {
                Ok(product) => product,
                Err(mismatch) => return Ok(Seal::Mismatch(mismatch)),
            };
            let Some(codes) = taken(tx, &vault, &said.order, &product.name, said.quantity.get())? else {
                return Ok(Seal::SoldOut);
            };
            let Ok(sealed) = seal(&codes) else {
                return Ok(Seal::Mismatch(Mismatch::Store("its key is none that anything can be sealed to")));
            };
            let id = said.order.to_string();
            // Later sealings are of the same terms: of the first ones stands what the ledger has.
            let sql = "UPDATE orders SET product = ?2, minor = ?3, currency = ?4 WHERE id = ?1 AND product IS NULL";
            let (minor, currency) = (said.amount.minor_units(), said.amount.currency());
            tx.execute(sql, params![id, said.product.to_string(), minor, currency.as_str()])?;
            if let Some(request) = &said.request {
                let sql = "UPDATE requests SET order_id = ?2 WHERE digest = ?1";
                tx.execute(sql, params![request.to_string(), id])?;
            }
            let sql = "INSERT INTO sealings (order_id, generation, code, enc, ciphertext) VALUES (?1, ?2, ?3, ?4, ?5)";
            let ciphertext = serde_json::to_string(&sealed.bytes.ciphertext)?;
            let enc = sealed.bytes.enc.to_string();
            tx.execute(sql, params![id, said.generation.get(), sealed.code, enc, ciphertext])?;
            Ok(Seal::Send(sealed))
        })
        .await
    }

    /// The store has accepted what was sealed: written down with its document, and entered once.
    pub(crate) async fn accept(
        &self,
        watch: &Watch,
        around: Around,
        row: OrderRow,
        (generation, ciphertext): (Generation, Digest),
        document: String,
    ) -> Result<bool> {
        self.watched(watch, around, move |tx| {
            let own = sealing(tx, &row.id, generation)?.map(|sealed| sealed.bytes.digest());
            if own != Some(ciphertext) {
                return Ok(false);
            }
            let key = row.id.to_string();
            let sql = "UPDATE sealings SET accepted = ?3 WHERE order_id = ?1 AND generation = ?2";
            tx.execute(sql, params![key, generation.get(), document])?;
            enter(tx, &row.id, "sale", &document)?;
            tx.execute("UPDATE orders SET state = 'accepted', tries = 0, note = '' WHERE id = ?1", [&key])?;
            // More may have been told meanwhile: then there is more to do.
            let sql = "UPDATE orders SET due = NULL WHERE id = ?1 AND notices = ?2";
            tx.execute(sql, params![key, row.notices])?;
            Ok(true)
        })
        .await
    }

    /// What was sealed is about to leave this machine.
    pub(crate) async fn send(&self, id: OrderId, generation: Generation) -> Result<()> {
        self.run(move |tx| {
            let sql = "UPDATE sealings SET is_sent = 1 WHERE order_id = ?1 AND generation = ?2";
            tx.execute(sql, params![id.to_string(), generation.get()])?;
            Ok(())
        })
        .await
    }

    /// The store has signed that it never accepted a code. What was never sent is in stock again; what was sent is
    /// held, for it may have been delivered whatever is signed. Nothing is sealed for the order any more.
    pub(crate) async fn refund(&self, id: OrderId) -> Result<bool> {
        self.run(move |tx| {
            let key = id.to_string();
            let sql = "SELECT count(accepted), coalesce(max(is_sent), 0) FROM sealings WHERE order_id = ?1";
            let (accepted, is_sent): (i64, bool) = tx.query_row(sql, [&key], |row| Ok((row.get(0)?, row.get(1)?)))?;
            if accepted > 0 {
                // It has signed both. The codes stay where they are.
                return Ok(false);
            }
            if is_sent {
                tx.execute("UPDATE stock SET is_held = 1 WHERE order_id = ?1", [&key])?;
            } else {
                put_back(tx, &key)?;
            }
            tx.execute("UPDATE orders SET state = 'refunded', due = NULL, note = '' WHERE id = ?1", [&key])?;
            Ok(true)
        })
        .await
    }

    /// The merchant has decided to sell again what is held of an order. Returns how many codes that are.
    pub(crate) async fn release(&self, id: OrderId) -> Result<usize> {
        self.run(move |tx| {
            let key = id.to_string();
            let sql = "SELECT count(*) FROM stock WHERE order_id = ?1 AND is_held = 1";
            let held: i64 = tx.query_row(sql, [&key], |row| row.get(0))?;
            if held == 0 { Ok(0) } else { put_back(tx, &key) }
        })
        .await
    }

    /// The money went back although the code was accepted. It is never sold again. Whether that is what was sealed
    /// here.
    pub(crate) async fn reverse(
        &self,
        id: OrderId,
        (generation, ciphertext): (Generation, Digest),
        document: String,
    ) -> Result<bool> {
        self.run(move |tx| {
            if sealing(tx, &id, generation)?.map(|sealed| sealed.bytes.digest()) != Some(ciphertext) {
                return Ok(false);
            }
            // The acceptance may not have been heard of: the same document says it.
            enter(tx, &id, "sale", &document)?;
            enter(tx, &id, "reversal", &document)?;
            let key = id.to_string();
            let sql = "UPDATE sealings SET accepted = coalesce(accepted, ?3) WHERE order_id = ?1 AND generation = ?2";
            tx.execute(sql, params![key, generation.get(), document])?;
            tx.execute("UPDATE orders SET state = 'reversed', due = NULL, note = '' WHERE id = ?1", [key])?;
            Ok(true)
        })
        .await
    }
}

/// Codes of an order are in stock again, and what was sealed for it is gone.
fn put_back(tx: &Transaction<'_>, order: &str) -> Result<usize> {
    tx.execute("DELETE FROM sealings WHERE order_id = ?1", [order])?;
    Ok(tx.execute("UPDATE stock SET order_id = NULL, is_held = 0 WHERE order_id = ?1", [order])?)
}

/// The state of an order, and what it was first sealed for: product, amount and currency.
type Terms = (String, Option<String>, Option<i64>, Option<String>);

/// What an order may not be asked for: anything, once it is over; and later sealings on other terms than the first.
fn against_the_order(tx: &Transaction<'_>, said: &Verification) -> Result<Option<Mismatch>> {
    let key = said.order.to_string();
    let sql = "SELECT state, product, minor, currency FROM orders WHERE id = ?1";
    let found: Option<Terms> =
        tx.query_row(sql, [&key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))).optional()?;
    let Some((state, product, minor, currency)) = found else {
        return Ok(Some(Mismatch::Store("it is for an order that nobody told of")));
    };
    if !matches!(OrderState::from_name(&state), Some(OrderState::Open | OrderState::Accepted)) {
        return Ok(Some(Mismatch::Store("it asks for a code of an order that is over")));
    }
    let Some(product) = product else { return Ok(None) };
    let codes: i64 = tx.query_row("SELECT count(*) FROM stock WHERE order_id = ?1", [&key], |row| row.get(0))?;
    let is_same = product == said.product.to_string()
        && minor == Some(said.amount.minor_units())
        && currency.as_deref() == Some(said.amount.currency().as_str())
        && codes == i64::from(said.quantity.get());
    Ok((!is_same).then_some(Mismatch::Store("it asks for a later sealing on other terms than the first")))
}

fn all(tx: &Transaction<'_>, sql: &str, params: impl rusqlite::Params) -> Result<Vec<OrderRow>> {
    let mut statement = tx.prepare(sql)?;
    let rows = statement.query_map(params, columns)?;
    rows.map(|row| order(row?)).collect()
}

/// What was sealed for an order in a generation.
fn sealing(tx: &Transaction<'_>, order: &OrderId, generation: Generation) -> Result<Option<Sealed>> {
    let sql = "SELECT code, enc, ciphertext FROM sealings WHERE order_id = ?1 AND generation = ?2";
    let found: Option<(String, String, String)> = tx
        .query_row(sql, params![order.to_string(), generation.get()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((code, enc, ciphertext)) = found else { return Ok(None) };
    let bytes = SealedBytes { enc: enc.parse()?, ciphertext: serde_json::from_str(&ciphertext)? };
    Ok(Some(Sealed { code, bytes }))
}

/// The codes of an order: those that it has, or as many as it needs from the stock. `None` if there are not enough.
fn taken(
    tx: &Transaction<'_>,
    vault: &Vault,
    order: &OrderId,
    product: &ProductName,
    quantity: u32,
) -> Result<Option<Codes>> {
    let key = order.to_string();
    let has: i64 = tx.query_row("SELECT count(*) FROM stock WHERE order_id = ?1", [&key], |row| row.get(0))?;
    if has == 0 {
        let sql = "UPDATE stock SET order_id = ?1 WHERE id IN
                   (SELECT id FROM stock WHERE product = ?2 AND order_id IS NULL AND is_held = 0 ORDER BY id LIMIT ?3)";
        if tx.execute(sql, params![key, product.as_str(), quantity])? != quantity as usize {
            // Those that this very statement took.
            tx.execute("UPDATE stock SET order_id = NULL WHERE order_id = ?1", [&key])?;
            return Ok(None);
        }
    }
    let mut statement = tx.prepare("SELECT sealed FROM stock WHERE order_id = ?1 ORDER BY id")?;
    let rows = statement.query_map([&key], |row| row.get::<_, Vec<u8>>(0))?;
    let codes: Vec<Zeroizing<String>> = rows.map(|sealed| vault.open(product, &sealed?)).collect::<Result<_>>()?;
    Ok(Some(Codes::new(codes)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Database;
    use crate::steps::Step;
    use portcullis_protocol::codes::{Quantity, TimeToDeliver, seal};
    use portcullis_protocol::{Product, ReleaseSecretKey, SecretKey};

    const AROUND: Around = (Step::NotificationBeforeCommit, Step::NotificationAfterCommit);

    struct Books {
        _folder: tempfile::TempDir,
        database: Database,
        vault: Vault,
        product: Digest,
    }

    fn order_of(number: u8) -> OrderId {
        let mut id = [number; 16];
        // Begun now, as its identifier says.
        id[..6].copy_from_slice(&(crate::now() * 1000).to_be_bytes()[2..]);
        OrderId::from_bytes(id)
    }

    impl Books {
        /// With two codes in stock.
        async fn open() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let database = Database::open(&folder.path().join("shop.db")).expect("a database");
            let vault = Vault::new(Zeroizing::new([7; 32]));
            let product = Product {
                merchant: "games".parse().expect("a name"),
                aud: "https://store.example".parse().expect("an origin"),
                name: "game-key".parse().expect("a name"),
                title: "A game".parse().expect("a title"),
                description: "".parse().expect("a text"),
                price: "20.00 EUR".parse().expect("a price"),
                deadline: TimeToDeliver::new(600).expect("seconds"),
                iat: 1,
            };
            let (name, digest) = (product.name.clone(), Digest::of(b"product"));
            database.sell(digest, product).await.expect("sold");
            let codes = ["ONE", "TWO"].map(|code| Zeroizing::new(code.to_owned())).to_vec();
            database.stock(vault.clone(), name, codes).await.expect("stocked");
            Self { _folder: folder, database, vault, product: digest }
        }

        async fn tell(&self, order: OrderId, message: &str, nonce: u8) {
            let notice = Notice { message: message.into(), order, nonce: Some(Octets([nonce; 32])) };
            assert!(self.database.notify(&Watch::none(), AROUND, notice).await.expect("written"), "it is new");
        }

        fn said(&self, order: OrderId, generation: u32, quantity: u32, amount: &str) -> Verified<Verification> {
            let said = Verification {
                iss: "https://store.example".parse().expect("an origin"),
                merchant: "games".parse().expect("a name"),
                order,
                product: self.product,
                quantity: Quantity::new(quantity).expect("a quantity"),
                amount: amount.parse().expect("an amount"),
                recipient: Octets(*ReleaseSecretKey::generate(&mut crate::rng()).public().as_bytes()),
                generation: Generation::new(generation).expect("a generation"),
                deadline: crate::now() + 600,
                request: None,
                iat: crate::now(),
            };
            Verified::sign(said, &SecretKey::from_seed(&[1; 32]))
        }

        async fn seal(&self, verification: Verified<Verification>) -> Seal {
            let (said, digest) = (verification.document().clone(), verification.digest());
            let expected =
                Expected { store: said.iss.clone(), merchant: said.merchant.clone(), order: said.order, request: None };
            let make = move |codes: &Codes| {
                let context = portcullis_protocol::codes::CodeContext {
                    order: &said.order,
                    merchant: &said.merchant,
                    generation: said.generation,
                    verification: &digest,
                };
                let bytes = seal(&said.recipient, &context, codes, &mut crate::rng())?;
                Ok(Sealed { code: "signed".into(), bytes })
            };
            let vault = self.vault.clone();
            self.database.seal(&Watch::none(), AROUND, vault, verification, expected, make).await.expect("decided")
        }

        async fn left(&self) -> (u64, u64) {
            let sold = self.database.on_sale().await.expect("read").remove(0);
            (sold.left, sold.held)
        }

        async fn row(&self, order: OrderId) -> OrderRow {
            let rows = self.database.unfinished().await.expect("read");
            rows.into_iter().find(|row| row.id == order).expect("an order")
        }
    }

    fn sent(seal: &Seal) -> Digest {
        let Seal::Send(sealed) = seal else { panic!("nothing is sent") };
        sealed.bytes.digest()
    }

    #[tokio::test]
    async fn what_is_held_is_not_sold_until_it_is_released() {
        let books = Books::open().await;
        let name: ProductName = "game-key".parse().expect("a name");
        let mistyped = books.database.hold(Some("nosuchproduct".parse().expect("a name"))).await;
        let said = mistyped.expect_err("nothing of what was meant is held").to_string();
        assert!(said.contains("no product `nosuchproduct`") && said.contains("It has: game-key"), "{said}");
        assert_eq!(books.left().await, (2, 0));
        assert_eq!(books.database.hold(None).await.expect("held"), [(name.clone(), 2)]);
        assert!(books.database.hold(Some(name.clone())).await.expect("held").is_empty(), "all of it is held");
        assert_eq!(books.left().await, (0, 2));
        let order = order_of(1);
        books.tell(order, "first", 1).await;
        assert!(matches!(books.seal(books.said(order, 1, 1, "20.00 EUR")).await, Seal::SoldOut));
        // One of the two was sold after the backup was made.
        let sold = vec![Zeroizing::new("ONE".to_owned()), Zeroizing::new("NEVER-HERE".to_owned())];
        let released = books.database.release_stock(books.vault.clone(), name.clone(), sold.clone()).await;
        assert_eq!((released.expect("released"), books.left().await), (1, (1, 1)));
        let sealed = books.seal(books.said(order, 1, 1, "20.00 EUR")).await;
        assert!(matches!(sealed, Seal::Send(_)), "the other one is sold");
        assert_eq!(books.left().await, (0, 1));
        assert_eq!(books.database.release(order).await.expect("read"), 0, "nothing is held of the order");
        assert_eq!(books.database.release_stock(books.vault.clone(), name, sold).await.expect("released"), 0);
    }

    #[tokio::test]
    async fn of_nonces_that_come_in_any_order_none_is_lost() {
        let (books, order) = (Books::open().await, order_of(1));
        books.tell(order, "newer", 2).await;
        books.tell(order, "older", 1).await;
        let nonces = books.database.nonces(order).await.expect("read");
        assert_eq!(nonces, [Octets([1; 32]), Octets([2; 32])]);
        let again = Notice { message: "older".into(), order, nonce: Some(Octets([3; 32])) };
        assert!(!books.database.notify(&Watch::none(), AROUND, again).await.expect("read"), "the same message again");
        assert_eq!(books.database.nonces(order).await.expect("read").len(), 2);
    }

    #[tokio::test]
    async fn a_later_sealing_on_other_terms_gives_nothing_away() {
        let (books, order) = (Books::open().await, order_of(1));
        books.tell(order, "first", 1).await;
        let first = sent(&books.seal(books.said(order, 1, 1, "20.00 EUR")).await);
        assert_eq!(sent(&books.seal(books.said(order, 1, 1, "20.00 EUR")).await), first, "the same bytes again");
        for (quantity, amount) in [(2, "40.00 EUR"), (1, "10.00 EUR"), (1, "20.00 USD")] {
            let seal = books.seal(books.said(order, 2, quantity, amount)).await;
            assert!(matches!(seal, Seal::Mismatch(Mismatch::Store(_))), "{quantity} for {amount}");
        }
        assert_eq!(books.left().await, (1, 0), "what is sold stays so");
        sent(&books.seal(books.said(order, 2, 1, "20.00 EUR")).await);
        assert_eq!(books.left().await, (1, 0), "the control: the same code, sealed again");
    }

    #[tokio::test]
    async fn nothing_is_sealed_for_an_order_that_was_paid_back() {
        let (books, order) = (Books::open().await, order_of(1));
        books.tell(order, "first", 1).await;
        sent(&books.seal(books.said(order, 1, 1, "20.00 EUR")).await);
        assert!(books.database.refund(order).await.expect("written"));
        assert_eq!(books.left().await, (2, 0), "it was never sent");
        let again = books.seal(books.said(order, 1, 1, "20.00 EUR")).await;
        assert!(matches!(again, Seal::Mismatch(Mismatch::Store(_))), "its code may be somebody else's by now");
        // One that was sent is held until the merchant decides.
        let order = order_of(2);
        books.tell(order, "second", 2).await;
        sent(&books.seal(books.said(order, 1, 1, "20.00 EUR")).await);
        books.database.send(order, Generation::FIRST).await.expect("written");
        assert!(books.database.refund(order).await.expect("written"));
        assert_eq!(books.left().await, (1, 1));
        assert_eq!(books.database.release(order).await.expect("decided"), 1);
        assert_eq!(books.database.release(order).await.expect("decided"), 0, "once");
        assert_eq!(books.left().await, (2, 0));
    }

    #[tokio::test]
    async fn what_was_accepted_is_not_freed_and_a_reversal_makes_the_books_even() {
        let (books, order) = (Books::open().await, order_of(1));
        books.tell(order, "first", 1).await;
        let digest = sent(&books.seal(books.said(order, 1, 1, "20.00 EUR")).await);
        let (own, other) = ((Generation::FIRST, digest), (Generation::FIRST, Digest::of(b"another")));
        assert!(!books.database.reverse(order, other, "document".into()).await.expect("read"), "not what was sealed");
        let row = books.row(order).await;
        let nobody = Watch::none();
        let accept = |what| books.database.accept(&nobody, AROUND, row.clone(), what, "document".into());
        assert!(!accept(other).await.expect("read"));
        assert!(accept(own).await.expect("written") && accept(own).await.expect("written"), "twice is once");
        assert!(!books.database.refund(order).await.expect("read"), "the store has signed both");
        assert_eq!(books.left().await, (1, 0));
        assert!(books.database.reverse(order, own, "document".into()).await.expect("written"));
        // And one whose acceptance nobody heard of.
        let order = order_of(2);
        books.tell(order, "second", 2).await;
        let digest = sent(&books.seal(books.said(order, 1, 1, "20.00 EUR")).await);
        assert!(books.database.reverse(order, (Generation::FIRST, digest), "document".into()).await.expect("written"));
        let totals = crate::database::totals(&books.database.ledger().await.expect("read"));
        assert_eq!(totals.into_values().collect::<Vec<_>>(), [0]);
        assert_eq!(books.left().await, (0, 0), "neither is sold again");
    }
}
