//! The sign-in name: an e-mail address, in one canonical form.
//!
//! Addresses that look the same are the same or are refused. The part before the @ is a user name of RFC 8265 (in
//! Unicode's composed form and lower case, without characters that cannot be seen or that turn the direction of
//! writing), of one script (Unicode Technical Standard #39), and not made of letters that look like Latin ones. The
//! domain is what mail is sent to: ASCII, as UTS #46 maps it.

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use precis_profiles::UsernameCaseMapped;
use precis_profiles::precis_core::profile::PrecisFastInvocation as _;
use std::fmt;
use unicode_normalization::UnicodeNormalization as _;
use unicode_security::{RestrictionLevel, RestrictionLevelDetection as _, skeleton};

/// The longest address that mail can be sent to (RFC 5321 section 4.5.3.1.3, without the angle brackets).
pub(crate) const MAX_EMAIL: usize = 254;
/// The longest part before the @ (RFC 5321 section 4.5.3.1.1).
const MAX_LOCAL: usize = 64;

/// An e-mail address in canonical form. Printed as redacted: logs hold no addresses of people.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Email {
    canonical: String,
    others: Vec<String>,
}

/// Not an e-mail address that can be a sign-in name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadEmail {
    /// Not an address.
    #[error("not an e-mail address: write it as name@example.org")]
    Form,
    /// It holds what cannot be seen, or what is no letter of a name.
    #[error(
        "not an e-mail address that can be used here: it contains characters that are invisible or are not letters"
    )]
    Characters,
    /// It could be taken for another one.
    #[error("not an e-mail address that can be used here: it looks the same as another address")]
    LooksAlike,
}

impl Email {
    /// Reads an address. Whether mail arrives there is another question.
    ///
    /// # Errors
    /// [`BadEmail`].
    pub fn new(text: &str) -> Result<Self, BadEmail> {
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@').ok_or(BadEmail::Form)?;
        if text.len() > MAX_EMAIL || local.is_empty() || local.contains(['<', '>', ',', ';', '@', '"', '\\', ' ']) {
            return Err(BadEmail::Form);
        }
        let (local, domain) = (user_name(local)?, host_name(domain)?);
        let canonical = format!("{local}@{domain}");
        if local.len() > MAX_LOCAL || canonical.len() > MAX_EMAIL {
            return Err(BadEmail::Form);
        }
        let mut others = Vec::new();
        if !text.is_ascii() || domain.contains("xn--") {
            let (unicode, _) = Uts46::new().to_unicode(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::Check);
            let composed = format!("{local}@{unicode}");
            for form in [as_typed(text), composed.nfd().collect(), composed] {
                if form != canonical && !others.contains(&form) {
                    others.push(form);
                }
            }
        }
        Ok(Self { canonical, others })
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.canonical
    }

    /// Other forms of the same address. Servers before this one kept names as they were typed, in lower case.
    #[must_use]
    pub fn others(&self) -> &[String] {
        &self.others
    }

    /// The forms under which an account may be found by what was typed, the canonical one first. Also for what is no
    /// acceptable address any more: an account that was made with it can sign in.
    #[must_use]
    pub fn forms(text: &str) -> Vec<String> {
        if text.len() > MAX_EMAIL {
            return Vec::new();
        }
        let mut forms = match Self::new(text) {
            Ok(Self { canonical, others }) => [vec![canonical], others].concat(),
            Err(_) => Vec::new(),
        };
        let typed = as_typed(text);
        if typed.contains('@') && !forms.contains(&typed) {
            forms.push(typed);
        }
        forms
    }
}

fn as_typed(text: &str) -> String {
    text.trim().to_lowercase()
}

fn user_name(local: &str) -> Result<String, BadEmail> {
    // Composed first: decomposed Hangul is refused by the profile, though only its spelling differs.
    let composed: String = local.nfc().collect();
    let name = UsernameCaseMapped::enforce(composed).map_err(|_| BadEmail::Characters)?.into_owned();
    if name.is_ascii() {
        return Ok(name);
    }
    // Signs such as `.` and `+` belong to every script.
    let letters: String = name.chars().filter(|c| !c.is_ascii_punctuation()).collect();
    if looks_alike(&letters, &name) {
        return Err(BadEmail::LooksAlike);
    }
    Ok(name)
}

/// Whether a name that is not ASCII mixes scripts that no language mixes, or looks as an ASCII name does (UTS #39).
fn looks_alike(letters: &str, name: &str) -> bool {
    letters.detect_restriction_level() > RestrictionLevel::HighlyRestrictive || skeleton(name).all(|c| c.is_ascii())
}

