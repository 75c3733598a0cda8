//! Whether a mail comes from the biller that it says it comes from.
//!
//! ```text
//!   one From, nothing doubled ─▶ DKIM: verifies, no l=, signs From, To, Subject, Date and the form of the body
//!     ─▶ its domain and From's belong to one registered biller ─▶ key trusted ─▶ To is the user ─▶ IBAN as known: verified
//!     ├─▶ not registered, but DMARC aligns under a policy ──────────────────────────────────────▶ vouched
//!     └─▶ broken on the way, but a trusted forwarder's ARC seal says that it verified there ────▶ vouched
//! ```
//! Whatever fails is a [`Doubt`], and the mail is unverified.

mod dns;

use crate::account::Account;
use crate::iban::Iban;
use crate::limits::MAX_SIGNATURES;
use crate::mail::Mail;
use crate::record::Level;
use crate::registry::{Biller, BillerRegistry};
use mail_auth::common::crypto::Algorithm;
use mail_auth::dkim::Signature;
use mail_auth::dmarc::{Policy, verify::DmarcParameters};
use mail_auth::{AuthenticatedMessage, DkimResult, DmarcResult, Parameters, SpfOutput};
use portcullis_protocol::Digest;
use serde::{Deserialize, Serialize};
use std::fmt;

pub(crate) use dns::fuzz_txt;
pub use dns::{Dns, DnsFailure, Resolver, TxtAnswer};

/// Headers that decide whom a mail is from and to, what it says, and how its body is read. Twice, a person may be shown
/// another one than was signed.
const SINGLE: [&str; 10] = [
    "From",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "Reply-To",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
];
/// Those that a signature has to cover.
const SIGNED: [&str; 4] = ["From", "To", "Subject", "Date"];
/// Those that it has to cover if they are there: without them the body can be read as something else.
const SIGNED_IF_THERE: [&str; 3] = ["MIME-Version", "Content-Type", "Content-Transfer-Encoding"];

/// Why a bill is not verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Doubt {
    /// No sender, or several.
    Sender,
    /// A header that must be single occurs twice.
    DoubledHeader,
    /// No DKIM signature.
    NotSigned,
    /// A DKIM signature that does not verify: the mail was changed, or the key is another.
    BadSignature,
    /// The signature covers only the beginning of the body (`l=`).
    PartlySigned,
    /// The signature leaves out From, To, Subject, Date or the form of the body.
    HeadersNotSigned,
    /// Signed by an algorithm that is broken.
    WeakSignature,
    /// Signed by somebody else than the sender.
    NotAligned,
    /// The key is not published, or was withdrawn.
    NoKey,
    /// The name servers could not be asked.
    KeyUnavailable,
    /// The key came from name servers that nobody vouches for: no DNSSEC, no trusted resolver.
    KeyNotTrusted,
    /// No registered biller.
    UnknownBiller,
    /// Not sent to the user in a signed To.
    NotToUser,
    /// It names an account that is not known of this biller.
    IbanChanged,
    /// A signed mail that was delivered before.
    Replayed,
    /// Vouched for by a forwarder only.
    Forwarded,
    /// The invoice in it breaks rules of EN 16931.
    InvoiceRules,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sender => "it does not have exactly one sender",
            Self::DoubledHeader => "a header that must occur once occurs twice",
            Self::NotSigned => "it is not signed",
            Self::BadSignature => "its signature does not verify",
            Self::PartlySigned => "only the beginning of its text is signed",
            Self::HeadersNotSigned => "sender, recipient, subject, date or the form of its text is not signed",
            Self::WeakSignature => "it is signed by an algorithm that is broken",
            Self::NotAligned => "it is signed by somebody else than its sender",
            Self::NoKey => "the key that it is signed with is not published, or was withdrawn",
            Self::KeyUnavailable => "the key that it is signed with could not be looked up",
            Self::KeyNotTrusted => "the key came from name servers that nobody vouches for",
            Self::UnknownBiller => "its sender is not a registered biller",
            Self::NotToUser => "it is not addressed to you",
            Self::IbanChanged => "it names an account that is not known of this biller",
            Self::Replayed => "the same signed mail was delivered before",
            Self::Forwarded => "only a forwarder vouches for it",
            Self::InvoiceRules => "its invoice breaks rules of EN 16931",
        })
    }
}

/// What was found out about a mail.
#[derive(Debug, Clone)]
pub(crate) struct Findings {
    pub(crate) level: Level,
    pub(crate) doubts: Vec<Doubt>,
    /// The registered biller that it provably comes from.
    pub(crate) biller: Option<Biller>,
    /// The sender's domain.
    pub(crate) domain: Option<String>,
    /// The same for every delivery of one signed mail.
    pub(crate) signature: Option<Digest>,
}

impl Findings {
    pub(crate) fn doubt(&mut self, doubt: Doubt) {
        self.doubts.push(doubt);
        self.level = Level::Unverified;
    }

