//! What name servers say, behind a trait, so that tests and other platforms answer by themselves.

use crate::authenticity::Doubt;
use crate::limits::{LOOKUP_TIMEOUT, MAX_TXT};
use futures::future::join_all;
use mail_auth::common::parse::TxtRecordParser as _;
use mail_auth::common::verify::DomainKey;
use mail_auth::dmarc::Dmarc;
use mail_auth::hickory_resolver::config::{NameServerConfig, ResolverConfig, ResolverOpts};
use mail_auth::hickory_resolver::net::runtime::TokioRuntimeProvider;
use mail_auth::hickory_resolver::proto::op::ResponseCode;
use mail_auth::hickory_resolver::proto::rr::{RData, Record};
use mail_auth::hickory_resolver::{TokioResolver, system_conf};
use mail_auth::{DnsError, Error, MessageAuthenticator, ResolverCache, Txt};
use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;
use tokio::time::timeout;

/// TXT records of a name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TxtAnswer {
    /// Each record, its strings joined.
    pub records: Vec<Vec<u8>>,
    /// Whether DNSSEC or a resolver that the user configured as trusted vouches for them.
    pub trusted: bool,
}

/// Why there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DnsFailure {
    /// The name, or a record of this type, does not exist.
    #[error("no such name")]
    NotFound,
    /// Nobody could be asked, or the answer was forged.
    #[error("the name servers could not be asked")]
    Unavailable,
}

/// Looks names up.
#[async_trait::async_trait]
pub trait Dns: Send + Sync {
    /// The TXT records of a name without a dot at its end.
    ///
    /// # Errors
    /// [`DnsFailure`].
    async fn txt(&self, name: &str) -> Result<TxtAnswer, DnsFailure>;
}

/// Asks real name servers, and validates DNSSEC.
pub struct Resolver {
    resolver: TokioResolver,
    /// Every answer counts, since the user trusts the resolver and the way to it.
    trusted: bool,
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").field("trusted", &self.trusted).finish_non_exhaustive()
    }
}

impl Resolver {
    /// The system's resolvers. Only what DNSSEC proves is trusted.
    ///
    /// # Errors
    /// [`DnsFailure::Unavailable`] if the system has none.
    pub fn system() -> Result<Self, DnsFailure> {
        let (config, options) = system_conf::read_system_conf().map_err(|_| DnsFailure::Unavailable)?;
        Self::new(config, options, false)
    }

    /// A resolver that the user trusts, such as one on this machine.
    ///
    /// # Errors
    /// [`DnsFailure::Unavailable`] if it cannot be used.
    pub fn trusted(server: SocketAddr) -> Result<Self, DnsFailure> {
        Self::at(server, true)
    }

    /// A resolver of which only what DNSSEC proves is trusted.
    ///
    /// # Errors
    /// [`DnsFailure::Unavailable`] if it cannot be used.
    pub fn validating(server: SocketAddr) -> Result<Self, DnsFailure> {
        Self::at(server, false)
    }

    fn at(server: SocketAddr, trusted: bool) -> Result<Self, DnsFailure> {
        let mut config = NameServerConfig::udp_and_tcp(server.ip());
        for connection in &mut config.connections {
            connection.port = server.port();
        }
        Self::new(ResolverConfig::from_parts(None, Vec::new(), vec![config]), ResolverOpts::default(), trusted)
    }

    fn new(config: ResolverConfig, mut options: ResolverOpts, trusted: bool) -> Result<Self, DnsFailure> {
        options.validate = !trusted;
        options.timeout = Duration::from_secs(5);
        options.attempts = 2;
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).with_options(options);
        let resolver = builder.build().map_err(|_| DnsFailure::Unavailable)?;
        Ok(Self { resolver, trusted })
    }
}

#[async_trait::async_trait]
impl Dns for Resolver {
    async fn txt(&self, name: &str) -> Result<TxtAnswer, DnsFailure> {
        let lookup = self.resolver.txt_lookup(format!("{name}.")).await.map_err(|error| {
            if error.is_no_records_found() { DnsFailure::NotFound } else { DnsFailure::Unavailable }
        })?;
        let answer = answer(name, lookup.answers(), self.trusted);
        if answer.records.is_empty() { Err(DnsFailure::NotFound) } else { Ok(answer) }
    }
}

