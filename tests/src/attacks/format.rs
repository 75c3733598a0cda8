//! Attacks on the bytes of a sealed file. Each changes a file that is sound, and has the real runtime load, check,
//! decrypt and run it with a gatekeeper that grants everything: only the format stands in the way.

use super::specimen::run;
use super::surgery::{MANIFEST, Pieces, overlong, section, section_with, shortest, sign_as};
use super::{Arena, Outcome, Trial, attacks};
use anyhow::{Context as _, Result};
use portcullis_fixtures::{part, rng};
use portcullis_protocol::SecretKey;
use portcullis_protocol::age::{self, CHUNK_LEN, PayloadNonce, TAG_LEN};
use portcullis_protocol::sealed::Sealed;

attacks! {
    "re-signed-manifest" => re_signed_manifest,
    "part-swapped-between-packages" => part_swapped_between_packages,
    "chunks-reordered" => chunks_reordered,
    "block-forged-with-a-known-key" => block_forged_with_a_known_key,
    "part-truncated" => part_truncated,
    "trailing-bytes" => trailing_bytes,
    "second-manifest" => second_manifest,
    "overlong-lengths" => overlong_lengths,
}

/// What the honest call gives.
const FIVE: Option<u32> = Some(5);

/// Moves the paid asset into the free operation, and signs that with a key of the thief's.
async fn re_signed_manifest(arena: &mut Arena) -> Result<Outcome> {
    let specimen = arena.specimen()?;
    let sealed = Sealed::open(specimen.file.clone())?;
    let mut cheap = sealed.manifest().clone();
    let preview = cheap.operations.iter_mut().find(|operation| operation.name.as_str() == "preview");
    preview.context("a free operation")?.parts.push(part("full"));
    let with = |manifest: Vec<u8>| -> Result<Vec<u8>> {
        let mut pieces = Pieces::of(&specimen.file)?;
        *pieces.data(MANIFEST)? = manifest;
        Ok(pieces.file())
    };
    let thief = SecretKey::generate(&mut rng());
    let mut trial = Trial::new();
    let forged = with(sign_as(&cheap, &thief)?)?;
    trial.attack("in the publisher's name", "signature", run(specimen, &forged).await);

    // With a key of his own the thief may sign what he likes; but the parts belong to the publisher's key.
    cheap.publisher.jwk = thief.public().clone();
    let own = with(sign_as(&cheap, &thief)?)?;
    trial.attack("in his own name", "lifted from elsewhere", run(specimen, &own).await);

    let same = with(sign_as(sealed.manifest(), &specimen.publisher)?)?;
    trial.control("signed again by its publisher with the same tool, it runs", run(specimen, &same).await.ok() == FIVE);
    Ok(trial.finish())
}

/// Puts the parts of one package into another: same publisher, same sizes.
async fn part_swapped_between_packages(arena: &mut Arena) -> Result<Outcome> {
    let specimen = arena.specimen()?;
    let other = super::specimen::specimen()?;
    let sections = ["portcullis:blocks/main", "portcullis:part/main"];
    let swapped = |from: &[u8], sections: &[&str]| -> Result<Vec<u8>> {
        let (mut pieces, mut donor) = (Pieces::of(&specimen.file)?, Pieces::of(from)?);
        for name in sections {
            pieces.data(name)?.clone_from(donor.data(name)?);
        }
        Ok(pieces.file())
    };
    let mut trial = Trial::new();
    let both = swapped(&other.file, &sections)?;
    trial.attack("the part with its block list", "block list of part", run(specimen, &both).await);
    let part_alone = swapped(&other.file, &sections[1..])?;
    trial.attack("the part alone", "damaged, moved or forged", run(specimen, &part_alone).await);
    let own = swapped(&specimen.file, &sections)?;
    trial.control("its own part, put in with the same tool, runs", run(specimen, &own).await.ok() == FIVE);
    Ok(trial.finish())
}

