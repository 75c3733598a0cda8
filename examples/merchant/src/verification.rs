//! What has to fit before a code is taken from the stock: the store signs what was ordered, and the shop compares it
//! with what it sells.

use portcullis_protocol::{Digest, MerchantName, OrderId, Origin, PaymentRequest, Product, Verification};

/// What a verification has to be about.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    pub(crate) store: Origin,
    pub(crate) merchant: MerchantName,
    pub(crate) order: OrderId,
    /// The request that was named when it was asked for.
    pub(crate) request: Option<Digest>,
}

/// What does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Mismatch {
    /// The store says what an honest store does not say. A person has to look; nothing is sealed.
    #[error("the store's verification is not to be believed: {0}")]
    Store(&'static str),
    /// It was ordered on terms that are not this shop's. It is declined.
    #[error("{0}")]
    Terms(&'static str),
}

/// How long after the end of what was asked an order may have been begun, in seconds: clocks differ, and somebody had
/// the page open.
const GRACE: u64 = 3600;

impl Expected {
    /// When the order was begun, by its identifier (section 1), Unix seconds.
    fn begun(&self) -> u64 {
        let [a, b, c, d, e, f, ..] = *self.order.as_bytes();
        u64::from_be_bytes([0, 0, a, b, c, d, e, f]) / 1000
    }

    /// Compares a verification with what the shop knows: the revision of the product that it names, and when that was
    /// sold last; and the payment request, with the order that it stands for already.
    pub(crate) fn check(
        &self,
        said: &Verification,
        product: Option<(Product, Option<u64>)>,
        request: Option<(PaymentRequest, Option<OrderId>)>,
    ) -> Result<Product, Mismatch> {
        if said.iss != self.store || said.merchant != self.merchant {
            return Err(Mismatch::Store("it is for another store or merchant"));
        }
        if said.order != self.order {
            return Err(Mismatch::Store("it is for another order"));
        }
        if said.request != self.request {
            return Err(Mismatch::Store("it is for another payment request"));
        }
        let (product, ended) = product.ok_or(Mismatch::Terms("The product is not one of this shop."))?;
        let is_late = |end: u64| self.begun() > end.saturating_add(GRACE);
        let asked = match (&said.request, request) {
            (None, _) if ended.is_some_and(is_late) => {
                return Err(Mismatch::Store("it is for a product on terms that had ended before the order was begun"));
            }
            (None, _) => product.amount(said.quantity).ok(),
            (Some(_), None) => return Err(Mismatch::Terms("The payment request is not one of this shop.")),
            (Some(_), Some((request, stands_for))) => {
                if stands_for.is_some_and(|order| order != self.order) {
                    return Err(Mismatch::Terms("The payment request was paid already."));
                }
                if request.product != said.product || request.quantity != said.quantity {
                    return Err(Mismatch::Terms("The payment request is for something else."));
                }
                if is_late(request.exp) {
                    return Err(Mismatch::Store(
                        "it is for a payment request that had ended before the order was begun",
                    ));
                }
                Some(request.amount)
            }
        };
        if asked == Some(said.amount) {
            Ok(product)
        } else {
            Err(Mismatch::Terms("The amount is not what the shop asks."))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_protocol::codes::{Generation, Quantity, TimeToDeliver};
    use portcullis_protocol::encoding::Octets;

    const ORDER: OrderId = OrderId::from_bytes([1; 16]);

    fn product() -> Product {
        Product {
            merchant: "games".parse().expect("a name"),
            aud: "https://store.example".parse().expect("an origin"),
            name: "game-key".parse().expect("a name"),
            title: "A game".parse().expect("a title"),
            description: "".parse().expect("a text"),
            price: "20.00 EUR".parse().expect("a price"),
            deadline: TimeToDeliver::new(600).expect("seconds"),
            iat: 1,
        }
    }

    fn said() -> Verification {
        Verification {
            iss: "https://store.example".parse().expect("an origin"),
            merchant: "games".parse().expect("a name"),
            order: ORDER,
            product: Digest::of(b"product"),
            quantity: Quantity::new(2).expect("two"),
            amount: "40.00 EUR".parse().expect("an amount"),
            recipient: Octets([9; 32]),
            generation: Generation::FIRST,
            deadline: 700,
            request: None,
            iat: 100,
        }
    }

    fn expected() -> Expected {
        let said = said();
        Expected { store: said.iss, merchant: said.merchant, order: ORDER, request: None }
    }

    #[test]
    fn what_was_ordered_on_the_shops_terms_is_sealed_for_and_nothing_else() {
        expected().check(&said(), Some((product(), None)), None).expect("the control");
        // Sold until after the order was begun, or ended long before.
        let begun = expected().begun();
        expected().check(&said(), Some((product(), Some(begun))), None).expect("it was sold then");
        let ended =
            expected().check(&said(), Some((product(), Some(begun - GRACE - 1))), None).expect_err("it was not");
        assert!(matches!(ended, Mismatch::Store(_)), "{ended}");
        let store = |change: fn(&mut Verification)| {
            let mut said = said();
            change(&mut said);
            let refused = expected().check(&said, Some((product(), None)), None).expect_err("refused");
            assert!(matches!(refused, Mismatch::Store(_)), "{refused}");
        };
        store(|said| said.iss = "https://other.example".parse().expect("an origin"));
        store(|said| said.merchant = "films".parse().expect("a name"));
        store(|said| said.order = OrderId::from_bytes([2; 16]));
        store(|said| said.request = Some(Digest::of(b"request")));
        let terms = |change: fn(&mut Verification), product: Option<Product>| {
            let mut said = said();
            change(&mut said);
            let refused = expected().check(&said, product.map(|product| (product, None)), None).expect_err("refused");
            assert!(matches!(refused, Mismatch::Terms(_)), "{refused}");
        };
        terms(|_| {}, None);
        terms(|said| said.amount = "39.99 EUR".parse().expect("an amount"), Some(product()));
        terms(|said| said.amount = "40.00 USD".parse().expect("an amount"), Some(product()));
        terms(|said| said.quantity = Quantity::new(3).expect("three"), Some(product()));
    }

    #[test]
    fn a_request_has_its_own_amount_and_stands_for_one_order() {
        let digest = Digest::of(b"request");
        let request = PaymentRequest {
            merchant: "games".parse().expect("a name"),
            aud: "https://store.example".parse().expect("an origin"),
            jti: Octets([1; 16]),
            product: Digest::of(b"product"),
            quantity: Quantity::new(2).expect("two"),
            amount: "35.00 EUR".parse().expect("an amount"),
            iat: 1,
            exp: expected().begun(),
        };
        let expected = Expected { request: Some(digest), ..expected() };
        let mut said = Verification { request: Some(digest), ..said() };
        let check = |said: &Verification, request| expected.check(said, Some((product(), None)), request);
        let price = check(&said, Some((request.clone(), None))).expect_err("the price is not the request's amount");
        assert!(matches!(price, Mismatch::Terms(_)));
        said.amount = request.amount;
        check(&said, Some((request.clone(), None))).expect("the control");
        check(&said, Some((request.clone(), Some(ORDER)))).expect("the same order again");
        let other = Some(OrderId::from_bytes([2; 16]));
        check(&said, Some((request.clone(), other))).expect_err("it was paid already");
        check(&said, None).expect_err("somebody else's");
        let ended = PaymentRequest { exp: expected.begun() - GRACE - 1, ..request.clone() };
        assert!(matches!(check(&said, Some((ended, None))), Err(Mismatch::Store(_))), "it had expired");
        said.quantity = Quantity::ONE;
        check(&said, Some((request, None))).expect_err("for something else");
    }
}
