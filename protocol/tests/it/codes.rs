//! Codes on their way: they open for what they were sealed for, and for nothing else.

use crate::seeded::SeededRng;
use portcullis_protocol::codes::{
    CodeContext, CodeError, Codes, Generation, Quantity, SealedBytes, ciphertext_digest, open, seal,
};
use portcullis_protocol::encoding::{BoundedOctets, Octets};
use portcullis_protocol::{Digest, MerchantName, OrderId, ReleaseSecretKey};
use zeroize::Zeroizing;

fn codes(texts: &[&str]) -> Result<Codes, CodeError> {
    Codes::new(texts.iter().map(|text| Zeroizing::new((*text).to_owned())).collect())
}

struct Sealed {
    key: ReleaseSecretKey,
    order: OrderId,
    merchant: MerchantName,
    verification: Digest,
    bytes: SealedBytes,
}

impl Sealed {
    fn new(plain: &Codes) -> Self {
        let mut rng = SeededRng::new("codes");
        let key = ReleaseSecretKey::generate(&mut rng);
        let (order, merchant) = (OrderId::from_bytes([1; 16]), "games-shop".parse().expect("name"));
        let verification = Digest::of(b"verification");
        let context = CodeContext {
            order: &order,
            merchant: &merchant,
            generation: Generation::FIRST,
            verification: &verification,
        };
        let bytes = seal(&Octets(*key.public().as_bytes()), &context, plain, &mut rng).expect("seals");
        Self { key, order, merchant, verification, bytes }
    }

    fn context(&self) -> CodeContext<'_> {
        CodeContext {
            order: &self.order,
            merchant: &self.merchant,
            generation: Generation::FIRST,
            verification: &self.verification,
        }
    }
}

#[test]
fn codes_open_for_their_order_and_for_no_other() {
    let plain = codes(&["ABCD-EFGH", "größe \"2\" \\ /"]).expect("codes");
    let two = Quantity::new(2).expect("two");
    let sealed = Sealed::new(&plain);
    assert_eq!(open(&sealed.key, &sealed.context(), two, &sealed.bytes).as_ref(), Ok(&plain));
    assert_eq!(plain.iter().collect::<Vec<_>>(), ["ABCD-EFGH", "größe \"2\" \\ /"]);
    assert_eq!(format!("{plain:?}"), "Codes(2 redacted)");

    let (order, merchant) = (OrderId::from_bytes([2; 16]), "other-shop".parse().expect("name"));
    let (verification, generation) = (Digest::of(b"another"), Generation::new(2).expect("second"));
    for context in [
        CodeContext { order: &order, ..sealed.context() },
        CodeContext { merchant: &merchant, ..sealed.context() },
        CodeContext { generation, ..sealed.context() },
        CodeContext { verification: &verification, ..sealed.context() },
    ] {
        assert_eq!(open(&sealed.key, &context, two, &sealed.bytes), Err(CodeError::DoesNotOpen), "{context:?}");
    }
    let stranger = ReleaseSecretKey::generate(&mut SeededRng::new("stranger"));
    assert_eq!(open(&stranger, &sealed.context(), two, &sealed.bytes), Err(CodeError::DoesNotOpen));
    assert_eq!(open(&sealed.key, &sealed.context(), Quantity::ONE, &sealed.bytes), Err(CodeError::NotTheCodes));
}

#[test]
fn every_changed_bit_is_found() {
    let sealed = Sealed::new(&codes(&["AB"]).expect("codes"));
    let whole = sealed.bytes.ciphertext.as_bytes();
    for bit in 0..whole.len() * 8 {
        let mut changed = whole.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        let ciphertext = BoundedOctets::new(changed).expect("fits");
        let bytes = SealedBytes { ciphertext, ..sealed.bytes.clone() };
        assert!(open(&sealed.key, &sealed.context(), Quantity::ONE, &bytes).is_err(), "bit {bit}");
        assert_ne!(bytes.digest(), sealed.bytes.digest());
    }
    let mut enc = sealed.bytes.enc;
    enc.0[0] ^= 1;
    let bytes = SealedBytes { enc, ..sealed.bytes.clone() };
    assert!(open(&sealed.key, &sealed.context(), Quantity::ONE, &bytes).is_err());
    assert_eq!(sealed.bytes.digest(), ciphertext_digest(&sealed.bytes.enc, whole));
}

#[test]
fn what_nobody_can_read_or_type_is_no_code() {
    for bad in [&[][..], &[""], &["a\nb"], &["a\u{202e}b"], &["a\u{200b}"], &["ok", ""], &[&"x".repeat(513)]] {
        assert_eq!(codes(bad).err(), Some(CodeError::Code), "{bad:?}");
    }
    let long = "x".repeat(512);
    assert!(codes(&vec![long.as_str(); 31]).is_ok());
    assert_eq!(codes(&vec![long.as_str(); 32]).err(), Some(CodeError::TooLong));
}

#[test]
fn a_key_that_opens_for_everybody_is_no_recipient() {
    let sealed = Sealed::new(&codes(&["AB"]).expect("codes"));
    let mut rng = SeededRng::new("low order");
    let zero = seal(&Octets([0; 32]), &sealed.context(), &codes(&["AB"]).expect("codes"), &mut rng);
    assert_eq!(zero, Err(CodeError::LowOrderKey));
}
