//! The sign-in name: an e-mail address, in one canonical form.

use std::fmt;

/// The longest address that mail can be sent to (RFC 5321 section 4.5.3.1.3, without the angle brackets).
const MAX_EMAIL: usize = 254;

/// An e-mail address in lower case. Printed as redacted: logs hold no addresses of people.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Email(String);

/// Not an e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an e-mail address: write it as name@example.org")]
pub struct BadEmail;

impl Email {
    /// Reads an address. Whether mail arrives there is another question.
    ///
    /// # Errors
    /// [`BadEmail`].
    pub fn new(text: &str) -> Result<Self, BadEmail> {
        let text = text.trim().to_lowercase();
        let (name, host) = text.rsplit_once('@').ok_or(BadEmail)?;
        let plain = |part: &str| !part.is_empty() && !part.chars().any(|c| c.is_whitespace() || c.is_control());
        let host_ok =
            plain(host) && !host.starts_with('.') && !host.ends_with('.') && !host.contains(['<', '>', ',', ';']);
        if text.len() <= MAX_EMAIL && plain(name) && !name.contains(['<', '>', ',', ';']) && host_ok {
            Ok(Self(text))
        } else {
            Err(BadEmail)
        }
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_has_one_form() {
        assert_eq!(Email::new(" Ada@Example.ORG "), Email::new("ada@example.org"));
        for bad in ["", "ada", "@example.org", "ada@", "a b@example.org", "ada@example.org\n.x", "<ada@example.org>"] {
            assert!(Email::new(bad).is_err(), "{bad}");
        }
        assert!(Email::new(&format!("{}@example.org", "a".repeat(300))).is_err());
    }
}
