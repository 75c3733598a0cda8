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
mod form;

use crate::account::{Account, ascii_domain};
use crate::iban::Iban;
use crate::limits::MAX_SIGNATURES;
use crate::mail::Mail;
use crate::record::Level;
use crate::registry::{Biller, BillerRegistry};
use mail_auth::common::crypto::{Algorithm, HashAlgorithm};
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
    /// Not in the form of RFC 5322: what one program reads is not what another verifies.
    Form,
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
            Self::Form => "it is not in the form that mail has, so that programs may read it differently",
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
    if !form::is_kept(mail, &message) {
        findings.doubts.push(Doubt::Form);
        return findings;
    }
    let registered = registry.of_domain(&domain);
    match signed_by(&message, mail, &domain, registered, dns).await {
        Ok(signed) => {
            findings.signature = Some(signed_content(mail));
            match registered.filter(|_| signed.is_billers) {
                Some(biller) => {
                    findings.biller = Some(biller.clone());
                    findings.level = Level::Verified;
                }
                None => {
                    findings.doubts.push(Doubt::UnknownBiller);
                    findings.level = if signed.has_policy { Level::Vouched } else { Level::Unverified };
                }
            }
            if !signed.is_trusted {
                findings.doubts.push(Doubt::KeyNotTrusted);
                findings.level = findings.level.min(Level::Vouched);
            }
        }
        Err(doubt) => {
            findings.doubts.push(doubt);
            if let Some(biller) = registered
                && is_left_to_forwarders(doubt)
                && forwarder_vouches(&message, mail, account, biller, dns).await
            {
                findings.signature = Some(signed_content(mail));
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

/// A signature that holds and is the sender's. Of two the greater says more.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Signed {
    /// It is the registered biller's own.
    is_billers: bool,
    /// The key's answer is vouched for.
    is_trusted: bool,
    /// The sender's domain has a policy that others enforce, and the signature keeps it.
    has_policy: bool,
}

/// The signature that says most of those that hold and are the sender's; else the doubt about the one that came
/// nearest.
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
    let is_billers = |domain: &str| registered.is_some_and(|biller| biller.covers(domain));
    let may_be_senders = |signature: &Signature| is_billers(&signature.d) || is_near(&signature.d, from);
    let mut records = dns::Records::default();
    // To ask for a key tells whoever answers for its name that the mail was read.
    let asked = message.dkim_headers.iter().map(|header| &header.header);
    let asked = asked.filter(|signature| may_be_senders(signature) && hashes_body(signature, message));
    let keys: Vec<(&str, &str)> = asked.map(|signature| (&*signature.s, &*signature.d)).collect();
    if !keys.is_empty() {
        records.look_up(dns, &keys, Some(from)).await;
    }
    let offline = dns::offline();
    let outputs = offline.verify_dkim(Parameters::new(message).with_txt_cache(&records)).await;
    let spf = SpfOutput::default();

    // `l=` is refused by the parser, so such a signature is among the errors.
    let partly = message
        .errors
        .iter()
        .any(|header| matches!(&header.header, mail_auth::Error::Dkim(mail_auth::dkim::DkimError::SignatureLength)));
    let mut nearest = if partly { Doubt::PartlySigned } else { Doubt::BadSignature };
    let mut best: Option<Signed> = None;
    for output in &outputs {
        let Some(signature) = output.signature() else { continue };
        nearest = match output.result() {
            _ if !may_be_senders(signature) => Doubt::NotAligned,
            DkimResult::Pass => match accepted(&signature.h, signature.a, signature.l, mail) {
                Some(doubt) => doubt,
                None => {
                    // Each by itself: what one of them stands for, another may not borrow.
                    let alone = DmarcParameters::new(message, std::slice::from_ref(output), from, &spf);
                    let dmarc = offline.verify_dmarc(Parameters::new(alone).with_txt_cache(&records)).await;
                    let is_aligned = *dmarc.dkim_result() == DmarcResult::Pass;
                    let signed = Signed {
                        is_billers: is_billers(&signature.d),
                        is_trusted: records.trusted(&signature.s, &signature.d),
                        has_policy: is_aligned && matches!(dmarc.policy(), Policy::Quarantine | Policy::Reject),
                    };
                    if signed.is_billers || is_aligned || signature.d.eq_ignore_ascii_case(from) {
                        best = best.max(Some(signed));
                    }
                    Doubt::NotAligned
                }
            },
            DkimResult::TempError(_) => Doubt::KeyUnavailable,
            _ => records.missing(&signature.s, &signature.d).unwrap_or(nearest),
        };
    }
    best.ok_or(nearest)
}

/// Whether two domains end in the same two labels: one may stand for the other, if its policy says so.
fn is_near(a: &str, b: &str) -> bool {
    let end = |domain: &str| {
        let domain = domain.trim_end_matches('.').to_ascii_lowercase();
        let labels: Vec<String> = domain.rsplit('.').take(2).map(str::to_owned).collect();
        (labels.len() == 2).then_some(labels)
    };
    end(a).is_some_and(|labels| Some(labels) == end(b))
}

/// Whether the body is the one that was signed. Only then a key is looked up.
fn hashes_body(signature: &Signature, message: &AuthenticatedMessage<'_>) -> bool {
    let algorithm = HashAlgorithm::from(signature.a);
    let mut hashes = message.body_hashes.iter();
    hashes.any(|(form, of, length, hash)| {
        (*form, *of, *length) == (signature.cb, algorithm, signature.l) && *hash == signature.bh
    })
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

/// What is wrong with a signature that verifies.
fn accepted(signed: &[String], algorithm: Algorithm, length: u64, mail: &Mail<'_>) -> Option<Doubt> {
    let signs = |name: &str| signed.iter().any(|signed| signed.eq_ignore_ascii_case(name));
    if length != 0 {
        return Some(Doubt::PartlySigned);
    }
    if algorithm == Algorithm::RsaSha1 {
        return Some(Doubt::WeakSignature);
    }
    let is_fixed = |name: &&str| signs(name) || (mail.count(name) == 0 && !may_have_had(name, mail.body()));
    if SIGNED.iter().all(|name| signs(name)) && SIGNED_IF_THERE.iter().all(is_fixed) {
        None
    } else {
        Some(Doubt::HeadersNotSigned)
    }
}

/// Whether a mail without this header, which is not signed either, looks as if it had been taken away: the body would
/// be read as something else with it.
fn may_have_had(name: &str, body: &[u8]) -> bool {
    let has = |text: &[u8]| body.windows(text.len()).any(|window| window.eq_ignore_ascii_case(text));
    match name {
        "Content-Type" => has(b"\nContent-Type:") || has(b"</") || std::str::from_utf8(body).is_err(),
        "Content-Transfer-Encoding" => is_quoted_printable(body),
        // Nobody reads a body by it.
        _ => false,
    }
}

/// Whether each `=` breaks a line or stands for a byte, and one of them breaks a line or stands for one that has to be
/// written so.
fn is_quoted_printable(body: &[u8]) -> bool {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut is_needed = false;
    for at in body.iter().enumerate().filter(|(_, byte)| **byte == b'=').map(|(at, _)| at) {
        let behind = body.get(at + 1..).unwrap_or_default();
        match (digit(behind.first()), digit(behind.get(1))) {
            _ if behind.starts_with(b"\r\n") => is_needed = true,
            (Some(high), Some(low)) => {
                let byte = 16 * high + low;
                is_needed |= byte == 0x3d || byte <= 0x20 || byte >= 0x7f;
            }
            _ => return false,
        }
    }
    is_needed
}

/// What a forwarder may stand for: that the biller's signature held before the mail came to it. A signature that holds
/// and says too little said too little there as well.
const fn is_left_to_forwarders(doubt: Doubt) -> bool {
    matches!(doubt, Doubt::NotSigned | Doubt::BadSignature | Doubt::NoKey | Doubt::NotAligned)
}

/// Whether a trusted forwarder sealed the mail (RFC 8617) and noted then that the biller's signature verified.
async fn forwarder_vouches(
    message: &AuthenticatedMessage<'_>,
    mail: &Mail<'_>,
    account: &Account,
    biller: &Biller,
    dns: &dyn Dns,
) -> bool {
    if message.as_headers.is_empty() || message.as_headers.len() > MAX_SIGNATURES {
        return false;
    }
    // Every hand that the mail went through has to be trusted: any of them could have changed it and sealed that.
    let is_own = |domain: &str| {
        account.forwarders.iter().filter_map(|own| ascii_domain(own)).any(|own| own.eq_ignore_ascii_case(domain))
    };
    let seals = message.as_headers.iter().map(|seal| (&*seal.header.s, &*seal.header.d));
    let last = message.ams_headers.last().map(|signature| (&*signature.header.s, &*signature.header.d));
    let keys: Vec<(&str, &str)> = seals.chain(last).collect();
    if !keys.iter().all(|(_, domain)| is_own(domain)) {
        return false;
    }
    let mut records = dns::Records::default();
    records.look_up(dns, &keys, None).await;
    let offline = dns::offline();
    let output = offline.verify_arc(Parameters::new(message).with_txt_cache(&records)).await;
    let (Some(first), Some(last)) = (output.sets().first(), output.sets().last()) else { return false };
    let signature = last.signature.header;
    *output.result() == DkimResult::Pass
        && keys.iter().all(|(selector, domain)| records.trusted(selector, domain))
        && accepted(&signature.h, signature.a, signature.l, mail).is_none()
        && notes_pass(first.results.value, biller)
}

/// Whether authentication results (RFC 8601) say `dkim=pass` for one of the biller's domains.
fn notes_pass(results: &[u8], biller: &Biller) -> bool {
    let results = String::from_utf8_lossy(results);
    let Some(results) = words_of_results(&results) else { return false };
    results.iter().any(|words| {
        let mut words = words.iter();
        words.next().is_some_and(|word| word.eq_ignore_ascii_case("dkim=pass"))
            && words.any(|word| {
                let domain = word.strip_prefix("header.d=").or_else(|| word.strip_prefix("header.i=@"));
                domain.is_some_and(|domain| biller.covers(domain))
            })
    })
}

/// The words of each result: semicolons and white space count outside of quotes and comments alone. `None` if one of
/// those does not end.
fn words_of_results(text: &str) -> Option<Vec<Vec<String>>> {
    let mut results = vec![vec![String::new()]];
    let (mut is_quoted, mut comments) = (false, 0_usize);
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        let is_escaped = c == '\\' && (is_quoted || comments > 0);
        let c = if is_escaped { characters.next()? } else { c };
        let words = results.last_mut()?;
        match c {
            '"' if !is_escaped && comments == 0 => {
                is_quoted = !is_quoted;
                // Kept, so that nothing in quotes is a result.
                words.last_mut()?.push(c);
            }
            '(' if !is_escaped && !is_quoted => comments += 1,
            ')' if !is_escaped && !is_quoted => comments = comments.checked_sub(1)?,
            _ if comments > 0 => {}
            ';' if !is_quoted => results.push(vec![String::new()]),
            c if c.is_ascii_whitespace() && !is_quoted => words.push(String::new()),
            c => words.last_mut()?.push(c),
        }
    }
    results.iter_mut().for_each(|words| words.retain(|word| !word.is_empty()));
    (!is_quoted && comments == 0).then_some(results)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_is_missing_and_would_change_the_reading_was_taken_away() {
        let had = |name: &str, body: &str| may_have_had(name, body.as_bytes());
        for body in ["EUR 1=\r\n20.00", "K=C3=A4the", "a =3D b", "x=20\r\n"] {
            assert!(had("Content-Transfer-Encoding", body), "{body}");
        }
        for body in ["plain", "https://a.example/?id=4711", "a = b", "https://a.example/?id=20&b=x", ""] {
            assert!(!had("Content-Transfer-Encoding", body), "{body}");
        }
        assert!(had("Content-Type", "--b\r\nContent-type: text/plain\r\n\r\n") && had("Content-Type", "<p>x</p>"));
        assert!(!had("Content-Type", "-- \r\nYour K\u{e4}the, 1 < 2") && !had("MIME-Version", "x"));
    }

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
        assert!(notes("i=1; mx (a; \\) b); dkim=pass (2048; x) header.d=p.example"));
        for forged in [
            "i=1; mx; spf=pass smtp.mailfrom=\"x; dkim=pass header.d=p.example \"@evil.test",
            "i=1; mx; spf=pass (sender is x; dkim=pass header.d=p.example ) smtp.mailfrom=evil.test",
            "i=1; mx; spf=pass smtp.mailfrom=\"x\\\"; dkim=pass header.d=p.example \"@evil.test",
            "i=1; mx; dkim=pass header.d=p.example; spf=pass (",
            "i=1; mx; dkim=pass header.d=p.example; x=\"",
        ] {
            assert!(!notes(forged), "{forged}");
        }
    }
}