    /// Holds every account that the bill names against those that are known.
    pub(crate) fn check_payees(&mut self, found: &[Iban], remembered: &[Iban]) {
        let Some(biller) = self.biller.as_ref() else { return };
        let known = if biller.ibans.is_empty() { remembered } else { &biller.ibans };
        if !known.is_empty() && found.iter().any(|iban| !known.contains(iban)) {
            self.doubt(Doubt::IbanChanged);
        }
    }
}

/// Examines where a mail comes from.
pub(crate) async fn examine(mail: &Mail<'_>, account: &Account, registry: &BillerRegistry, dns: &dyn Dns) -> Findings {
    let mut findings =
        Findings { level: Level::Unverified, doubts: Vec::new(), biller: None, domain: None, signature: None };
    let Some(sender) = mail.sender() else {
        findings.doubts.push(Doubt::Sender);
        return findings;
    };
    let domain = sender.domain().to_owned();
    findings.domain = Some(domain.clone());
    if SINGLE.iter().any(|name| mail.count(name) > 1) {
        findings.doubts.push(Doubt::DoubledHeader);
        return findings;
    }
    let Some(message) = AuthenticatedMessage::parse(mail.raw()) else {
        findings.doubts.push(Doubt::NotSigned);
        return findings;
    };
    let registered = registry.of_domain(&domain);
    match signed_by(&message, mail, &domain, registered, dns).await {
        Ok(signed) => {
            findings.signature = Some(signed.digest);
            let aligned_biller = registered.filter(|biller| biller.covers(&signed.domain));
            match aligned_biller {
                Some(biller) => {
                    findings.biller = Some(biller.clone());
                    findings.level = Level::Verified;
                }
                None => {
                    findings.doubts.push(Doubt::UnknownBiller);
                    findings.level = if signed.policy { Level::Vouched } else { Level::Unverified };
                }
            }
            if !signed.trusted {
                findings.doubts.push(Doubt::KeyNotTrusted);
                findings.level = findings.level.min(Level::Vouched);
            }
        }
        Err(doubt) => {
            findings.doubts.push(doubt);
            if let Some(biller) = registered
                && forwarder_vouches(&message, account, biller, dns).await
            {
                findings.biller = Some(biller.clone());
                findings.doubts.push(Doubt::Forwarded);
                findings.level = Level::Vouched;
            }
        }
    }
    if !mail.recipients().iter().any(|to| account.addresses.contains(to)) {
        findings.doubt(Doubt::NotToUser);
    }
    findings
}

/// A signature that holds.
struct Signed {
    domain: String,
    digest: Digest,
    /// The key's answer is vouched for.
    trusted: bool,
    /// The sender's domain has a policy that others enforce.
    policy: bool,
}

/// The first signature that holds and is the sender's; else the doubt about the one that came nearest.
async fn signed_by(
    message: &AuthenticatedMessage<'_>,
    mail: &Mail<'_>,
    from: &str,
    registered: Option<&Biller>,
    dns: &dyn Dns,
) -> Result<Signed, Doubt> {
    if mail.count("DKIM-Signature") == 0 {
        return Err(Doubt::NotSigned);
    }
    if mail.count("DKIM-Signature") > MAX_SIGNATURES {
        return Err(Doubt::BadSignature);
    }
    let mut records = dns::Records::default();
    for header in &message.dkim_headers {
        records.key(dns, &header.header.s, &header.header.d).await;
    }
    records.policies(dns, from).await;
    let offline = dns::offline();
    let outputs = offline.verify_dkim(Parameters::new(message).with_txt_cache(&records)).await;
    let spf = SpfOutput::default();
    let parameters = DmarcParameters::new(message, &outputs, from, &spf);
    let dmarc = offline.verify_dmarc(Parameters::new(parameters).with_txt_cache(&records)).await;
    let aligned = *dmarc.dkim_result() == DmarcResult::Pass;
    let policy = aligned && matches!(dmarc.policy(), Policy::Quarantine | Policy::Reject);

    // `l=` is refused by the parser, so such a signature is among the errors.
    let partly = message
        .errors
        .iter()
        .any(|header| matches!(&header.header, mail_auth::Error::Dkim(mail_auth::dkim::DkimError::SignatureLength)));
    let mut nearest = if partly { Doubt::PartlySigned } else { Doubt::BadSignature };
    for output in &outputs {
        let Some(signature) = output.signature() else { continue };
        let doubt = match output.result() {
            DkimResult::Pass => match accepted(signature, mail) {
                Some(doubt) => doubt,
                None if registered.is_some_and(|biller| biller.covers(&signature.d))
                    || aligned_exactly(signature, from)
                    || aligned =>
                {
                    return Ok(Signed {
                        domain: signature.d.clone(),
                        digest: signed_content(mail),
                        trusted: records.trusted(&signature.s, &signature.d),
                        policy,
                    });
                }
                None => Doubt::NotAligned,
            },
            DkimResult::TempError(_) => Doubt::KeyUnavailable,
            _ => records.missing(&signature.s, &signature.d).unwrap_or(nearest),
        };
        nearest = doubt;
    }
    Err(nearest)
}

