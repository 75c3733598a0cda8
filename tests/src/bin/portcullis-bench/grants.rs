//! P12: what verifying a grant costs beside the one signature it has.

use crate::Bench;
use crate::resource::OPERATION;
use anyhow::{Context as _, Result, ensure};
use ed25519_dalek::{Signature, VerifyingKey};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use portcullis_load::duel::duel;
use portcullis_load::row::{Row, Targets};
use portcullis_protocol::encoding::{Octets, base64url};
use portcullis_protocol::{Grant, SecretKey, Unverified, Verified};
use std::hint::black_box;

/// P12.
pub(crate) fn verify(bench: &Bench) -> Result<Vec<Row>> {
    let authorised = bench.tokio.block_on(bench.specimen.load(None, None)?.authorize(OPERATION))?;
    let key = SecretKey::from_seed(&[7; 32]);
    let signed = Verified::sign(authorised.grant().document().clone(), &key);
    let (text, document, public) = (signed.compact(), signed.document(), key.public());

    let mut ours = |repetitions| {
        for _ in 0..repetitions {
            let verified = Unverified::<Grant>::parse(black_box(text))?.verify(black_box(public))?;
            ensure!(verified.document() == document, "another grant");
        }
        Ok(())
    };

    let (input, signature) = text.rsplit_once('.').context("no signature")?;
    let signature: Octets<64> = signature.parse()?;
    let (parsed, signature) = (VerifyingKey::from_bytes(&public.to_bytes())?, Signature::from_bytes(&signature.0));
    let mut floor = |repetitions| {
        for _ in 0..repetitions {
            black_box(&parsed).verify_strict(black_box(input.as_bytes()), &signature)?;
        }
        Ok(())
    };

    let decoding = DecodingKey::from_ed_components(&base64url(&public.to_bytes()))?;
    let mut validation = Validation::new(Algorithm::EdDSA);
    // The end of a grant is the gate's business, in both.
    validation.validate_exp = false;
    validation.required_spec_claims.clear();
    let mut jwt = |repetitions| {
        for _ in 0..repetitions {
            let token = jsonwebtoken::decode::<Grant>(black_box(text), &decoding, &validation)?;
            ensure!(token.claims == *document, "another grant");
        }
        Ok(())
    };

    let [taken, least, token] = duel(bench.pace, [&mut ours, &mut floor, &mut jwt])?;
    let targets = |other| Targets { bare: Some(1.15), other: Some(other), ..Targets::default() };
    let row = |id, what, other| Row::new(id, what, &taken, &least, targets(other));
    let mut rows = vec![
        row("P12", "verify a grant: the signature, then the document", 0.9)
            .against("the jsonwebtoken crate", Some(token.p10())),
    ];
    let biscuit = bench.others.get("P12 biscuit");
    if biscuit.is_some() {
        rows.push(
            row("P12 biscuit", "the same beside a Biscuit with its authority block", 0.5).against("Biscuit", biscuit),
        );
    }
    Ok(rows)
}
