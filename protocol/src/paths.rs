//! Every path of the interface, written once: the server routes by these templates, and terminals fill them in.
//!
//! A variable segment stands in braces, as in OpenAPI and in the server's router.

/// Root key, key document and base of the API.
pub const WELL_KNOWN: &str = "/.well-known/portcullis";
/// What the paths of the API begin with.
pub const API: &str = "/v1";
/// The interface as an OpenAPI document.
pub const OPENAPI: &str = "/openapi.json";

/// Whether the server runs.
pub const HEALTHZ: &str = "/healthz";
/// Whether the server can do its work.
pub const READYZ: &str = "/readyz";

/// Asks for a device code (RFC 8628 section 3.1).
pub const DEVICE_AUTHORIZATION: &str = "/oauth/device_authorization";
/// Turns a device code or a refresh token into tokens.
pub const TOKEN: &str = "/oauth/token";
/// Ends the session of a token (RFC 7009).
pub const REVOKE: &str = "/oauth/revoke";

/// Enrols the terminal.
pub const TERMINALS: &str = "/v1/terminals";

/// Steps 1 and 2 of the cycle.
pub const AUTHORIZATIONS: &str = "/v1/authorizations";
/// Step 3 of the cycle.
pub const VERIFICATIONS: &str = "/v1/verifications";
/// A grant again.
pub const GRANT: &str = "/v1/grants/{id}";
/// The keys of a grant arrived.
pub const GRANT_ACK: &str = "/v1/grants/{id}/ack";

/// Searches the catalogue.
pub const SEARCH: &str = "/v1/search";
/// One resource in the catalogue.
pub const CATALOGUE_ENTRY: &str = "/v1/catalogue/{publisher}/{name}";
/// The price list of a resource.
pub const OFFERS: &str = "/v1/catalogue/{publisher}/{name}/offers";
/// What a publisher's key stands for of what earlier ones signed.
pub const ADOPTION: &str = "/v1/catalogue/{publisher}/{name}/adoption";
/// A sealed file.
pub const FILE: &str = "/v1/files/{digest}";
/// A publisher and its key.
pub const PUBLISHER: &str = "/v1/publishers/{name}";
/// Claims a publisher's name.
pub const PUBLISHERS: &str = "/v1/publishers";
/// What a publisher has published.
pub const PUBLISHED: &str = "/v1/publishers/{name}/resources";
/// A page of it.
pub const PUBLISHED_PAGE: &str = "/v1/publishers/{name}/resources/{page}";
/// Changes a publisher's key.
pub const VOUCHES: &str = "/v1/publishers/{name}/vouches";
/// Publishes a sealed file.
pub const RESOURCES: &str = "/v1/resources";
/// Withdraws a resource.
pub const WITHDRAW: &str = "/v1/resources/{digest}/withdraw";
/// Restores a resource.
pub const RESTORE: &str = "/v1/resources/{digest}/restore";

/// Buys; and lists the orders that are not paid.
pub const ORDERS: &str = "/v1/orders";
/// One order.
pub const ORDER: &str = "/v1/orders/{id}";
/// Gives an order up.
pub const ORDER_CANCEL: &str = "/v1/orders/{id}/cancel";
/// The account.
pub const ACCOUNT: &str = "/v1/account";
/// The account's rights.
pub const ENTITLEMENTS: &str = "/v1/account/entitlements";
/// A page of them.
pub const ENTITLEMENTS_PAGE: &str = "/v1/account/entitlements/{page}";
/// The account's receipts.
pub const RECEIPTS: &str = "/v1/account/receipts";
/// A page of them.
pub const RECEIPTS_PAGE: &str = "/v1/account/receipts/{page}";
/// The account's refunds.
pub const REFUNDS: &str = "/v1/account/refunds";
/// A page of them.
pub const REFUNDS_PAGE: &str = "/v1/account/refunds/{page}";
/// The account's prepaid balances.
pub const BALANCES: &str = "/v1/account/balances";
/// The account's top-ups.
pub const TOP_UPS: &str = "/v1/account/top-ups";
/// A page of them.
pub const TOP_UPS_PAGE: &str = "/v1/account/top-ups/{page}";
/// The account's receipts of electronic codes.
pub const CODE_RECEIPTS: &str = "/v1/account/code-receipts";
/// A page of them.
pub const CODE_RECEIPTS_PAGE: &str = "/v1/account/code-receipts/{page}";
/// What is signed in to the account.
pub const SESSIONS: &str = "/v1/account/sessions";
/// One sign-in.
pub const SESSION: &str = "/v1/account/sessions/{id}";
/// Ends every sign-in of the account.
pub const SIGN_OUT: &str = "/v1/account/sign-out";
/// A terminal of the account.
pub const TERMINAL: &str = "/v1/account/terminals/{id}";

