//! X25519 (RFC 7748) of a key that agrees once: by AWS-LC with the feature `fast`, in portable code without it. Both
//! give the same bytes, in a time that depends on no secret, and wipe the secret when it is dropped.

#[cfg(any(test, not(feature = "fast")))]
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

/// The points on which any two secrets agree, as X25519 reads them: without the highest bit. Every other point has a
/// part of prime order, which no secret takes to zero.
const LOW_ORDER: [[u8; 32]; 7] = [
    // 0, of order 2, and 1, of order 4.
    [0; 32],
    first(1),
    // The two of order 8.
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09,
        0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44,
        0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
    ],
    // p - 1, of order 4 on the twist, and 0 and 1 once more, as p and p + 1.
    last(0xec),
    last(0xed),
    last(0xee),
];

const fn first(byte: u8) -> [u8; 32] {
    let mut point = [0; 32];
    point[0] = byte;
    point
}

const fn last(byte: u8) -> [u8; 32] {
    let mut point = [0xff; 32];
    point[0] = byte;
    point[31] = 0x7f;
    point
}

/// Whether any two secrets agree on zero with this key. A public key is no secret, so it may be compared in any time.
pub(crate) fn is_low_order(key: &[u8; 32]) -> bool {
    let mut point = *key;
    point[31] &= 0x7f;
    LOW_ORDER.contains(&point)
}

/// A secret that agrees once, and its public half.
pub(crate) struct OneTimeSecret {
    secret: Secret,
    public: [u8; 32],
}

enum Secret {
    #[cfg(any(test, not(feature = "fast")))]
    Portable(StaticSecret),
    /// AWS-LC keeps it in memory of its own, which `OPENSSL_free` overwrites before it gives it back.
    #[cfg(feature = "fast")]
    Fast(aws_lc_rs::agreement::PrivateKey),
}

impl OneTimeSecret {
    /// By the fastest code of this build.
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        #[cfg(feature = "fast")]
        {
            use aws_lc_rs::agreement::{PrivateKey, X25519};
            let secret = PrivateKey::from_private_key(&X25519, secret).expect("any 32 bytes are a secret");
            let public = secret.compute_public_key().expect("a secret has a public half");
            let public = public.as_ref().try_into().expect("a public half has 32 bytes");
            Self { secret: Secret::Fast(secret), public }
        }
        #[cfg(not(feature = "fast"))]
        Self::portable(secret)
    }

    /// In portable code, whatever this build has.
    #[cfg(any(test, not(feature = "fast")))]
    pub(crate) fn portable(secret: &[u8; 32]) -> Self {
        let secret = StaticSecret::from(*secret);
        Self { public: PublicKey::from(&secret).to_bytes(), secret: Secret::Portable(secret) }
    }

    /// The public half.
    pub(crate) const fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// What both agree on. `None` if it is what anybody knows: the other key is of low order.
    pub(crate) fn agree(self, other: &[u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
        match self.secret {
            #[cfg(any(test, not(feature = "fast")))]
            Secret::Portable(secret) => {
                let shared = secret.diffie_hellman(&PublicKey::from(*other));
                shared.was_contributory().then(|| Zeroizing::new(*shared.as_bytes()))
            }
            #[cfg(feature = "fast")]
            Secret::Fast(secret) => {
                use aws_lc_rs::agreement::{UnparsedPublicKey, X25519, agree};
                agree(&secret, UnparsedPublicKey::new(&X25519, other), (), |shared| {
                    let mut agreed = Zeroizing::new([0; 32]);
                    agreed.copy_from_slice(shared);
                    Ok(agreed)
                })
                .ok()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of a counter, for keys that differ.
    fn key(number: u8) -> [u8; 32] {
        std::array::from_fn(|at| number.wrapping_mul(31).wrapping_add(u8::try_from(at).expect("32") * 7))
    }

    /// What any clamped secret makes of a point says whether it is of low order.
    fn by_the_ladder(point: [u8; 32]) -> bool {
        !StaticSecret::from([0; 32]).diffie_hellman(&PublicKey::from(point)).was_contributory()
    }

    #[test]
    fn points_of_low_order_are_those_that_any_secret_takes_to_zero() {
        for point in LOW_ORDER {
            let mut high = point;
            high[31] |= 0x80;
            for point in [point, high] {
                assert!(is_low_order(&point) && by_the_ladder(point), "{point:02x?}");
                assert!(OneTimeSecret::new(&key(1)).agree(&point).is_none());
                assert!(OneTimeSecret::portable(&key(1)).agree(&point).is_none());
            }
            // Its neighbours are none, unless they are on the list themselves.
            for step in [1, 0xff] {
                let mut near = point;
                near[0] = near[0].wrapping_add(step);
                assert_eq!(is_low_order(&near), by_the_ladder(near), "{near:02x?}");
            }
        }
        // All that are read as less than 19, and everything else.
        for byte in 0xed..=0xff {
            assert_eq!(is_low_order(&last(byte)), by_the_ladder(last(byte)), "p + {}", byte - 0xed);
        }
        for number in 0..=255 {
            assert_eq!(is_low_order(&key(number)), by_the_ladder(key(number)));
        }
    }

    #[test]
    fn both_codes_agree_on_the_same_bytes() {
        for number in 0..50 {
            let (one, other) = (key(number), key(number.wrapping_add(100)));
            let portable = OneTimeSecret::portable(&one);
            let fastest = OneTimeSecret::new(&one);
            assert_eq!(portable.public(), fastest.public());
            let theirs = OneTimeSecret::new(&other);
            let public = *theirs.public();
            let mut unread = public;
            unread[31] |= 0x80;
            let agreed = theirs.agree(portable.public()).expect("agreed");
            assert_eq!(*agreed, *portable.agree(&public).expect("agreed"));
            assert_eq!(*agreed, *fastest.agree(&unread).expect("the highest bit is not read"));
        }
    }

    #[test]
    fn rfc_7748_section_6_1() {
        let hex = |text: &str| -> [u8; 32] {
            std::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hex"))
        };
        let alice = hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
        let bob = hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
        let shared = hex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
        for secret in [OneTimeSecret::new, OneTimeSecret::portable] {
            let (alice, bob) = (secret(&alice), secret(&bob));
            let (of_alice, of_bob) = (*alice.public(), *bob.public());
            assert_eq!(of_alice, hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"));
            assert_eq!(of_bob, hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"));
            assert_eq!(alice.agree(&of_bob).as_deref(), Some(&shared));
            assert_eq!(bob.agree(&of_alice).as_deref(), Some(&shared));
        }
    }
}
