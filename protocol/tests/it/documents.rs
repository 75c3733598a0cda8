//! Signed documents: what verifies, and every way in which one must not.

use crate::fixtures::{NOW, grant, key, key_document, manifest, origin};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use portcullis_protocol::encoding::{Octets, base64url, from_base64url};
use portcullis_protocol::labels::{ALL_TYPES, TYP_GRANT};
use portcullis_protocol::limits::{MAX_NAME, MAX_REQUEST_BODY, MAX_VERSIONS};
use portcullis_protocol::wire::AdoptionRequest;
use portcullis_protocol::{
    AdoptedVersions, Adoption, AdoptionError, Digest, Grant, JwsError, KeyDocument, KeyDocumentError, ManifestError,
    Offer, SecretKey, SignedManifest, Unverified, Verified,
};
use std::collections::BTreeSet;

fn signed_grant() -> Verified<Grant> {
    Verified::sign(grant(&key(5), &Octets([6; 16])), &key(1))
}

fn reparse(compact: &str, key: &SecretKey) -> Result<Grant, JwsError> {
    Ok(Unverified::<Grant>::parse(compact)?.verify(key.public())?.into_document())
}

#[test]
fn every_type_is_distinct() {
    assert_eq!(ALL_TYPES.iter().collect::<BTreeSet<_>>().len(), ALL_TYPES.len());
}

#[test]
fn a_signed_document_is_read_back() {
    let signed = signed_grant();
    assert_eq!(reparse(signed.compact(), &key(1)).expect("verifies"), *signed.document());
}

#[test]
fn another_jose_library_verifies_what_we_sign_and_rejects_a_flipped_bit() {
    let signed = signed_grant();
    let decoding = DecodingKey::from_ed_components(&base64url(&key(1).public().to_bytes())).expect("key");
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.validate_exp = false;
    validation.required_spec_claims.clear();
    let token = jsonwebtoken::decode::<serde_json::Value>(signed.compact(), &decoding, &validation).expect("verifies");
    assert_eq!(token.header.typ.as_deref(), Some(TYP_GRANT));
    assert_eq!(token.claims["operation"], "view");
    let flipped = flip(signed.compact(), 1);
    assert!(jsonwebtoken::decode::<serde_json::Value>(&flipped, &decoding, &validation).is_err());
    assert!(reparse(&flipped, &key(1)).is_err());
}

/// Flips one bit of the payload, keeping base64url canonical.
fn flip(compact: &str, segment: usize) -> String {
    let mut segments: Vec<String> = compact.split('.').map(str::to_owned).collect();
    let mut bytes = from_base64url(&segments[segment]).expect("base64url");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    segments[segment] = base64url(&bytes);
    segments.join(".")
}

#[test]
fn every_single_character_change_is_refused() {
    let signed = signed_grant();
    let compact = signed.compact();
    for index in 0..compact.len() {
        let mut changed = compact.as_bytes().to_vec();
        changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).expect("ascii");
        assert!(reparse(&changed, &key(1)).is_err(), "changed at {index}");
    }
}

#[test]
fn a_document_of_one_type_never_serves_as_another() {
    let signed = signed_grant();
    assert!(matches!(Unverified::<Offer>::parse(signed.compact()), Err(JwsError::Type { .. })));
}

