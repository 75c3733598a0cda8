//! Codes of a merchant as they are ordered: what is wanted, and the key that they are to be sealed to.

use portcullis_protocol::codes::Quantity;
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::{CodeReceipt, Digest, Money, Product, Verified, wire};

/// Codes as they are ordered.
#[derive(Debug, Clone)]
pub struct OrderedCodes {
    pub(crate) product: Verified<Product>,
    pub(crate) quantity: Quantity,
    pub(crate) amount: Money,
    pub(crate) request: Option<Digest>,
    pub(crate) recipient: Octets<32>,
}

impl OrderedCodes {
    pub(crate) const fn request(&self) -> wire::Goods {
        wire::Goods::Codes {
            product: self.product.digest(),
            quantity: self.quantity,
            recipient: self.recipient,
            request: self.request,
        }
    }

    pub(crate) fn is_receipt(&self, receipt: &CodeReceipt) -> bool {
        receipt.product == self.product.digest()
            && receipt.merchant == self.product.document().merchant
            && receipt.quantity == self.quantity
            && receipt.amount == self.amount
    }
}
