//! Ed25519 keys (RFC 8032) as JSON Web Keys (RFC 8037), their thumbprints (RFC 7638), and the words people compare.

use crate::encoding::Octets;
use crate::ids::BadId;
use crate::labels::FINGERPRINT;
use ed25519_dalek::{Signature, SigningKey, VerifyingKey};
use rand_core::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

/// Why a key or a signature was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not a point of the curve, or one of small order, with which anything can be signed.
    #[error("not a usable Ed25519 public key (RFC 8032)")]
    Key,
    /// The signature is not this key's over these bytes.
    #[error("the signature does not verify under the expected key")]
    Signature,
}

/// An Ed25519 public key, parsed once and known to be of full order.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    key: VerifyingKey,
    thumbprint: Thumbprint,
}

/// A JSON Web Key as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Jwk {
    // In the order of RFC 7638, so that the serialisation is what the thumbprint is taken over.
    crv: String,
    kty: String,
    x: Octets<32>,
}

impl Jwk {
    /// The 32 bytes of an Ed25519 key, which may be none all the same.
    pub(crate) fn bytes(&self) -> Result<[u8; 32], &'static str> {
        if self.kty == "OKP" && self.crv == "Ed25519" {
            Ok(self.x.0)
        } else {
            Err("only Ed25519 keys are accepted (kty OKP, crv Ed25519; RFC 8037)")
        }
    }
}

impl PublicKey {
    /// Takes the 32 bytes of RFC 8032.
    ///
    /// # Errors
    /// [`KeyError::Key`] if they are no point, or one of small order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::Key)?;
        if key.is_weak() {
            return Err(KeyError::Key);
        }
        let text = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, Octets(*bytes));
        let thumbprint = Thumbprint(Octets(Sha256::digest(text.as_bytes()).into()));
        Ok(Self { key, thumbprint })
    }

    /// The 32 bytes of RFC 8032.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        self.key.to_bytes()
    }

    /// The JWK thumbprint with SHA-256 (RFC 7638): how this key is named everywhere.
    #[must_use]
    pub const fn thumbprint(&self) -> Thumbprint {
        self.thumbprint
    }

    /// Checks a signature by the strict rules (`verify_strict`: no small-order points, canonical scalars, no cofactor).
    ///
    /// # Errors
    /// [`KeyError::Signature`].
    pub fn verify(&self, message: &[u8], signature: &Octets<64>) -> Result<(), KeyError> {
        self.key.verify_strict(message, &Signature::from_bytes(&signature.0)).map_err(|_| KeyError::Signature)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.thumbprint)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Jwk { crv: "Ed25519".into(), kty: "OKP".into(), x: Octets(self.to_bytes()) }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Jwk::deserialize(deserializer)?.bytes().map_err(D::Error::custom)?;
        Self::from_bytes(&bytes).map_err(D::Error::custom)
    }
}

/// The RFC 7638 thumbprint of a public key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Thumbprint(Octets<32>);

impl Thumbprint {
    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0.0
    }

    /// A thumbprint read from storage.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Octets(bytes))
    }

    /// The words of which [`Thumbprint::words`] chooses.
    #[must_use]
    pub fn word_list() -> Vec<&'static str> {
        WORDS.split_ascii_whitespace().collect()
    }

    /// Eight words (64 bits) that two people, or one person before two screens, can compare.
    #[must_use]
    pub fn words(&self) -> String {
        let list = Self::word_list();
        let digest = Sha256::new().chain_update(FINGERPRINT).chain_update(self.as_bytes()).finalize();
        let words: Vec<&str> = digest.iter().take(8).map(|byte| list[usize::from(*byte)]).collect();
        words.join("-")
    }

    /// Whether somebody has said these words: in any case, and with anything between them.
    #[must_use]
    pub fn is_said_as(&self, told: &str) -> bool {
        let told = told.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        told.map(str::to_lowercase).eq(self.words().split('-'))
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Thumbprint {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        Octets::parse(text).map(Self).map_err(|_| BadId::digest("thumbprint"))
    }
}

/// An Ed25519 private key. Zeroized on drop; prints only its thumbprint.
#[derive(Clone)]
pub struct SecretKey {
    key: SigningKey,
    public: PublicKey,
    /// The same key as AWS-LC has it, which signs faster. It is overwritten when the last clone is dropped.
    #[cfg(feature = "fast")]
    fast: std::sync::Arc<aws_lc_rs::signature::Ed25519KeyPair>,
}

