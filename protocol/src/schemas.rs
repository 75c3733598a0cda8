//! The JSON Schemas of identifiers and values that write themselves, for the OpenAPI document of a server.

use crate::codes::{Generation, Quantity, ReportedState};
use crate::ids::{
    Digest, EpochId, GrantId, MerchantName, OfferId, OperationName, OrderId, PartName, ProductName, PublisherName,
    ResourceName, TerminalId, Title, WebhookUrl,
};
use crate::keys::{PublicKey, Thumbprint};
use crate::limits::{MAX_CODES, MAX_GENERATION, MAX_MINOR_UNITS, MAX_PARTS, MAX_TITLE, MAX_WEBHOOK_URL};
use crate::money::Money;
use crate::refusal::Reason;
use crate::release::KeyRelease;
use crate::rights::Rights;
use crate::status_code::StatusCode;
use crate::version::Version;
use crate::wire::OrderState;
use serde_json::{Value, json};
use utoipa::openapi::{RefOr, schema::Schema};
use utoipa::{PartialSchema, ToSchema};

/// A code of a list that grows.
const CODE: &str = "^[a-z][a-z0-9-]{0,31}$";
/// Canonical base64url: the last character has no bits that stand for nothing.
const OCTETS_16: &str = "^[A-Za-z0-9_-]{21}[AQgw]$";
const OCTETS_32: &str = "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$";
const OCTETS_48: &str = "^[A-Za-z0-9_-]{64}$";
const NAME: &str = "^[a-z](-?[a-z0-9])*$";
const SEMVER: &str = r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$";

fn text(pattern: &str, most: usize, description: &str) -> Value {
    json!({"type": "string", "pattern": pattern, "maxLength": most, "description": description})
}

/// A schema from its JSON, which is written in this file.
fn schema(value: Value) -> RefOr<Schema> {
    RefOr::T(serde_json::from_value(value).unwrap_or_default())
}

macro_rules! schemas {
    ($($name:ident => $value:expr;)*) => {
        $(
            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    schema($value)
                }
            }
            impl ToSchema for $name {}
        )*

        /// All of them, by name.
        #[must_use]
        pub fn all() -> Vec<(String, RefOr<Schema>)> {
            vec![$((<$name as ToSchema>::name().into_owned(), <$name as PartialSchema>::schema()),)*]
        }
    };
}

schemas! {
    PublisherName => text(NAME, 64, "The name of a publisher.");
    ResourceName => text(NAME, 64, "The name of a resource within its publisher.");
    PartName => text(NAME, 64, "The name of a part within its resource.");
    OperationName => text(NAME, 64, "The name of an operation within its resource.");
    MerchantName => text(NAME, 64, "The name of a merchant.");
    ProductName => text(NAME, 64, "The name of a product within its merchant.");
    Title => json!({
        "type": "string", "minLength": 1, "maxLength": MAX_TITLE, "description": "What a person reads as a name.",
    });
    WebhookUrl => text("^https?://[!-~]+$", MAX_WEBHOOK_URL, "The address of a webhook.");
    Quantity => json!({"type": "integer", "minimum": 1, "maximum": MAX_CODES, "description": "How many codes."});
    Generation => json!({
        "type": "integer", "minimum": 1, "maximum": MAX_GENERATION, "description": "Which sealing of an order's code.",
    });
    ReportedState => json!({
        "type": "string", "pattern": CODE,
        "description": "`paid`, `notified`, `verified`, `code-received`, `delivered`, `acknowledged`, `failed`, \
                        `refunding`, `refunded`, `charged-back`, `disputed`, `kept`, `reversed`, or a later state.",
    });
    Version => text(SEMVER, 128, "A version, as SemVer 2.0.0 writes it.");
    EpochId => text(OCTETS_16, 22, "What events are numbered in: 16 bytes, base64url.");
    TerminalId => text(OCTETS_16, 22, "A terminal: 16 bytes, base64url.");
    OfferId => text(OCTETS_16, 22, "An offer: 16 bytes, base64url.");
    OrderId => text(OCTETS_16, 22, "An order: 16 bytes, base64url.");
    GrantId => text(OCTETS_16, 22, "A grant: 16 bytes, base64url.");
    Digest => text(OCTETS_32, 43, "SHA-256: 32 bytes, base64url.");
    Thumbprint => text(OCTETS_32, 43, "The thumbprint of a key (RFC 7638): 32 bytes, base64url.");
    StatusCode => text(OCTETS_48, 64, "A billing status code: 48 bytes, base64url.");
    PublicKey => json!({
        "type": "object", "description": "An Ed25519 key as a JWK (RFC 8037).", "additionalProperties": false,
        "required": ["crv", "kty", "x"],
        "properties": {
            "crv": {"type": "string", "enum": ["Ed25519"]},
            "kty": {"type": "string", "enum": ["OKP"]},
            "x": {"type": "string", "pattern": OCTETS_32},
        },
    });
    Money => json!({
        "type": "object", "description": "An amount of a currency of ISO 4217, in its minor units.",
        "additionalProperties": false, "required": ["minor_units", "currency"],
        "properties": {
            "minor_units": {"type": "integer", "format": "int64", "minimum": 0, "maximum": MAX_MINOR_UNITS},
            "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
        },
    });
    Rights => json!({
        "type": "object", "description": "What an offer sells: a rights model and its members.", "required": ["model"],
        "properties": {
            "model": {"type": "string", "description": "`free`, `perpetual`, `uses`, `metered`, or a later model."},
            "count": {"type": "integer", "format": "int32", "minimum": 1, "description": "Of `uses`: how many."},
        },
    });
    OrderState => json!({
        "type": "string", "pattern": CODE,
        "description": "`pending`, `paid`, `declined`, `refunded`, or a later state, which is never taken as paid.",
    });
    Reason => json!({
        "type": "string", "description": "A code of the registry of refusals.",
        "pattern": CODE,
    });
    KeyRelease => json!({
        "type": "object", "description": "The file keys of the granted parts, sealed to the terminal (RFC 9180).",
        "additionalProperties": false, "required": ["suite", "enc", "keys"],
        "properties": {
            "suite": {"type": "integer", "enum": [1]},
            "enc": {"type": "string", "pattern": OCTETS_32},
            "keys": {"type": "array", "maxItems": MAX_PARTS, "items": {
                "type": "object", "additionalProperties": false, "required": ["part", "key"],
                "properties": {
                    "part": {"type": "string", "pattern": NAME},
                    "key": {"type": "string", "pattern": OCTETS_32},
                },
            }},
        },
    });
}

#[test]
fn every_schema_is_one() {
    for (name, schema) in all() {
        let written = serde_json::to_value(&schema).expect("JSON");
        assert!(written["type"].is_string(), "{name} is not read: {written}");
    }
}