/// Swaps two chunks of the asset's ciphertext, and two whole blocks with their digests.
async fn chunks_reordered(arena: &mut Arena) -> Result<Outcome> {
    const SEALED: usize = CHUNK_LEN + TAG_LEN;
    let specimen = arena.specimen()?;
    let swap_chunks = |file: &[u8]| -> Result<Vec<u8>> {
        let mut pieces = Pieces::of(file)?;
        let (payload, data) = pieces.payload("full")?;
        let (first, second) = data[payload.start + age::NONCE_LEN..].split_at_mut(SEALED);
        first.swap_with_slice(&mut second[..SEALED]);
        Ok(pieces.file())
    };
    let swap_blocks = |file: &[u8]| -> Result<Vec<u8>> {
        const BLOCK: usize = 1024 * 1024;
        let mut pieces = Pieces::of(file)?;
        let (payload, data) = pieces.payload("full")?;
        let (first, second) = data[payload.start..].split_at_mut(BLOCK);
        first.swap_with_slice(&mut second[..BLOCK]);
        let list = pieces.data("portcullis:blocks/full")?;
        let (first, second) = list.split_at_mut(32);
        first.swap_with_slice(&mut second[..32]);
        Ok(pieces.file())
    };
    let mut trial = Trial::new();
    let chunks = swap_chunks(&specimen.file)?;
    trial.attack("two chunks", "damaged, moved or forged", run(specimen, &chunks).await);
    let blocks = swap_blocks(&specimen.file)?;
    trial.attack("two blocks with their digests", "block list of part", run(specimen, &blocks).await);
    let back = swap_chunks(&swap_blocks(&swap_blocks(&swap_chunks(&specimen.file)?)?)?)?;
    trial.control("everything swapped back with the same tools, it runs", run(specimen, &back).await.ok() == FIVE);
    trial.control("unswapped, it runs", run(specimen, &specimen.file).await.ok() == FIVE);
    Ok(trial.finish())
}

/// Whoever paid knows the part's key, and makes another ciphertext with it that any age tool opens.
async fn block_forged_with_a_known_key(arena: &mut Arena) -> Result<Outcome> {
    let specimen = arena.specimen()?;
    let key = specimen.keys.get(&part("main")).context("the key that was paid for")?;
    let mut pieces = Pieces::of(&specimen.file)?;
    let (payload, data) = pieces.payload("main")?;
    let nonce: [u8; age::NONCE_LEN] = data[payload.start..payload.start + age::NONCE_LEN].try_into()?;
    let mut plain = age::open_payload(key, &data[payload.clone()])?;
    let at = plain.windows(9).position(|bytes| bytes == b"PLAINTEXT").context("the mark of the body")?;
    plain[at..at + 9].copy_from_slice(b"MALICIOUS");
    let forged = age::seal_payload(key, &PayloadNonce::from_bytes(nonce), &plain);
    let opens_as_age = age::open_payload(key, &forged).is_ok_and(|opened| *opened == *plain);
    data.truncate(payload.start);
    data.extend_from_slice(&forged);
    let mut trial = Trial::new();
    let forged = pieces.file();
    trial.attack("another body under the same key", "damaged, moved or forged", run(specimen, &forged).await);
    // Whoever forges the digests as well changes what the publisher committed to.
    let (payload, data) = pieces.payload("main")?;
    let digests: Vec<u8> =
        data[payload].chunks(1024 * 1024).flat_map(|block| *blake3::hash(block).as_bytes()).collect();
    *pieces.data("portcullis:blocks/main")? = digests;
    trial.attack("with its digests", "block list of part", run(specimen, &pieces.file()).await);
    trial.control("with age alone the forgery opens", opens_as_age);
    trial.control("the publisher's own body runs", run(specimen, &specimen.file).await.ok() == FIVE);
    Ok(trial.finish())
}