/// What an answer says of a name. A name that is another's alias (CNAME) leads to other people's records, so all of
/// the way there has to be proven as well.
fn answer(name: &str, records: &[Record], is_resolver_trusted: bool) -> TxtAnswer {
    let is_same = |a: &str, b: &str| a.trim_end_matches('.').eq_ignore_ascii_case(b.trim_end_matches('.'));
    let mut owner = name.to_owned();
    let mut answer = TxtAnswer { records: Vec::new(), trusted: true };
    // An answer may list aliases in any order, but each once.
    for _ in 0..=records.len() {
        let alias = records.iter().find_map(|record| match &record.data {
            RData::CNAME(target) if is_same(&record.name.to_ascii(), &owner) => Some((record, target.to_ascii())),
            _ => None,
        });
        let Some((record, target)) = alias else { break };
        answer.trusted &= record.proof.is_secure();
        owner = target;
    }
    for record in records {
        if let RData::TXT(txt) = &record.data
            && is_same(&record.name.to_ascii(), &owner)
        {
            answer.records.push(txt.txt_data.concat());
            answer.trusted &= record.proof.is_secure();
        }
    }
    answer.trusted |= is_resolver_trusted;
    answer
}

/// A TXT record, read as a key and as a policy.
pub(crate) fn fuzz_txt(record: &[u8]) {
    if record.len() <= MAX_TXT {
        let _ = (DomainKey::parse(record), Dmarc::parse(record));
    }
}

/// Verifies by a resolver without name servers: whatever was not looked up beforehand does not exist. It is made once,
/// since making one reads the certificates of the system.
pub(super) fn offline() -> &'static MessageAuthenticator {
    static OFFLINE: LazyLock<MessageAuthenticator> = LazyLock::new(|| {
        let config = ResolverConfig::from_parts(None, Vec::new(), Vec::new());
        let resolver = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).build();
        MessageAuthenticator(resolver.expect("a resolver without servers needs nothing"))
    });
    &OFFLINE
}

/// What was looked up for one mail, in the form in which the verifying library asks for it.
#[derive(Default)]
pub(super) struct Records(HashMap<Box<str>, (Txt, bool)>);

impl Records {
    /// Looks up the keys of signatures, as selector and domain, and the policies of a domain and those above it, as RFC
    /// 9989 section 4.10 walks: eight names at most. All at the same time, and not for long.
    pub(super) async fn look_up(&mut self, dns: &dyn Dns, keys: &[(&str, &str)], policies_of: Option<&str>) {
        let mut names: Vec<(String, Read)> = Vec::new();
        for (selector, domain) in keys {
            names.push((key_name(selector, domain), |record| DomainKey::parse(record).map(Txt::from)));
        }
        let domain = policies_of.unwrap_or_default();
        let labels: Vec<&str> = domain.split('.').filter(|label| !label.is_empty()).collect();
        for first in (0..labels.len()).filter(|first| *first == 0 || labels.len() - first <= 7).take(8) {
            let name = format!("_dmarc.{}", labels.get(first..).unwrap_or_default().join("."));
            names.push((name, |record| Dmarc::parse(record).map(Txt::from)));
        }
        let found = names.iter().map(|(name, read)| async move {
            let answer = timeout(LOOKUP_TIMEOUT, dns.txt(name)).await.unwrap_or(Err(DnsFailure::Unavailable));
            (fqdn(name).into_boxed_str(), found(answer, *read))
        });
        self.0.extend(join_all(found).await);
    }

    /// Whether somebody vouches for the key.
    pub(super) fn trusted(&self, selector: &str, domain: &str) -> bool {
        self.0.get(fqdn(&key_name(selector, domain)).as_str()).is_some_and(|(_, trusted)| *trusted)
    }

