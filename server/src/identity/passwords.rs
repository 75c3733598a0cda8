//! Passwords: argon2id (RFC 9106), off the async threads, a few at a time.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use base64ct::{Base64Unpadded, Encoding as _};
use precis_profiles::OpaqueString;
use precis_profiles::precis_core::profile::PrecisFastInvocation as _;
use std::sync::Arc;
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

/// Memory of one hash in KiB, and passes over it: the first choice of OWASP's password storage sheet.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Bytes of a salt: RFC 9106 section 3.1.
const SALT: usize = 16;
/// Hashes under way at once. Each takes 19 MiB and a core for 30 ms; more would let strangers stop the server.
const AT_ONCE: usize = 2;
/// The shortest password taken, in characters: with ten attempts in ten minutes, guessing is hopeless well before.
pub(crate) const MIN_PASSWORD: usize = 10;
/// The longest, in bytes: what a password manager makes, and nobody hashes a megabyte.
pub(crate) const MAX_PASSWORD: usize = 256;

/// A password. Wiped when dropped, printed as redacted.
#[derive(Clone)]
pub struct Password {
    /// The one form of everything that looks the same when it is typed: RFC 8265 section 4.2. If there is none, as
    /// typed.
    normal: Zeroizing<String>,
    /// As it was typed, if that differs: servers before this one hashed it so.
    typed: Option<Zeroizing<String>>,
}

impl Password {
    /// Takes what was typed at a sign-in: whatever it is, up to the bound.
    ///
    /// # Errors
    /// [`BadPassword::Length`] if it is longer than any password here.
    pub fn typed(text: String) -> Result<Self, BadPassword> {
        let text = Zeroizing::new(text);
        if text.len() > MAX_PASSWORD {
            return Err(BadPassword::Length);
        }
        Ok(match opaque(&text) {
            Some(normal) if *normal != *text => Self { normal, typed: Some(text) },
            _ => Self { normal: text, typed: None },
        })
    }

    /// Takes a new password.
    ///
    /// # Errors
    /// [`BadPassword`] says the rule.
    pub fn chosen(text: String) -> Result<Self, BadPassword> {
        if text.len() <= MAX_PASSWORD && opaque(&text).is_none() && !text.is_empty() {
            return Err(BadPassword::Characters);
        }
        let password = Self::typed(text)?;
        if password.normal.chars().count() >= MIN_PASSWORD { Ok(password) } else { Err(BadPassword::Length) }
    }
}

/// The form of RFC 8265 (`OpaqueString`): composed, spaces of every kind as one, and nothing that cannot be seen.
fn opaque(text: &str) -> Option<Zeroizing<String>> {
    if text.is_ascii() {
        return (!text.is_empty() && !text.contains(|c: char| c.is_ascii_control()))
            .then(|| Zeroizing::new(text.to_owned()));
    }
    // Composed first: decomposed Hangul is refused by the profile, though only its spelling differs.
    let composed = Zeroizing::new(text.nfc().collect::<String>());
    OpaqueString::enforce(composed.as_str()).ok().map(|normal| Zeroizing::new(normal.into_owned()))
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(redacted)")
    }
}

/// Not an acceptable password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadPassword {
    /// Too short or too long.
    #[error("a password has at least {MIN_PASSWORD} characters and at most {MAX_PASSWORD} bytes")]
    Length,
    /// It holds what cannot be seen: nobody could type it again with certainty.
    #[error("a password must not contain control or invisible characters")]
    Characters,
}

/// Hashing failed for a reason that is not the password's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the password could not be hashed")]
pub struct HashFailed;

/// Hashes and checks passwords.
#[derive(Debug, Clone)]
pub struct Passwords {
    slots: Arc<Semaphore>,
    /// What an unknown account's password is checked against, so that it takes as long as a known one's.
    nobody: Arc<str>,
}

impl Passwords {
    /// Ready to hash.
    ///
    /// # Errors
    /// [`HashFailed`] if the system has no randomness.
    pub fn new() -> Result<Self, HashFailed> {
        Ok(Self { slots: Arc::new(Semaphore::new(AT_ONCE)), nobody: of_nobody()?.into() })
    }

    /// The PHC string of a password, to be stored.
    ///
    /// # Errors
    /// [`HashFailed`].
    pub async fn hash(&self, password: Password) -> Result<String, HashFailed> {
        let _slot = self.slots.acquire().await.map_err(|_| HashFailed)?;
        tokio::task::spawn_blocking(move || hash(password.normal.as_bytes())).await.map_err(|_| HashFailed)?
    }