/// Cuts the file short, with and without setting the lengths right; and cuts a part at a chunk's end.
async fn part_truncated(arena: &mut Arena) -> Result<Outcome> {
    let specimen = arena.specimen()?;
    let mut trial = Trial::new();
    for cut in [1, 16, CHUNK_LEN] {
        let file = &specimen.file[..specimen.file.len() - cut];
        trial.attack(&format!("{cut} bytes fewer"), "cut short", run(specimen, file).await);
    }
    let mut pieces = Pieces::of(&specimen.file)?;
    let (payload, data) = pieces.payload("full")?;
    data.truncate(payload.start + age::NONCE_LEN + 4 * (CHUNK_LEN + TAG_LEN));
    trial.attack(
        "four chunks left of it, lengths set right",
        "length differs from the manifest",
        run(specimen, &pieces.file()).await,
    );
    let mut pieces = Pieces::of(&specimen.file)?;
    pieces.sections.truncate(pieces.sections.len() - 2);
    trial.attack("the last part left out", "cut short", run(specimen, &pieces.file()).await);
    let whole = Pieces::of(&specimen.file)?.file();
    trial.control("taken apart and put together, it runs", run(specimen, &whole).await.ok() == FIVE);
    Ok(trial.finish())
}

/// Hides bytes behind the last part.
async fn trailing_bytes(arena: &mut Arena) -> Result<Outcome> {
    let specimen = arena.specimen()?;
    let appended = |bytes: &[u8]| [&specimen.file[..], bytes].concat();
    let mut trial = Trial::new();
    trial.attack("one byte", "bytes follow after the last part", run(specimen, &appended(&[0])).await);
    let hidden = section("innocent", b"a payload for somebody else");
    trial.attack("a custom section", "bytes follow after the last part", run(specimen, &appended(&hidden)).await);
    let part_again = section("portcullis:part/extra", b"age-encryption.org/v1\n");
    trial.attack(
        "a part that nobody signed",
        "bytes follow after the last part",
        run(specimen, &appended(&part_again)).await,
    );
    trial.control("nothing appended, it runs", run(specimen, &appended(&[])).await.ok() == FIVE);
    Ok(trial.finish())
}

/// Adds a manifest of the thief's, before or after the publisher's, hoping that two readers choose differently.
async fn second_manifest(arena: &mut Arena) -> Result<Outcome> {
    let specimen = arena.specimen()?;
    let thief = SecretKey::generate(&mut rng());
    let mut own = Sealed::open(specimen.file.clone())?.manifest().clone();
    own.publisher.jwk = thief.public().clone();
    let own = sign_as(&own, &thief)?;
    let with = |at: usize| -> Result<Vec<u8>> {
        let mut pieces = Pieces::of(&specimen.file)?;
        pieces.sections.insert(at.min(pieces.sections.len()), (MANIFEST.to_owned(), own.clone()));
        Ok(pieces.file())
    };
    let mut trial = Trial::new();
    trial.attack("before the publisher's", "is expected here", run(specimen, &with(0)?).await);
    trial.attack("after the publisher's", "is expected here", run(specimen, &with(1)?).await);
    trial.attack("at the end", "bytes follow after the last part", run(specimen, &with(usize::MAX)?).await);
    let one = Pieces::of(&specimen.file)?.file();
    trial.control("with one manifest, written by the same tool, it runs", run(specimen, &one).await.ok() == FIVE);
    Ok(trial.finish())
}

/// Writes lengths with more bytes than they need, or larger than the file, so that two readers see two files.
async fn overlong_lengths(arena: &mut Arena) -> Result<Outcome> {
    let specimen = arena.specimen()?;
    let pieces = Pieces::of(&specimen.file)?;
    let spelt = |spell: &dyn Fn(usize) -> Vec<u8>| -> Vec<u8> {
        let mut file = pieces.stub.clone();
        for (name, data) in &pieces.sections {
            file.extend(if name == MANIFEST { section_with(name, data, spell) } else { section(name, data) });
        }
        file
    };
    let mut trial = Trial::new();
    trial.attack("five bytes for a length", "not in its shortest form", run(specimen, &spelt(&overlong)).await);
    let huge = |_| vec![0xff, 0xff, 0xff, 0xff, 0x0f];
    trial.attack("4 GiB where there are a few", "cut short", run(specimen, &spelt(&huge)).await);
    let larger = |_| vec![0xff, 0xff, 0xff, 0xff, 0x7f];
    trial.attack("more than 32 bits", "larger than 32 bits", run(specimen, &spelt(&larger)).await);
    let honest = spelt(&|size| shortest(size));
    trial.control("in the shortest form, written by the same tool, it runs", run(specimen, &honest).await.ok() == FIVE);
    Ok(trial.finish())
}
