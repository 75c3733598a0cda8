//! P9: what sealing costs beside the cipher and the digest in one pass over the same bytes.

use crate::Bench;
use crate::parts::{content, key, nonce};
use crate::resource::Asset;
use anyhow::{Result, anyhow, ensure};
use aws_lc_rs::aead::Aad;
use portcullis_load::duel::duel;
use portcullis_load::row::{Row, Targets};
use portcullis_protocol::sealed::Sealed;
use std::hint::black_box;
use std::io::Cursor;

const CHUNK: usize = 64 * 1024;

/// P9.
pub(crate) fn seal(bench: &Bench) -> Result<Vec<Row>> {
    let size = if bench.quick { 2 * CHUNK } else { 100 << 20 };
    let plain = content(size);
    let asset = Asset::new()?;
    let mut file = Vec::new();
    let mut ours = |repetitions| {
        for _ in 0..repetitions {
            file.clear();
            let mut out = Cursor::new(std::mem::take(&mut file));
            asset.seal(&plain, &mut out)?;
            file = out.into_inner();
            ensure!(file.len() > size, "something is missing");
        }
        Ok(())
    };
    let key = key()?;
    let mut least = Vec::new();
    let mut bare = |repetitions| {
        for _ in 0..repetitions {
            least.clear();
            let mut digest = blake3::Hasher::new();
            for (index, chunk) in plain.chunks(CHUNK).enumerate() {
                let start = least.len();
                least.extend_from_slice(chunk);
                let tag = key
                    .seal_in_place_separate_tag(nonce(index), Aad::empty(), &mut least[start..])
                    .map_err(|_| anyhow!("the cipher failed"))?;
                least.extend_from_slice(tag.as_ref());
                digest.update(&least[start..]);
            }
            black_box(digest.finalize());
        }
        Ok(())
    };
    let [taken, lower] = duel(bench.pace, [&mut ours, &mut bare])?;
    let sealed = Sealed::open(file)?;
    let part = Asset::part()?;
    let mut opened = vec![0; size];
    sealed.part(&part, &sealed.unwrap_key(&part, [asset.identity()])?)?.read_at(0, &mut opened)?;
    ensure!(opened == plain, "what was sealed is something else");
    let targets = Targets { bare: Some(1.0 / 0.8), ..Targets::default() };
    Ok(vec![Row::new("P9", "seal 100 MiB, beside cipher and digest in one pass on one core", &taken, &lower, targets)])
}