impl SecretKey {
    /// A new key.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *seed);
        Self::from_seed(&seed)
    }

    /// The key of a 32-byte seed (RFC 8032 section 5.1.5).
    ///
    /// # Panics
    /// Never: the public key of a seed is of full order.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let key = SigningKey::from_bytes(seed);
        let public = PublicKey::from_bytes(&key.verifying_key().to_bytes()).expect("a derived key is of full order");
        Self {
            #[cfg(feature = "fast")]
            fast: aws_lc_rs::signature::Ed25519KeyPair::from_seed_and_public_key(seed, &public.to_bytes())
                .expect("both derive the same public key")
                .into(),
            key,
            public,
        }
    }

    /// The seed, to be stored where only the owner reads it.
    #[must_use]
    pub fn to_seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes())
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs `message` (RFC 8032: deterministic).
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Octets<64> {
        #[cfg(feature = "fast")]
        {
            let signature = self.fast.sign(message);
            Octets(signature.as_ref().try_into().expect("a signature has 64 bytes"))
        }
        #[cfg(not(feature = "fast"))]
        self.sign_portably(message)
    }

    /// In portable code, whatever this build has.
    #[cfg(any(test, not(feature = "fast")))]
    fn sign_portably(&self, message: &[u8]) -> Octets<64> {
        use ed25519_dalek::Signer as _;
        Octets(self.key.sign(message).to_bytes())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.public.thumbprint)
    }
}

/// The even words of the PGP word list: 256 two-syllable words chosen to be told apart when spoken.
const WORDS: &str = "\
aardvark absurd accrue acme adrift adult afflict ahead aimless algol allow alone ammo ancient apple artist \
assume athens atlas aztec baboon backfield backward banjo beaming bedlamp beehive beeswax befriend belfast berserk billiard \
bison blackjack blockade blowtorch bluebird bombast bookshelf brackish breadline breakup brickyard briefcase burbank button buzzard cement \
chairlift chatter checkup chisel choking chopper christmas clamshell classic classroom cleanup clockwork cobra commence concert cowbell \
crackdown cranky crowfoot crucial crumpled crusade cubic dashboard deadbolt deckhand dogsled dragnet drainage dreadful drifter dropper \
drumbeat drunken dupont dwelling eating edict egghead eightball endorse endow enlist erase escape exceed eyeglass eyetooth \
facial fallout flagpole flatfoot flytrap fracture framework freedom frighten gazelle geiger glitter glucose goggles goldfish gremlin \
guidance hamlet highchair hockey indoors indulge inverse involve island jawbone keyboard kickoff kiwi klaxon locale lockup \
merit minnow miser mohawk mural music necklace neptune newborn nightbird oakland obtuse offload optic orca payday \
peachy pheasant physique playhouse pluto preclude prefer preshrunk printer prowler pupil puppy python quadrant quiver quota \
ragtime ratchet rebirth reform regain reindeer rematch repay retouch revenge reward rhythm ribcage ringbolt robust rocker \
ruffled sailboat sawdust scallion scenic scorecard scotland seabird select sentence shadow shamrock showgirl skullcap skydive slingshot \
slowdown snapline snapshot snowcap snowslide solo southward soybean spaniel spearhead spellbind spheroid spigot spindle spyglass stagehand \
stagnate stairway standard stapler steamship sterling stockman stopwatch stormy sugar surmount suspense sweatband swelter tactics talon \
tapeworm tempest tiger tissue tonic topmost tracker transit trauma treadmill trojan trouble tumor tunnel tycoon uncut \
unearth unwind uproot upset upshot vapor village virus vulcan waffle wallet watchword wayside willow woodlark zulu";

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_word_list_has_one_word_per_byte() {
        assert_eq!(WORDS.split_ascii_whitespace().count(), 256);
        assert_eq!(WORDS.split_ascii_whitespace().collect::<BTreeSet<_>>().len(), 256);
    }

    #[test]
    fn rfc_8037_appendix_a() {
        let seed: Octets<32> = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A".parse().expect("seed");
        let key = SecretKey::from_seed(&seed.0);
        assert_eq!(
            serde_json::to_string(key.public()).expect("json"),
            r#"{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#
        );
        assert_eq!(key.public().thumbprint().to_string(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        let input = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature = key.sign(input);
        assert_eq!(
            signature.to_string(),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
        );
        key.public().verify(input, &signature).expect("verifies");
    }

    #[test]
    fn both_codes_sign_with_the_same_bytes() {
        for number in 0..=u8::MAX {
            let key = SecretKey::from_seed(&std::array::from_fn(|at| number ^ u8::try_from(at * 5).expect("a byte")));
            let message = vec![number; usize::from(number) * 5];
            let signature = key.sign(&message);
            assert_eq!(signature, key.sign_portably(&message), "{number}");
            key.public().verify(&message, &signature).expect("verifies");
        }
    }

    #[test]
    fn keys_of_small_order_are_refused() {
        // The identity and the point of order 2, 4: with them one signature fits any message.
        for bytes in [
            {
                let mut b = [0; 32];
                b[0] = 1;
                b
            },
            [0; 32],
            {
                let mut b = [0xff; 32];
                b[0] = 0xec;
                b[31] = 0x7f;
                b
            },
        ] {
            assert_eq!(PublicKey::from_bytes(&bytes), Err(KeyError::Key));
        }
    }
}