/// What every good signature of a mail covers, in the form in which nothing that mail servers may change matters
/// (RFC 6376 section 3.4, relaxed). One mail may have several signatures, and be delivered with one of them at a time.
fn signed_content(mail: &Mail<'_>) -> Digest {
    let mut content = Vec::new();
    for name in SIGNED {
        for value in mail.raw_headers(name) {
            content.extend(name.bytes());
            content.push(b':');
            content.extend(relaxed(value));
            content.extend(b"\r\n");
        }
    }
    let mut lines: Vec<Vec<u8>> = mail.body().split(|byte| *byte == b'\n').map(relaxed_line).collect();
    while lines.last().is_some_and(Vec::is_empty) {
        lines.pop();
    }
    content.extend(lines.join(&b"\r\n"[..]));
    Digest::of(&content)
}

/// A header's value: unfolded, white space as one space, none at its ends.
fn relaxed(value: &[u8]) -> Vec<u8> {
    relaxed_line(value.trim_ascii_start())
}

/// A line of the body: white space as one space, none at its end.
fn relaxed_line(line: &[u8]) -> Vec<u8> {
    let mut relaxed: Vec<u8> = Vec::with_capacity(line.len());
    for byte in line.trim_ascii_end() {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' if relaxed.last() == Some(&b' ') => {}
            b' ' | b'\t' | b'\r' | b'\n' => relaxed.push(b' '),
            byte => relaxed.push(*byte),
        }
    }
    relaxed
}

fn aligned_exactly(signature: &Signature, from: &str) -> bool {
    signature.d.eq_ignore_ascii_case(from)
}

/// What is wrong with a signature that verifies.
fn accepted(signature: &Signature, mail: &Mail<'_>) -> Option<Doubt> {
    let signs = |name: &&&str| signature.h.iter().any(|signed| signed.eq_ignore_ascii_case(name));
    if signature.l != 0 {
        return Some(Doubt::PartlySigned);
    }
    if signature.a == Algorithm::RsaSha1 {
        return Some(Doubt::WeakSignature);
    }
    let there = SIGNED_IF_THERE.iter().filter(|name| mail.count(name) > 0);
    if SIGNED.iter().chain(there).all(|name| signs(&name)) { None } else { Some(Doubt::HeadersNotSigned) }
}

/// Whether a trusted forwarder sealed the mail (RFC 8617) and noted then that the biller's signature verified.
async fn forwarder_vouches(
    message: &AuthenticatedMessage<'_>,
    account: &Account,
    biller: &Biller,
    dns: &dyn Dns,
) -> bool {
    if message.as_headers.is_empty() || message.as_headers.len() > MAX_SIGNATURES {
        return false;
    }
    let mut records = dns::Records::default();
    for seal in &message.as_headers {
        records.key(dns, &seal.header.s, &seal.header.d).await;
    }
    for signature in &message.ams_headers {
        records.key(dns, &signature.header.s, &signature.header.d).await;
    }
    let offline = dns::offline();
    let output = offline.verify_arc(Parameters::new(message).with_txt_cache(&records)).await;
    if *output.result() != DkimResult::Pass {
        return false;
    }
    // Every hand that the mail went through has to be trusted: any of them could have changed it and sealed that.
    let trusted = |domain: &str| account.forwarders.iter().any(|own| own.eq_ignore_ascii_case(domain));
    let seals_trusted = output.sets().iter().all(|set| {
        let seal = set.seal.header;
        trusted(&seal.d) && records.trusted(&seal.s, &seal.d)
    });
    let noted = output.sets().first().is_some_and(|set| notes_pass(set.results.value, biller));
    seals_trusted && noted
}

/// Whether authentication results (RFC 8601) say `dkim=pass` for one of the biller's domains.
fn notes_pass(results: &[u8], biller: &Biller) -> bool {
    let results = String::from_utf8_lossy(results);
    results.split(';').any(|result| {
        let mut words = result.split_ascii_whitespace();
        words.next().is_some_and(|word| word.eq_ignore_ascii_case("dkim=pass"))
            && words.any(|word| {
                let domain = word.strip_prefix("header.d=").or_else(|| word.strip_prefix("header.i=@"));
                domain.is_some_and(|domain| biller.covers(domain))
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_count_for_the_billers_own_domain_only() {
        let biller = Biller {
            id: "p".into(),
            name: "P".into(),
            domains: vec!["p.example".into()],
            ibans: vec![],
            currency: None,
        };
        let notes = |results: &str| notes_pass(results.as_bytes(), &biller);
        assert!(notes(" i=1; mx.f.example;\r\n dkim=pass header.d=p.example header.s=k; spf=pass"));
        assert!(notes("i=1; mx; dkim=fail header.d=x.example; dkim=pass header.i=@mail.p.example"));
        assert!(!notes("i=1; mx; dkim=fail header.d=p.example"));
        assert!(!notes("i=1; mx; dkim=pass header.d=evil.example"));
        assert!(!notes("i=1; mx; spf=pass dkim=pass header.d=p.example"));
        assert!(!notes("i=1; mx; dkim=pass; spf=pass header.d=p.example"));
    }
}