fn host_name(domain: &str) -> Result<String, BadEmail> {
    let ascii = Uts46::new().to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::Check, DnsLength::Verify);
    let ascii = ascii.map_err(|_| BadEmail::Form)?.into_owned();
    for label in ascii.split('.').filter(|label| label.starts_with("xn--")) {
        let (shown, read) = Uts46::new().to_unicode(label.as_bytes(), AsciiDenyList::STD3, Hyphens::Check);
        read.map_err(|_| BadEmail::Form)?;
        let letters: String = shown.chars().filter(|c| !c.is_ascii_punctuation()).collect();
        if !shown.is_ascii() && looks_alike(&letters, &shown) {
            return Err(BadEmail::LooksAlike);
        }
    }
    Ok(ascii)
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> String {
        Email::new(text).unwrap_or_else(|bad| panic!("{text}: {bad}")).as_str().to_owned()
    }

    #[test]
    fn one_address_has_one_form() {
        assert_eq!(canonical(" Ada@Example.ORG "), "ada@example.org");
        for bad in ["", "ada", "@example.org", "ada@", "a b@example.org", "ada@example.org\n.x", "<ada@example.org>"] {
            assert!(Email::new(bad).is_err(), "{bad}");
        }
        for bad in ["ada@example..org", "ada@.example.org", "ada@example.org.", "ada@exa_mple.org", "ada@-x.org"] {
            assert_eq!(Email::new(bad), Err(BadEmail::Form), "{bad}");
        }
        assert!(Email::new(&format!("{}@example.org", "a".repeat(65))).is_err());
        assert!(Email::new(&format!("{}@example.org", "a".repeat(300))).is_err());
        assert_eq!(canonical("ada.lovelace+store@example.org"), "ada.lovelace+store@example.org");
    }

    #[test]
    fn composed_and_decomposed_wide_and_narrow_are_one() {
        assert_eq!(canonical("jose\u{301}@example.org"), canonical("jos\u{e9}@example.org"));
        assert_eq!(canonical("JOS\u{c9}@example.org"), canonical("jos\u{e9}@example.org"));
        assert_eq!(canonical("\u{ff21}da@example.org"), "ada@example.org");
        assert_eq!(canonical("\u{1112}\u{1161}\u{11ab}@example.org"), canonical("\u{d55c}@example.org"));
        assert_eq!(canonical("ada@b\u{fc}cher.example"), "ada@xn--bcher-kva.example");
        assert_eq!(canonical("ada@bu\u{308}cher.example"), "ada@xn--bcher-kva.example");
        assert_eq!(canonical("ada@example\u{3002}org"), "ada@example.org");
    }

    #[test]
    fn what_cannot_be_seen_and_what_looks_like_another_is_refused() {
        for hidden in
            ["\u{200b}", "\u{200d}", "\u{ad}", "\u{202e}", "\u{2066}", "\u{feff}", "\u{0}", "\u{e0061}", "\u{fe0f}"]
        {
            assert_eq!(Email::new(&format!("a{hidden}da@example.org")), Err(BadEmail::Characters), "{hidden:?}");
            assert!(
                Email::new(&format!("ada@exam{hidden}ple.org")).is_err_and(|_| true) || {
                    // What UTS #46 drops from a domain makes the same domain.
                    canonical(&format!("ada@exam{hidden}ple.org")) == "ada@example.org"
                }
            );
        }
        for alike in ["\u{430}da", "\u{430}\u{441}\u{435}", "ad\u{3b1}", "\u{458}\u{43e}\u{435}", "ad\u{251}"] {
            assert_eq!(Email::new(&format!("{alike}@example.org")), Err(BadEmail::LooksAlike), "{alike}");
        }
        for domain in [
            "ex\u{430}mple.org",
            "\u{430}\u{440}\u{440}\u{4cf}\u{435}.com",
            "xn--exmple-4nf.org",
            "a.xn--exmple-4nf.org",
        ] {
            assert_eq!(Email::new(&format!("ada@{domain}")), Err(BadEmail::LooksAlike), "{domain}");
        }
        for domain in [
            "b\u{fc}cher.example",
            "\u{43f}\u{440}\u{438}\u{43c}\u{435}\u{440}.\u{440}\u{444}",
            "\u{4f8b}\u{5b50}.example",
        ] {
            assert!(Email::new(&format!("ada@{domain}")).is_ok(), "{domain}");
        }
        assert_eq!(Email::new("a da@example.org"), Err(BadEmail::Form));
        for honest in [
            "\u{430}\u{43d}\u{43d}\u{430}",
            "\u{5d3}\u{5d5}\u{5d3}",
            "\u{592a}\u{90ce}",
            "\u{3b1}\u{3b3}\u{3b7}",
            "m\u{fc}ller",
        ] {
            assert!(Email::new(&format!("{honest}@example.org")).is_ok(), "{honest}");
        }
    }

    #[test]
    fn an_account_of_an_older_server_is_found_by_what_was_typed_then() {
        let forms = Email::forms("Jos\u{e9}@example.org");
        assert!(
            forms.contains(&"jos\u{e9}@example.org".to_owned())
                && forms.contains(&"jose\u{301}@example.org".to_owned())
        );
        assert_eq!(Email::forms("a\u{200b}da@example.org"), ["a\u{200b}da@example.org"]);
        assert_eq!(Email::forms("Ada@Example.org"), ["ada@example.org"]);
        assert!(Email::forms("nobody").is_empty());
    }
}
