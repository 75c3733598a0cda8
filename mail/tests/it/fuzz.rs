//! The corpus of the fuzz targets, replayed as it is and changed. What a fuzzer finds is added to it, so that it stays
//! found.

use portcullis_mail::fuzzing::TARGETS;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often each seed is changed. A real search is `cargo xtask fuzz NAME`.
const CHANGES: u64 = 300;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect()
}

/// Numbers that are the same at each run (xorshift64*).
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).expect("31 bits") % most.max(1)
    }
}

/// What parsers have stumbled over.
const PIECES: [&[u8]; 12] = [
    b"\0",
    b"\xff\xfe",
    b"\r\n\r\n",
    b"{18446744073709551616}",
    b"<![CDATA[",
    b"&#1114112;",
    b"\xe2\x80\xae",
    b"99999999999999999999",
    b"-0",
    b"--b--",
    b"=?utf-8?b?",
    b"\"",
];

fn changed(seed: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=chance.below(4) {
        let at = chance.below(bytes.len() + 1);
        match chance.below(5) {
            0 => bytes.truncate(at),
            1 => bytes.splice(at..at, PIECES[chance.below(PIECES.len())].iter().copied()).for_each(drop),
            2 => {
                let end = (at + chance.below(40)).min(bytes.len());
                bytes.drain(at..end);
            }
            3 => {
                let end = (at + chance.below(40)).min(bytes.len());
                let copy = bytes[at..end].repeat(1 + chance.below(20));
                bytes.splice(at..at, copy).for_each(drop);
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = u8::try_from(chance.below(256)).expect("a byte");
                }
            }
        }
    }
    bytes
}

#[test]
fn every_parser_has_a_target_and_a_corpus() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&folder().join("fuzz_targets")), targets);
    assert_eq!(names(&folder().join("corpus")), targets);
    for name in &targets {
        assert!(!names(&folder().join("corpus").join(name)).is_empty(), "{name}");
    }
}

/// The targets are compiled by `cargo xtask fuzz` alone, so they are held to the one form that it was tried with.
#[test]
fn every_target_has_the_form_that_compiles() {
    let manifest = fs::read_to_string(folder().join("Cargo.toml")).expect("a manifest");
    for (name, _) in TARGETS {
        let text = fs::read_to_string(folder().join("fuzz_targets").join(name).with_extension("rs")).expect("a target");
        assert_eq!(text, include_str!("../../fuzz/fuzz_targets/mail.rs").replace("\"mail\"", &format!("\"{name}\"")));
        assert!(manifest.contains(&format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"")), "{name}");
    }
}

#[test]
fn no_parser_fails_over_its_corpus_or_over_what_resembles_it() {
    let mut chance = Chance(2026);
    for (name, parse) in TARGETS {
        let corpus = folder().join("corpus").join(name);
        for entry in fs::read_dir(&corpus).expect("a corpus") {
            let path = entry.expect("an entry").path();
            let seed = fs::read(&path).expect("a seed");
            parse(&seed);
            // A document's reader may fail: that is why it is a process of its own (`pdf.rs`).
            let changes = if name == "pdf" { 0 } else { CHANGES };
            for _ in 0..changes {
                let bytes = changed(&seed, &mut chance);
                let begun = Instant::now();
                parse(&bytes);
                assert!(begun.elapsed() < Duration::from_secs(10), "{name}: {}", String::from_utf8_lossy(&bytes));
            }
        }
    }
}