    /// The doubt, if it is about the key and not about the mail.
    pub(super) fn missing(&self, selector: &str, domain: &str) -> Option<Doubt> {
        match self.0.get(fqdn(&key_name(selector, domain)).as_str()) {
            Some((Txt::Error(Error::Dns(DnsError::Resolver(_))), _)) => Some(Doubt::KeyUnavailable),
            Some((Txt::Error(_), _)) => Some(Doubt::NoKey),
            _ => None,
        }
    }
}

/// Reads a record.
type Read = fn(&[u8]) -> mail_auth::Result<Txt>;

fn found(answer: Result<TxtAnswer, DnsFailure>, read: Read) -> (Txt, bool) {
    let absent = || Txt::Error(Error::Dns(DnsError::RecordNotFound(ResponseCode::NXDomain)));
    match answer {
        Ok(answer) => {
            let mut records = answer.records.iter().filter(|record| record.len() <= MAX_TXT).map(|record| read(record));
            // The first that can be read; several keys under one name are nobody's practice.
            let first = records.find_map(Result::ok).unwrap_or_else(absent);
            (first, answer.trusted)
        }
        Err(DnsFailure::NotFound) => (absent(), false),
        Err(DnsFailure::Unavailable) => (Txt::Error(Error::Dns(DnsError::Resolver("unavailable".into()))), false),
    }
}

impl ResolverCache<Box<str>, Txt> for Records {
    fn get<Q>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let absent = || Txt::Error(Error::Dns(DnsError::RecordNotFound(ResponseCode::NXDomain)));
        Some(self.0.get(name).map_or_else(absent, |(txt, _)| txt.clone()))
    }

    fn remove<Q>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, _: Box<str>, _: Txt, _: std::time::Instant) {}
}

fn key_name(selector: &str, domain: &str) -> String {
    format!("{selector}._domainkey.{domain}")
}

/// As the library writes names.
fn fqdn(name: &str) -> String {
    format!("{}.", name.trim_end_matches('.').to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail_auth::hickory_resolver::proto::dnssec::Proof;
    use mail_auth::hickory_resolver::proto::rr::Name;
    use mail_auth::hickory_resolver::proto::rr::rdata::{CNAME, TXT};

    fn record(owner: &str, data: RData, proof: Proof) -> Record {
        let mut record = Record::from_rdata(Name::from_ascii(owner).expect("a name"), 60, data);
        record.proof = proof;
        record
    }

    fn alias(owner: &str, target: &str, proof: Proof) -> Record {
        record(owner, RData::CNAME(CNAME(Name::from_ascii(target).expect("a name"))), proof)
    }

    fn key(owner: &str, text: &str, proof: Proof) -> Record {
        record(owner, RData::TXT(TXT::new(vec![text.into()])), proof)
    }

    #[test]
    fn an_answer_is_trusted_if_all_of_the_way_to_it_is_proven() {
        let (asked, evil) = ("k1._domainkey.power.example", "k.evil.test.");
        let read = |records: &[Record]| answer(asked, records, false);
        let own = key("K1._domainkey.power.example.", "own", Proof::Secure);
        assert_eq!(read(&[own]), TxtAnswer { records: vec![b"own".to_vec()], trusted: true });
        // Whoever answers on the way leads to a zone of his own, which he signs.
        let led = read(&[alias(asked, evil, Proof::Insecure), key(evil, "evil", Proof::Secure)]);
        assert_eq!(led, TxtAnswer { records: vec![b"evil".to_vec()], trusted: false });
        let proven = read(&[key(evil, "host", Proof::Secure), alias(asked, evil, Proof::Secure)]);
        assert!(proven.trusted && proven.records.len() == 1);
        let longer = [
            alias("b.example.", evil, Proof::Indeterminate),
            alias(asked, "b.example.", Proof::Secure),
            key(evil, "evil", Proof::Secure),
        ];
        assert!(!read(&longer).trusted && answer(asked, &longer, true).trusted);
        assert!(read(&[key(evil, "evil", Proof::Secure)]).records.is_empty(), "nobody's that was asked for");
        let circle = [alias(asked, evil, Proof::Secure), alias(evil, asked, Proof::Secure)];
        assert!(read(&circle).records.is_empty());
    }
}
