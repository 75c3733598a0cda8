//! The operating system's randomness, in the form that `protocol` takes.

use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;

/// A source of randomness for keys. It panics where the operating system has none: no key is better than a weak one.
pub(crate) const fn system() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

/// So many random bytes, not secret.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    use getrandom::rand_core::Rng as _;
    let mut bytes = [0; N];
    system().fill_bytes(&mut bytes);
    bytes
}