    /// Whether the password is the one of `stored`. `None` is an account that does not exist: no, after the same time.
    ///
    /// # Errors
    /// [`HashFailed`].
    pub async fn matches(&self, password: Password, stored: Option<&str>) -> Result<bool, HashFailed> {
        let known = stored.is_some();
        let stored = stored.map_or_else(|| self.nobody.to_string(), str::to_owned);
        let _slot = self.slots.acquire().await.map_err(|_| HashFailed)?;
        tokio::task::spawn_blocking(move || {
            let stored = PasswordHash::new(&stored).map_err(|_| HashFailed)?;
            let matches = |form: &String| Ok(argon2()?.verify_password(form.as_bytes(), &stored).is_ok());
            let same = matches(&password.normal)? || password.typed.as_deref().map_or(Ok(false), matches)?;
            Ok(same && known)
        })
        .await
        .map_err(|_| HashFailed)?
    }
}

fn argon2() -> Result<Argon2<'static>, HashFailed> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|_| HashFailed)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash(password: &[u8]) -> Result<String, HashFailed> {
    argon2()?.hash_password(password).map(|hash| hash.to_string()).map_err(|_| HashFailed)
}

/// The PHC string of a password that nobody has: salt and hash are random. To check a password against it takes as
/// long as against any other, and to make it takes no time, which a start would wait for.
fn of_nobody() -> Result<String, HashFailed> {
    let random = |bytes: &mut [u8]| getrandom::fill(bytes).map_err(|_| HashFailed);
    let (mut salt, mut hash) = ([0; SALT], [0; Params::DEFAULT_OUTPUT_LEN]);
    random(&mut salt)?;
    random(&mut hash)?;
    let [salt, hash] = [&salt[..], &hash[..]].map(Base64Unpadded::encode_string);
    Ok(format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${hash}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_that_nobody_has_costs_as_much_as_any_other() {
        let (nobody, somebody) = (of_nobody().expect("random"), hash(b"correct horse").expect("hashes"));
        assert_eq!(nobody.len(), somebody.len(), "{nobody} {somebody}");
        let cost = |phc: &str| phc.split('$').take(4).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(cost(&nobody), cost(&somebody));
        let stored = PasswordHash::new(&nobody).expect("a PHC string");
        assert!(argon2().expect("parameters").verify_password(b"correct horse", &stored).is_err());
    }

    #[tokio::test]
    async fn only_the_same_password_matches() {
        let passwords = Passwords::new().expect("ready");
        let right = Password::chosen("correct horse".into()).expect("long enough");
        let stored = passwords.hash(right.clone()).await.expect("hashes");
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert_eq!(passwords.matches(right, Some(&stored)).await, Ok(true));
        let wrong = Password::typed("correct house".into()).expect("typed");
        assert_eq!(passwords.matches(wrong, Some(&stored)).await, Ok(false));
        let nobody = Password::typed("the password of nobody".into()).expect("typed");
        assert_eq!(passwords.matches(nobody, None).await, Ok(false));
    }

    #[tokio::test]
    async fn what_looks_the_same_is_the_same_and_old_passwords_still_match() {
        let passwords = Passwords::new().expect("ready");
        let typed = |text: &str| Password::typed(text.into()).expect("typed");
        let stored =
            passwords.hash(Password::chosen("cafe\u{301} au lait".into()).expect("long enough")).await.expect("hashes");
        assert_eq!(passwords.matches(typed("caf\u{e9}\u{a0}au lait"), Some(&stored)).await, Ok(true));
        assert_eq!(passwords.matches(typed("cafe au lait"), Some(&stored)).await, Ok(false));
        // As a server before this one hashed it.
        let old = hash("cafe\u{301}\u{200b} au lait".as_bytes()).expect("hashes");
        assert_eq!(passwords.matches(typed("cafe\u{301}\u{200b} au lait"), Some(&old)).await, Ok(true));
        let old = hash("cafe\u{301} au lait".as_bytes()).expect("hashes");
        assert_eq!(passwords.matches(typed("cafe\u{301} au lait"), Some(&old)).await, Ok(true));
        for hidden in ["\u{200b}", "\u{202e}", "\u{feff}", "\n", "\u{7}"] {
            let chosen = Password::chosen(format!("long enough{hidden}")).map(|_| ());
            assert_eq!(chosen, Err(BadPassword::Characters), "{hidden:?}");
        }
        assert!(Password::chosen("пароль с пробелом 🐒".into()).is_ok());
    }

    #[test]
    fn short_and_endless_passwords_are_refused() {
        assert!(Password::chosen("ninechars".into()).is_err());
        assert!(Password::typed("x".repeat(MAX_PASSWORD + 1)).is_err());
        assert_eq!(format!("{:?}", Password::chosen("0123456789".into()).expect("ten")), "Password(redacted)");
    }
}