/// The events that are kept for a terminal.
pub const EVENTS: &str = "/v1/events";
/// Those after a cursor.
pub const EVENTS_AFTER: &str = "/v1/events/{epoch}/{seq}";
/// Those after a cursor, and every further one as it happens.
pub const EVENTS_STREAM: &str = "/v1/events/{epoch}/{seq}/stream";
/// The keys that sign the webhooks of an endpoint.
pub const WEBHOOK_KEYS: &str = "/v1/webhook-keys/{endpoint}";
/// Claims a merchant's name.
pub const MERCHANTS: &str = "/v1/merchants";
/// A merchant and what it sells.
pub const MERCHANT: &str = "/v1/merchants/{name}";
/// The merchant that asks.
pub const OWN_MERCHANT: &str = "/v1/merchant";
/// Has the merchant's endpoint challenged.
pub const OWNERSHIP: &str = "/v1/merchant/ownership";
/// Sells a product.
pub const PRODUCTS: &str = "/v1/merchant/products";
/// One product.
pub const PRODUCT: &str = "/v1/merchant/products/{name}";
/// Asks to be paid.
pub const MERCHANT_REQUESTS: &str = "/v1/merchant/requests";
/// The second interface.
pub const ORDER_VERIFICATIONS: &str = "/v1/merchant/verifications";
/// Submits a sealed code.
pub const SUBMISSIONS: &str = "/v1/merchant/codes";
/// An order as its merchant sees it.
pub const MERCHANT_ORDER: &str = "/v1/merchant/orders/{id}";
/// Declines an order.
pub const DECLINE: &str = "/v1/merchant/orders/{id}/decline";
/// The merchant's orders that are not final.
pub const MERCHANT_OPEN: &str = "/v1/merchant/open";
/// A page of them.
pub const MERCHANT_OPEN_PAGE: &str = "/v1/merchant/open/{after}";
/// Changes a merchant's key.
pub const MERCHANT_VOUCHES: &str = "/v1/merchant/vouches";
/// The events of a merchant.
pub const MERCHANT_EVENTS: &str = "/v1/merchant/events";
/// Those after a cursor.
pub const MERCHANT_EVENTS_AFTER: &str = "/v1/merchant/events/{epoch}/{seq}";
/// A payment request.
pub const PAYMENT_REQUEST: &str = "/v1/payment-requests/{digest}";
/// Orders codes.
pub const CODES: &str = "/v1/codes";
/// An order of codes.
pub const CODE: &str = "/v1/codes/{order}";
/// A code arrived.
pub const CODE_ACK: &str = "/v1/codes/{order}/ack";
/// Moves an order to another terminal.
pub const CODE_RECIPIENT: &str = "/v1/codes/{order}/recipient";
/// The account's orders of codes.
pub const ACCOUNT_CODES: &str = "/v1/account/codes";
/// A page of them.
pub const ACCOUNT_CODES_PAGE: &str = "/v1/account/codes/{page}";
/// Redeems a code.
pub const REDEMPTIONS: &str = "/v1/redemptions";
/// Redemption codes of a resource.
pub const GIFTS: &str = "/v1/catalogue/{publisher}/{name}/gifts";
/// A page of their batches.
pub const GIFTS_PAGE: &str = "/v1/catalogue/{publisher}/{name}/gifts/{page}";
/// One batch.
pub const GIFT_BATCH: &str = "/v1/catalogue/{publisher}/{name}/gifts/batches/{batch}";

/// What a payment provider says by itself.
pub const WEBHOOK: &str = "/webhooks/{provider}";

/// Fills the variable segments of a template, in order. Identifiers hold nothing that a URL would have to escape.
#[must_use]
pub fn fill(template: &str, segments: &[&dyn std::fmt::Display]) -> String {
    let mut segments = segments.iter();
    let filled = template.split('/').map(|segment| match segment.starts_with('{') {
        true => segments.next().map_or_else(|| segment.to_owned(), ToString::to_string),
        false => segment.to_owned(),
    });
    filled.collect::<Vec<_>>().join("/")
}

#[test]
fn segments_are_filled_in_order() {
    assert_eq!(fill(OFFERS, &[&"lumen", &"alpine-lake"]), "/v1/catalogue/lumen/alpine-lake/offers");
    assert_eq!(fill(ENTITLEMENTS_PAGE, &[&7]), "/v1/account/entitlements/7");
    assert_eq!(fill(ACCOUNT, &[]), ACCOUNT);
}
