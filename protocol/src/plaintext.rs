//! Bytes in the clear, of any length, wiped when they are dropped.

use std::fmt;
use std::ops::{Deref, DerefMut};

/// What was decrypted, or is to be encrypted. Wiped when it is dropped, at the speed of the memory: a wipe byte by
/// byte, as `zeroize` does it for a vector, takes as long as deciphering them.
///
/// Growing beyond its capacity leaves a copy behind, as with any vector: it is made in its length.
#[derive(Default, PartialEq, Eq)]
pub struct Plaintext(Vec<u8>);

impl Plaintext {
    /// So many zeros, to be filled.
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        Self(vec![0; len])
    }

    /// Empty, with room for so many bytes.
    #[must_use]
    pub fn with_capacity(len: usize) -> Self {
        Self(Vec::with_capacity(len))
    }
}

impl From<Vec<u8>> for Plaintext {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Deref for Plaintext {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Plaintext {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl fmt::Debug for Plaintext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plaintext({} bytes)", self.0.len())
    }
}

impl Drop for Plaintext {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Overwrites all that the vector has room for: what was cut off its end, too.
fn wipe(bytes: &mut Vec<u8>) {
    bytes.fill(0);
    bytes.resize(bytes.capacity(), 0);
    // Whoever optimises may not take the zeros for bytes that nobody reads.
    zeroize::optimization_barrier(bytes.as_slice());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_cut_off_is_wiped_as_well() {
        let mut bytes = vec![7; 4096];
        bytes.truncate(100);
        wipe(&mut bytes);
        assert_eq!(bytes, vec![0; 4096]);
    }

    #[test]
    fn it_does_not_print_itself() {
        assert_eq!(format!("{:?}", Plaintext::from(b"secret".to_vec())), "Plaintext(6 bytes)");
    }
}
