//! Where a visitor is on the way to: only ever to a page of this server, so that no link leads elsewhere.

use crate::http::form;
use crate::http::oauth::UserCode;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use maud::{Markup, html};
use portcullis_protocol::{Digest, MerchantName, OrderId, ProductName, PublisherName, ResourceName};
use std::convert::Infallible;

/// The page that a person wanted before signing in or up. Each is made from what it consists of: no text of a link
/// becomes an address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Onward {
    /// The first page.
    #[default]
    Home,
    /// The account.
    Account,
    /// What it holds.
    Library,
    /// What it ordered.
    Purchases,
    /// What it paid in.
    Balance,
    /// An order, with its receipt.
    Order(OrderId),
    /// A resource.
    Resource(PublisherName, ResourceName),
    /// What a merchant asks to be paid.
    Pay(Digest),
    /// A product of a merchant.
    Product(MerchantName, ProductName),
    /// Where codes go.
    Preset,
    /// Where a code that was given becomes rights.
    Redeem,
    /// The offer that is to be bought.
    Buy(Digest),
    /// The page that asks for a terminal's code.
    Terminal,
    /// The approval of a terminal.
    Device(UserCode),
}

/// What begins a value of `to` that leads to one of several pages of a kind.
const BUY: &str = "buy.";
const PAY: &str = "pay.";
const PRODUCT: &str = "product.";
const ORDER: &str = "order.";
const RESOURCE: &str = "resource.";

impl Onward {
    /// Reads what a link or a form says. Whatever it is not leads to the first page.
    pub(super) fn read(code: &str, to: &str) -> Self {
        if let Ok(code) = code.parse() {
            return Self::Device(code);
        }
        if let Some(offer) = to.strip_prefix(BUY) {
            return offer.parse().map_or(Self::Home, Self::Buy);
        }
        if let Some(request) = to.strip_prefix(PAY) {
            return request.parse().map_or(Self::Home, Self::Pay);
        }
        if let Some((merchant, name)) = to.strip_prefix(PRODUCT).and_then(|product| product.split_once('/')) {
            let (merchant, name) = (merchant.parse(), name.parse());
            return merchant.ok().zip(name.ok()).map_or(Self::Home, |(of, name)| Self::Product(of, name));
        }
        if let Some(order) = to.strip_prefix(ORDER) {
            return order.parse().map_or(Self::Home, Self::Order);
        }
        if let Some((publisher, name)) = to.strip_prefix(RESOURCE).and_then(|resource| resource.split_once('/')) {
            let (publisher, name) = (publisher.parse(), name.parse());
            return publisher.ok().zip(name.ok()).map_or(Self::Home, |(of, name)| Self::Resource(of, name));
        }
        let named =
            [Self::Account, Self::Library, Self::Purchases, Self::Balance, Self::Preset, Self::Redeem, Self::Terminal];
        named.into_iter().find(|page| page.to().as_deref() == Some(to)).unwrap_or_default()
    }

    /// The page itself.
    pub(super) fn path(&self) -> String {
        match self {
            Self::Home => "/".to_owned(),
            Self::Account => "/account".to_owned(),
            Self::Library => "/account/library".to_owned(),
            Self::Purchases => "/account/purchases".to_owned(),
            Self::Balance => "/account/balance".to_owned(),
            Self::Order(order) => format!("/account/orders/{order}"),
            Self::Resource(publisher, name) => format!("/resources/{publisher}/{name}"),
            Self::Pay(request) => format!("/pay/{request}"),
            Self::Product(merchant, name) => format!("/merchants/{merchant}/{name}"),
            Self::Preset => "/account/preset".to_owned(),
            Self::Redeem => "/account/redeem".to_owned(),
            Self::Buy(offer) => format!("/buy/{offer}"),
            Self::Terminal => "/device".to_owned(),
            Self::Device(code) => format!("/device?code={code}"),
        }
    }

    /// The value of `to` that leads there.
    fn to(&self) -> Option<String> {
        match self {
            Self::Home | Self::Device(_) => None,
            Self::Account => Some("account".to_owned()),
            Self::Library => Some("library".to_owned()),
            Self::Purchases => Some("purchases".to_owned()),
            Self::Balance => Some("balance".to_owned()),
            Self::Order(order) => Some(format!("{ORDER}{order}")),
            Self::Resource(publisher, name) => Some(format!("{RESOURCE}{publisher}/{name}")),
            Self::Pay(request) => Some(format!("{PAY}{request}")),
            Self::Product(merchant, name) => Some(format!("{PRODUCT}{merchant}/{name}")),
            Self::Preset => Some("preset".to_owned()),
            Self::Redeem => Some("redeem".to_owned()),
            Self::Buy(offer) => Some(format!("{BUY}{offer}")),
            Self::Terminal => Some("terminal".to_owned()),
        }
    }

    /// Another page, on the way there.
    pub(super) fn by(&self, page: &str) -> String {
        match (self, self.to()) {
            (Self::Device(code), _) => format!("{page}?code={code}"),
            (_, Some(to)) => format!("{page}?to={to}"),
            (_, None) => page.to_owned(),
        }
    }

    /// The hidden field of a form on the way there.
    pub(super) fn field(&self) -> Markup {
        html! {
            @if let Self::Device(code) = self { input type="hidden" name="code" value=(code); }
            @if let Some(to) = self.to() { input type="hidden" name="to" value=(to); }
        }
    }
}

/// The first value that a query has for a name, if it has one.
pub(super) fn query_value(parts: &Parts, name: &str) -> Option<String> {
    form::value(parts.uri.query().unwrap_or_default(), name)
}

impl<S: Sync> FromRequestParts<S> for Onward {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let value = |name| query_value(parts, name).unwrap_or_default();
        Ok(Self::read(&value("code"), &value("to")))
    }
}

#[cfg(test)]
mod tests {
    use super::Onward;
    use portcullis_protocol::{Digest, OrderId};

    /// What a page says of itself leads back to it, and nothing else leads anywhere but to the first page.
    #[test]
    fn every_page_is_found_again_and_nothing_else_is() {
        let pages = [
            Onward::Account,
            Onward::Library,
            Onward::Purchases,
            Onward::Balance,
            Onward::Terminal,
            Onward::Preset,
            Onward::Redeem,
            Onward::Pay(Digest::of(b"a request")),
            Onward::Product("games".parse().expect("a name"), "game-key".parse().expect("a name")),
            Onward::Buy(Digest::of(b"an offer")),
            Onward::Order(OrderId::from_bytes([7; 16])),
            Onward::Resource("lumen".parse().expect("a name"), "alpine-lake".parse().expect("a name")),
        ];
        for page in pages {
            let to = page.to().expect("it has a name");
            assert_eq!(Onward::read("", &to), page, "{to}");
            assert!(page.path().starts_with('/') && !page.path().starts_with("//"), "{to}");
        }
        for lure in [
            "",
            "buy.",
            "buy./",
            "order.//evil.example",
            "resource.//evil.example",
            "product.games",
            "product.//evil.example",
            "resource.lumen",
            "resource.lumen/../..//evil.example",
            "resource.lumen/a%2f%2fevil.example",
            "//evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "account\r\nLocation: https://evil.example",
        ] {
            assert_eq!(Onward::read("", lure), Onward::Home, "{lure}");
            assert_eq!(Onward::read(lure, ""), Onward::Home, "{lure}");
        }
    }
}
