//! Measures what the `age` crate takes to open files as large as the parts of `docs/performance.md`. The whole file is
//! in memory, and its key is unwrapped with the rest.

#![forbid(unsafe_code)]

use anyhow::{Result, ensure};
use portcullis_compare_row::row;
use std::io::Read as _;
use std::iter;

/// Bytes of a part, with its row.
const PARTS: [(usize, &str); 5] = [
    (1 << 10, "P5 1 KiB"),
    (32 << 10, "P5 32 KiB"),
    (1 << 20, "P5 1 MiB"),
    (10 << 20, "P5 10 MiB"),
    (100 << 20, "P5"),
];

fn main() -> Result<()> {
    let identity = age::x25519::Identity::generate();
    for (size, id) in PARTS {
        let plain: Vec<u8> = (0..size).map(|n| (n * 31) as u8).collect();
        let file = age::encrypt(&identity.to_public(), &plain)?;
        let mut opened = vec![0; size];
        row(id, "age: open a file", || {
            let reader = age::Decryptor::new(&file[..])?;
            reader.decrypt(iter::once(&identity as &dyn age::Identity))?.read_exact(&mut opened)?;
            ensure!(opened.last() == plain.last(), "age gave something else");
            Ok(())
        })?;
        ensure!(opened == plain, "age did not give every byte");
    }
    Ok(())
}
