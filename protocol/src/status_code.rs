//! The billing status code: an identifier and its authentication, bound to one request of one terminal.

use crate::encoding::{BadEncoding, Octets};
use crate::ids::{AccountId, CodeId, TerminalId};
use crate::labels::{STATUS_CODE, STATUS_CODE_BINDING};
use crate::wire::AuthorisationRequest;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// id (16 bytes) ‖ HMAC-SHA-256 (32 bytes), as base64url. Single-use and short-lived; printed redacted all the same.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StatusCode(Octets<48>);

impl StatusCode {
    /// The row that the code names. Not evidence of anything.
    #[must_use]
    pub fn id(&self) -> CodeId {
        let mut id = [0; 16];
        id.copy_from_slice(&self.0.0[..16]);
        CodeId::from_bytes(id)
    }

    /// The text that travels.
    #[must_use]
    pub fn expose(&self) -> String {
        self.0.to_string()
    }
}

impl FromStr for StatusCode {
    type Err = BadEncoding;
    fn from_str(text: &str) -> Result<Self, BadEncoding> {
        Octets::parse(text).map(Self)
    }
}

impl fmt::Debug for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StatusCode({}, …)", self.id())
    }
}

/// What a code is bound to: the digest over account, terminal, resource, operation, quantity, offer and nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeBinding([u8; 32]);

impl CodeBinding {
    /// The binding of a request by a terminal for an account.
    #[must_use]
    pub fn of(account: &AccountId, terminal: &TerminalId, request: &AuthorisationRequest) -> Self {
        let mut hash = Sha256::new();
        let mut field = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        field(STATUS_CODE_BINDING);
        field(account.as_bytes());
        field(terminal.as_bytes());
        field(request.resource.as_bytes());
        field(request.operation.as_str().as_bytes());
        field(&request.quantity.to_be_bytes());
        field(request.offer.as_ref().map_or(&[][..], |offer| &offer.as_bytes()[..]));
        field(request.nonce.as_bytes());
        Self(hash.finalize().into())
    }

    /// A binding read from a row.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes, for the row.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The server's key for status codes, kept outside the database.
#[derive(Clone)]
pub struct CodeKey(Zeroizing<[u8; 32]>);

impl CodeKey {
    /// Takes the 32 secret bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The code of a row. Deterministic, so that a retry gets the same code although it is not stored.
    #[must_use]
    pub fn issue(&self, id: CodeId, binding: &CodeBinding) -> StatusCode {
        let mut code = [0; 48];
        code[..16].copy_from_slice(id.as_bytes());
        code[16..].copy_from_slice(&self.mac(id, binding));
        StatusCode(Octets(code))
    }

    /// Whether this server issued `code` for exactly this binding. Constant time; asked before the database is.
    #[must_use]
    pub fn accepts(&self, code: &StatusCode, binding: &CodeBinding) -> bool {
        self.mac(code.id(), binding).ct_eq(&code.0.0[16..]).into()
    }

    fn mac(&self, id: CodeId, binding: &CodeBinding) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.0).expect("any length is a key");
        mac.update(STATUS_CODE);
        mac.update(id.as_bytes());
        mac.update(binding.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for CodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeKey")
    }
}
