//! Which billers are known: a signed document, so that whoever can write the file cannot make a forger a biller.

use crate::account::ascii_domain;
use crate::iban::Iban;
use crate::limits::MAX_BILLERS;
use portcullis_protocol::labels::TYP_BILLERS;
use portcullis_protocol::{Currency, Document, JwsError, PublicKey, SecretKey, Unverified, Verified};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Why a registry is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// Its signature.
    #[error(
        "the registry of billers is not what its publisher signed. Compare the key with the one that the publisher names"
    )]
    Signature(#[from] JwsError),
    /// What it says.
    #[error("the registry of billers is wrong about `{biller}`: {what}")]
    Entry {
        /// The biller's id.
        biller: String,
        /// What is wrong.
        what: &'static str,
    },
    /// Too many.
    #[error("the registry has more than {MAX_BILLERS} billers")]
    TooMany,
}

/// Somebody who sends bills.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Biller {
    /// A short name that never changes.
    pub id: String,
    /// What users read.
    pub name: String,
    /// Domains it sends from and signs with, each with its subdomains.
    pub domains: Vec<String>,
    /// Where it wants its money. If empty, the first one seen is remembered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ibans: Vec<Iban>,
    /// What it means by a sign that several currencies have, such as `$`, and by an amount in a text that names no
    /// currency at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
}

/// The billers of one publisher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BillerRegistry {
    /// When it was signed, in seconds since 1970: an older one does not replace a newer one.
    pub iat: u64,
    /// The billers.
    pub billers: Vec<Biller>,
}

impl Document for BillerRegistry {
    const TYP: &'static str = TYP_BILLERS;
    const CHECKS_TEXTS: bool = true;
}

impl BillerRegistry {
    /// Verifies and checks a registry.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn open(compact: &str, key: &PublicKey) -> Result<Self, RegistryError> {
        let registry = Unverified::<Self>::parse(compact.trim())?.verify(key)?.into_document();
        registry.check()?;
        Ok(registry)
    }

    /// Checks and signs a registry.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn sign(self, key: &SecretKey) -> Result<String, RegistryError> {
        self.check()?;
        Ok(Verified::sign(self, key).compact().to_owned())
    }

    /// The biller that a domain belongs to.
    #[must_use]
    pub fn of_domain(&self, domain: &str) -> Option<&Biller> {
        self.billers.iter().find(|biller| biller.covers(domain))
    }

    fn check(&self) -> Result<(), RegistryError> {
        if self.billers.len() > MAX_BILLERS {
            return Err(RegistryError::TooMany);
        }
        let mut ids = HashSet::new();
        for biller in &self.billers {
            let wrong = |what| Err(RegistryError::Entry { biller: biller.id.clone(), what });
            let good = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
            if !(1..=64).contains(&biller.id.len()) || !biller.id.bytes().all(good) {
                return wrong("an id is up to 64 lowercase letters, digits and `-`");
            }
            if !ids.insert(&biller.id) {
                return wrong("it is listed twice");
            }
            if biller.name.trim().is_empty() || biller.name.len() > 120 {
                return wrong("a name has 1 to 120 bytes");
            }
            if biller.domains.is_empty() {
                return wrong("it has no domain");
            }
            for domain in &biller.domains {
                if ascii_domain(domain).as_deref() != Some(domain) {
                    return wrong("a domain is not in its ASCII form, lower case, with at least two labels");
                }
                // A subdomain of another's would make it depend on the order whose mail it is.
                if self.billers.iter().any(|other| other.id != biller.id && other.covers(domain)) {
                    return wrong("one of its domains belongs to another biller");
                }
            }
        }
        Ok(())
    }
}

impl Biller {
    /// Whether a domain is one of the biller's or below it.
    #[must_use]
    pub fn covers(&self, domain: &str) -> bool {
        let domain = domain.trim_end_matches('.').to_ascii_lowercase();
        self.domains
            .iter()
            .any(|own| domain.strip_suffix(own.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn biller(id: &str, domain: &str) -> Biller {
        Biller { id: id.into(), name: id.into(), domains: vec![domain.into()], ibans: vec![], currency: None }
    }

    #[test]
    fn only_what_the_pinned_key_signed_is_a_registry() {
        let key = SecretKey::from_seed(&[1; 32]);
        let registry = BillerRegistry { iat: 1, billers: vec![biller("power", "power.example")] };
        let compact = registry.clone().sign(&key).expect("good");
        assert_eq!(BillerRegistry::open(&compact, key.public()), Ok(registry));
        let other = SecretKey::from_seed(&[2; 32]);
        assert!(matches!(BillerRegistry::open(&compact, other.public()), Err(RegistryError::Signature(_))));
        let cut = &compact[..compact.len() - 2];
        assert!(matches!(BillerRegistry::open(cut, key.public()), Err(RegistryError::Signature(_))));
    }

    #[test]
    fn the_vector_of_the_protocol_is_read_and_written() {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/documents.json");
        let vectors: serde_json::Value = serde_json::from_slice(&std::fs::read(file).expect("vectors")).expect("JSON");
        let all = vectors["positive"].as_array().expect("a list");
        let vector = all.iter().find(|vector| vector["typ"] == TYP_BILLERS).expect("a vector");
        let (compact, key) = (vector["compact"].as_str().expect("text"), SecretKey::from_seed(&[8; 32]));
        let registry = BillerRegistry::open(compact, key.public()).expect("a registry");
        assert_eq!(registry.billers.len(), 2);
        assert_eq!(registry.sign(&key).expect("good"), compact);
    }

    #[test]
    fn domains_are_exact_and_belong_to_one_biller() {
        let power = biller("power", "power.example");
        for own in ["power.example", "mail.power.example", "MAIL.Power.Example."] {
            assert!(power.covers(own), "{own}");
        }
        for other in ["xpower.example", "power.example.evil.test", "xn--pwer-jua.example", "example", ""] {
            assert!(!power.covers(other), "{other}");
        }
        let check = |billers| BillerRegistry { iat: 1, billers }.check();
        assert!(check(vec![power.clone(), biller("other", "bills.power.example")]).is_err());
        assert!(check(vec![power.clone(), power.clone()]).is_err());
        for domain in ["POWER.example", "pöwer.example", "example", "power.example.", "a b.example", ""] {
            assert!(check(vec![biller("power", domain)]).is_err(), "{domain}");
        }
        assert!(check(vec![power]).is_ok());
    }
}