#[test]
fn other_algorithms_and_headers_are_refused() {
    let signed = signed_grant();
    let (_, rest) = signed.compact().split_once('.').expect("segments");
    let kid = key(1).public().thumbprint();
    for header in [
        format!(r#"{{"alg":"none","kid":"{kid}","typ":"{TYP_GRANT}"}}"#),
        format!(r#"{{"alg":"HS256","kid":"{kid}","typ":"{TYP_GRANT}"}}"#),
        format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"{TYP_GRANT}","crit":["b64"]}}"#),
        format!(r#"{{"alg":"EdDSA","jku":"https://evil.example","kid":"{kid}","typ":"{TYP_GRANT}"}}"#),
        format!(r#"{{"alg":"EdDSA","alg":"EdDSA","kid":"{kid}","typ":"{TYP_GRANT}"}}"#),
        format!(r#"{{"typ":"{TYP_GRANT}","alg":"EdDSA","kid":"{kid}"}}"#),
        format!(r#"{{ "alg":"EdDSA","kid":"{kid}","typ":"{TYP_GRANT}"}}"#),
    ] {
        let compact = format!("{}.{rest}", base64url(header.as_bytes()));
        assert!(matches!(reparse(&compact, &key(1)), Err(JwsError::Header)), "{header}");
    }
    assert!(matches!(reparse(&format!("{}.", signed.compact()), &key(1)), Err(JwsError::Form)));
    assert!(matches!(reparse(signed.compact(), &key(2)), Err(JwsError::Key)));
}

#[test]
fn a_payload_with_unknown_or_repeated_members_is_refused() {
    let json = serde_json::to_string(&grant(&key(5), &Octets([6; 16]))).expect("json");
    for payload in [json.replacen('{', r#"{"admin":true,"#, 1), json.replacen('{', r#"{"run_max":1,"#, 1)] {
        let compact = resign(&payload, TYP_GRANT, &key(1));
        assert!(matches!(reparse(&compact, &key(1)), Err(JwsError::Payload { .. })), "{payload}");
    }
    assert!(reparse(&resign(&json, TYP_GRANT, &key(1)), &key(1)).is_ok(), "control");
}

fn resign(payload: &str, typ: &str, key: &SecretKey) -> String {
    let header = format!(r#"{{"alg":"EdDSA","kid":"{}","typ":"{typ}"}}"#, key.public().thumbprint());
    let input = format!("{}.{}", base64url(header.as_bytes()), base64url(payload.as_bytes()));
    let signature = key.sign(input.as_bytes());
    format!("{input}.{signature}")
}

#[test]
fn a_key_document_holds_for_its_root_origin_and_time_only() {
    let (root, signer) = (key(9), key(1));
    let compact = Verified::sign(key_document(&signer), &root).compact().to_owned();
    let check = |compact: &str, root: &SecretKey, now, seen| {
        KeyDocument::verify(compact, root.public(), &origin(), now, seen).map(|_| ())
    };
    assert_eq!(check(&compact, &root, NOW, 3), Ok(()));
    assert!(matches!(check(&compact, &key(8), NOW, 3), Err(KeyDocumentError::Document(_))), "another root");
    assert_eq!(check(&compact, &root, NOW, 4), Err(KeyDocumentError::Rollback));
    assert_eq!(check(&compact, &root, NOW + 3600, 3), Err(KeyDocumentError::Late { by: 0 }), "expired");
    assert_eq!(check(&compact, &root, NOW - 3600, 3), Err(KeyDocumentError::Early { by: 3590 }), "from the future");
    let mut long = key_document(&signer);
    long.exp = long.iat + 8 * 24 * 3600;
    assert_eq!(check(Verified::sign(long, &root).compact(), &root, NOW, 3), Err(KeyDocumentError::Life), "too long");
    let other = portcullis_protocol::Origin::new("https://other.example").expect("origin");
    assert!(KeyDocument::verify(&compact, root.public(), &other, NOW, 3).is_err());
    let document = key_document(&signer);
    assert!(document.signing_key(signer.public().thumbprint(), NOW).is_some());
    assert!(document.signing_key(signer.public().thumbprint(), NOW + 7200).is_none(), "past its time");
    assert!(document.signing_key(key(2).public().thumbprint(), NOW).is_none());
}

#[test]
fn a_manifest_is_read_back_with_its_countersignatures_and_keeps_its_digest() {
    let publisher = key(7);
    let mut signed = SignedManifest::sign(manifest(&publisher), &publisher).expect("signs");
    let digest = signed.digest();
    signed.countersign(origin(), &key(1), NOW).expect("countersigns");
    signed.countersign(origin(), &key(2), NOW + 1).expect("replaces");
    let read = SignedManifest::verify(&signed.to_bytes()).expect("verifies");
    assert_eq!(read.digest(), digest);
    assert_eq!(read.countersignatures().len(), 1);
    assert_eq!(read.countersignatures()[0].key, *key(2).public());
}

#[test]
fn every_single_byte_change_of_a_manifest_is_refused() {
    let publisher = key(7);
    let mut signed = SignedManifest::sign(manifest(&publisher), &publisher).expect("signs");
    signed.countersign(origin(), &key(1), NOW).expect("countersigns");
    let bytes = signed.to_bytes();
    for index in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[index] ^= 1;
        assert!(SignedManifest::verify(&changed).is_err(), "changed at {index}");
    }
}

#[test]
fn a_manifest_resigned_by_another_key_is_not_its_publishers() {
    let thief = key(66);
    assert!(matches!(SignedManifest::sign(manifest(&key(7)), &thief), Err(ManifestError::Content(_))));
    // With the key replaced as well it verifies, as the thief's: another publisher key, another digest.
    let mut replaced = manifest(&key(7));
    replaced.publisher.jwk = thief.public().clone();
    let original = SignedManifest::sign(manifest(&key(7)), &key(7)).expect("signs");
    let stolen = SignedManifest::sign(replaced, &thief).expect("signs");
    assert_ne!(stolen.digest(), original.digest());
}

#[test]
fn a_manifest_in_another_spelling_is_refused() {
    let publisher = key(7);
    let bytes = SignedManifest::sign(manifest(&publisher), &publisher).expect("signs").to_bytes();
    let text = String::from_utf8(bytes).expect("json");
    for changed in [
        text.replacen('{', "{ ", 1),
        text.replacen('{', r#"{"header":{},"#, 1),
        format!("{text}\n"),
        text.replacen(r#""signatures":["#, r#""signatures":[],"signatures":["#, 1),
    ] {
        assert!(SignedManifest::verify(changed.as_bytes()).is_err());
    }
    // A payload that says the same in another order, signed by the publisher himself.
    let json = serde_json::to_string(&manifest(&publisher)).expect("json");
    let reordered =
        json.replacen(r#""v":1,"#, "", 1).replacen(r#""name":"alpine-lake","#, r#""name":"alpine-lake","v":1,"#, 1);
    assert_eq!(reordered.len(), json.len());
    let header =
        format!(r#"{{"alg":"EdDSA","kid":"{}","typ":"portcullis-manifest+jws"}}"#, publisher.public().thumbprint());
    let general = |payload: &str| {
        let (protected, payload) = (base64url(header.as_bytes()), base64url(payload.as_bytes()));
        let signature = publisher.sign(format!("{protected}.{payload}").as_bytes());
        format!(r#"{{"payload":"{payload}","signatures":[{{"protected":"{protected}","signature":"{signature}"}}]}}"#)
    };
    assert!(matches!(SignedManifest::verify(general(&reordered).as_bytes()), Err(ManifestError::Canonical)));
    assert!(SignedManifest::verify(general(&json).as_bytes()).is_ok(), "control");
}

#[test]
fn a_manifest_that_contradicts_itself_is_refused_with_the_cause() {
    type Change = fn(&mut portcullis_protocol::Manifest);
    let cases: [(&str, Change); 10] = [
        ("an operation names a part that does not exist", |m| {
            m.operations[0].parts.push("nothing".parse().expect("name"))
        }),
        ("an export of two operations", |m| m.operations[0].exports = m.operations[1].exports.clone()),
        ("an export that does not exist", |m| m.operations[0].exports[0] = "other#f".parse().expect("name")),
        ("two code parts for one operation", |m| m.parts[1].kind = portcullis_protocol::PartKind::Code),
        ("exports without code", |m| m.operations[0].parts.clear()),
        ("a part twice", |m| m.parts[1].name = m.parts[0].name.clone()),
        ("a part of no operation", |m| {
            m.operations[1].parts.pop();
        }),
        ("no servers", |m| m.servers.clear()),
        ("an unknown version of the form", |m| m.v = 2),
        ("control characters in a title", |m| m.title = "a\u{1b}[31mb".into()),
    ];
    for (what, change) in cases {
        let mut changed = manifest(&key(7));
        change(&mut changed);
        assert!(matches!(changed.check(), Err(ManifestError::Content(_))), "{what}");
    }
    assert!(manifest(&key(7)).check().is_ok(), "control");
}

/// Signed by its own publisher, with a tool that refuses nothing; and never repeated in the error.
#[test]
fn no_text_of_a_signed_document_disturbs_a_screen() {
    let publisher = key(7);
    let header =
        format!(r#"{{"alg":"EdDSA","kid":"{}","typ":"portcullis-manifest+jws"}}"#, publisher.public().thumbprint());
    let general = |payload: &str| {
        let (protected, payload) = (base64url(header.as_bytes()), base64url(payload.as_bytes()));
        let signature = publisher.sign(format!("{protected}.{payload}").as_bytes());
        format!(r#"{{"payload":"{payload}","signatures":[{{"protected":"{protected}","signature":"{signature}"}}]}}"#)
    };
    let json = serde_json::to_string(&manifest(&publisher)).expect("JSON");
    assert!(SignedManifest::verify(general(&json).as_bytes()).is_ok(), "control");
    for evil in [r"\u001b[2J", r"\u009b2J", r"\n", r"\r", "\u{9b}", "\u{202e}", r"\u200b", "\u{e0041}", r"\u007f"] {
        let texts = ["\"kind\":\"", "\"title\":\"", "\"media_type\":\"", "\"imports\":[\"", "\"exports\":[\""];
        let changed = texts.iter().map(|text| json.replacen(text, &format!("{text}{evil}"), 1));
        let member = json.replacen('{', &format!("{{\"{evil}member\":1,"), 1);
        for payload in changed.chain([member]) {
            assert_ne!(payload, json);
            let error = SignedManifest::verify(general(&payload).as_bytes()).expect_err("refused").to_string();
            assert!(error.contains("control, direction or invisible"), "{error}");
            assert!(!error.chars().any(portcullis_protocol::text::disturbs), "{error:?}");
        }
    }
    // A description has lines; its other characters are those of any text.
    let described = |text: &str| {
        let mut changed = manifest(&publisher);
        changed.description = text.into();
        SignedManifest::sign(changed, &publisher)
    };
    assert!(described("two\nlines").is_ok());
    assert!(described("two\r\nlines").is_err());
    // Any other document, by any key, says no more than that.
    let payload = r#"{"\u001b[2J":1}"#;
    let typ = <portcullis_protocol::Offer as portcullis_protocol::Document>::TYP;
    let header = format!(r#"{{"alg":"EdDSA","kid":"{}","typ":"{typ}"}}"#, publisher.public().thumbprint());
    let input = format!("{}.{}", base64url(header.as_bytes()), base64url(payload.as_bytes()));
    let compact = format!("{input}.{}", publisher.sign(input.as_bytes()));
    let unverified = portcullis_protocol::Unverified::<portcullis_protocol::Offer>::parse(&compact).expect("a JWS");
    let error = unverified.verify(publisher.public()).expect_err("refused").to_string();
    assert!(error.contains("U+001B") && !error.contains('\u{1b}'), "{error:?}");
}

#[test]
fn media_types_have_their_form() {
    for (text, valid) in [
        ("image/jpeg", true),
        ("application/vnd.lumen+json", true),
        ("text/plain; charset=utf-8", true),
        ("text", false),
        ("/jpeg", false),
        ("image/", false),
        ("image/jp eg", false),
        ("image/jpég", false),
        ("", false),
    ] {
        let mut changed = manifest(&key(7));
        changed.parts[1].media_type = text.into();
        assert_eq!(changed.check().is_ok(), valid, "{text}");
    }
}

/// As many versions as a resource has are adopted by one document, which fits where it is sent and kept.
#[test]
fn an_adoption_of_every_version_is_a_document_and_fits_into_a_request() {
    let digest = |number: usize| Digest::of(&number.to_be_bytes());
    let longest = "x".repeat(MAX_NAME);
    let adoption = |count: usize| Adoption {
        publisher: longest.parse().expect("name"),
        name: longest.parse().expect("name"),
        jwk: key(7).public().clone(),
        versions: AdoptedVersions::new((0..count).map(digest)).expect("not too many"),
        iat: u64::from(u32::MAX),
    };
    let all = adoption(MAX_VERSIONS);
    let compact = Verified::sign(all.clone(), &key(7)).compact().to_owned();
    assert!(compact.len() < 62_500, "{}", compact.len());
    let request = serde_json::to_vec(&AdoptionRequest { adoption: compact.clone() }).expect("json");
    assert!(request.len() <= MAX_REQUEST_BODY, "{}", request.len());
    let read = Unverified::<Adoption>::parse(&compact).expect("bounded").verify(key(7).public()).expect("signed");
    assert_eq!(*read.document(), all);
    for number in 0..MAX_VERSIONS {
        assert!(all.names(&all.publisher, &all.name, &digest(number)));
    }
    assert!(!all.names(&all.publisher, &all.name, &digest(MAX_VERSIONS)));
    let other = "other".parse().expect("name");
    assert!(!all.names(&other, &all.name, &digest(0)), "another publisher's");
    let other = "other".parse().expect("name");
    assert!(!all.names(&all.publisher, &other, &digest(0)), "of another resource");
    assert_eq!(AdoptedVersions::new((0..=MAX_VERSIONS).map(digest)), Err(AdoptionError::TooMany));
    // In whatever order, and however often: once each, in ascending order.
    assert_eq!(AdoptedVersions::new([digest(2), digest(1), digest(2)]), AdoptedVersions::new([digest(1), digest(2)]));
    // One that is signed in another order, or twice, is none.
    let mut pair = [digest(1), digest(2)];
    pair.sort_unstable();
    let [low, high] = pair;
    assert!(AdoptedVersions::try_from(vec![low, high]).is_ok(), "the control");
    for bad in [vec![high, low], vec![low, low]] {
        assert_eq!(AdoptedVersions::try_from(bad.clone()), Err(AdoptionError::Order));
        let versions = serde_json::to_string(&bad).expect("json");
        assert!(serde_json::from_str::<AdoptedVersions>(&versions).is_err());
    }
}
