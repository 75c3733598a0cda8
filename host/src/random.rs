//! The operating system's randomness, in the form that `protocol` takes.

use getrandom::SysRng;
use portcullis_protocol::IdempotencyKey;
use portcullis_protocol::encoding::{Octets, base64url};
use rand_core::{Rng as _, UnwrapErr};

/// A source of randomness for keys. It panics where the operating system has none: no key is better than a weak one.
pub(crate) const fn system() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

/// `N` random bytes, not secret.
pub(crate) fn octets<const N: usize>() -> Octets<N> {
    let mut bytes = [0; N];
    system().fill_bytes(&mut bytes);
    Octets(bytes)
}

/// A new Idempotency-Key: 128 random bits.
pub(crate) fn idempotency_key() -> IdempotencyKey {
    IdempotencyKey::new(base64url(&octets::<16>().0)).expect("22 visible characters")
}
