//! The process that reads a document: `portcullis-mail read-pdf`. It takes the document from standard input, gives
//! every other resource away, and says what it found.

use super::PdfContents;
use crate::limits::{MAX_PDF, MAX_PDF_FILES, MAX_TEXT, MAX_XML};
use pdf_extract::{Dictionary, Document, Object};
use std::io::{self, Read as _, Write as _};

/// Bytes of address space. A document of twenty pages with its fonts takes 60 MiB, the program itself 80.
#[cfg(unix)]
const MAX_ADDRESS_SPACE: u64 = 512 * 1024 * 1024;
/// Seconds of computing. A document of twenty pages takes 0.3.
#[cfg(unix)]
const MAX_SECONDS: u64 = 5;
/// Trees of names inside each other. Writers make two or three.
const MAX_DEPTH: usize = 8;

/// Reads a document from standard input and writes what is in it to standard output.
///
/// # Errors
/// If it is no document that can be read. Beyond its limits the process is ended by the system.
pub fn read_pdf() -> io::Result<()> {
    give_away()?;
    let mut bytes = Vec::new();
    io::stdin().lock().take(MAX_PDF as u64).read_to_end(&mut bytes)?;
    let contents = contents(&bytes).ok_or(io::ErrorKind::InvalidData)?;
    let mut output = io::stdout().lock();
    serde_json::to_writer(&mut output, &contents)?;
    output.flush()
}

/// What is given away cannot be taken back, whatever the document makes of this process: memory, time, files, and
/// processes and threads beside it.
#[cfg(unix)]
fn give_away() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let limits = [
        (Resource::As, MAX_ADDRESS_SPACE),
        (Resource::Cpu, MAX_SECONDS),
        (Resource::Fsize, 0),
        (Resource::Core, 0),
        // The standard streams are open already.
        (Resource::Nofile, 3),
        #[cfg(target_os = "linux")]
        (Resource::Nproc, 0),
    ];
    for (resource, most) in limits {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    Ok(())
}

/// Elsewhere the timeout of whoever started it has to do.
#[cfg(not(unix))]
fn give_away() -> io::Result<()> {
    Ok(())
}

/// `None` if it cannot be read, or is locked by a password.
pub(super) fn contents(bytes: &[u8]) -> Option<PdfContents> {
    let document = Document::load_mem(bytes).ok().filter(|document| !document.is_encrypted())?;
    let files = files(&document);
    // A document without text, such as a scan, may have an invoice inside all the same.
    let mut text = pdf_extract::extract_text_from_mem(bytes).unwrap_or_default();
    text.truncate(text.floor_char_boundary(MAX_TEXT));
    Some(PdfContents { text, files })
}

/// The XML files that the document carries (ISO 32000-2 section 7.11.4).
fn files(document: &Document) -> Vec<String> {
    let mut found = Vec::new();
    let Ok(catalog) = document.catalog() else { return found };
    let tree = dictionary(document, catalog.get(b"Names").ok())
        .and_then(|names| dictionary(document, names.get(b"EmbeddedFiles").ok()));
    if let Some(tree) = tree {
        collect(document, tree, 0, &mut found);
    }
    found
}

fn collect(document: &Document, tree: &Dictionary, depth: usize, found: &mut Vec<String>) {
    let array = |key: &[u8]| tree.get(key).ok().and_then(|object| resolved(document, object)?.as_array().ok());
    for pair in array(b"Names").map_or(&[][..], Vec::as_slice).chunks_exact(2) {
        if found.len() >= MAX_PDF_FILES {
            return;
        }
        found.extend(dictionary(document, pair.get(1)).and_then(|file| xml(document, file)));
    }
    if depth < MAX_DEPTH {
        for kid in array(b"Kids").map_or(&[][..], Vec::as_slice).iter().take(MAX_PDF_FILES) {
            if let Some(kid) = dictionary(document, Some(kid)) {
                collect(document, kid, depth + 1, found);
            }
        }
    }
}

fn xml(document: &Document, file: &Dictionary) -> Option<String> {
    let name = file.get(b"F").or_else(|_| file.get(b"UF")).ok()?;
    let name = resolved(document, name)?.as_str().ok()?;
    let embedded = dictionary(document, file.get(b"EF").ok())?;
    let stream = resolved(document, embedded.get(b"F").ok()?)?.as_stream().ok()?;
    // In UTF-16 every second byte is zero.
    let name: Vec<u8> = name.iter().copied().filter(|byte| *byte != 0).collect();
    if !name.to_ascii_lowercase().ends_with(b".xml") {
        return None;
    }
    let bytes = stream.decompressed_content().unwrap_or_else(|_| stream.content.clone());
    String::from_utf8(bytes).ok().filter(|text| text.len() <= MAX_XML)
}

fn dictionary<'d>(document: &'d Document, object: Option<&'d Object>) -> Option<&'d Dictionary> {
    resolved(document, object?)?.as_dict().ok()
}

fn resolved<'d>(document: &'d Document, object: &'d Object) -> Option<&'d Object> {
    document.dereference(object).ok().map(|(_, object)| object)
}
