//! Covers: a public part that a browser may show as a picture, and nothing else.
//!
//! What a publisher declares public is public in effect, since a free operation opens it; so the store may open it
//! too. It is whatever bytes the publisher sealed, and browsers read it in the store's own origin: only pictures whose
//! bytes are what their type says are served, bounded in bytes and in points, under headers that make a document of
//! none of them. SVG is not among them: it can hold scripts and links.

use super::picture;
use crate::http::app::Server;
use crate::http::problem::ApiError;
use crate::store::CoverPart;
use bytes::Bytes;
use hashlink::LruCache;
use parking_lot::Mutex;
use portcullis_protocol::sealed::Sealed;
use portcullis_protocol::{Digest, Manifest, PartEntry, PartKind};
use std::io::Read as _;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of a cover: what a page of twenty loads in a few seconds on a phone.
const MAX_BYTES: u64 = 2 * 1024 * 1024;
/// Points of its longer side: more than any screen has.
const MAX_SIDE: usize = 8_192;
/// Points in all. A browser unpacks each to four bytes: 16 MiB for a cover, and what a page of twenty takes a phone
/// has. Of few bytes a picture can be made that has sixteen times as many.
const MAX_POINTS: usize = 4 * 1024 * 1024;
/// Covers that are opened at once. Each is read whole, and whoever asks for many waits.
const OPENING: usize = 4;
/// Bytes of covers that a process keeps. Those that nobody has asked for longest go first.
const KEPT: usize = 32 * 1024 * 1024;
/// Media types that are shown. Browsers run nothing of them.
const TYPES: [&str; 5] = ["image/avif", "image/gif", "image/jpeg", "image/png", "image/webp"];
/// The name by which a publisher says which of several it is.
const NAME: &str = "cover";

/// The part that stands for a version: the one that is called `cover`, or the first that can.
pub(crate) fn of(manifest: &Manifest) -> Option<&PartEntry> {
    let can = |part: &&PartEntry| {
        part.public
            && part.kind == PartKind::Asset
            && (1..=MAX_BYTES).contains(&part.size)
            && TYPES.contains(&part.media_type.as_str())
    };
    let named = manifest.parts.iter().filter(can).find(|part| part.name.as_str() == NAME);
    named.or_else(|| manifest.parts.iter().find(can))
}

/// A picture that is what it says.
#[derive(Debug, Clone)]
pub(crate) struct Cover {
    /// Its media type, by its bytes.
    pub(crate) media_type: &'static str,
    /// It.
    pub(crate) bytes: Bytes,
}

/// Covers that were opened.
#[derive(Debug)]
pub(crate) struct Covers {
    kept: Mutex<Kept>,
    /// Who may open one.
    opening: Arc<Semaphore>,
}

#[derive(Debug)]
struct Kept {
    covers: LruCache<Digest, Cover>,
    bytes: usize,
}

impl Default for Covers {
    fn default() -> Self {
        let kept = Mutex::new(Kept { covers: LruCache::new_unbounded(), bytes: 0 });
        Self { kept, opening: Arc::new(Semaphore::new(OPENING)) }
    }
}

impl Covers {
    /// One that was opened before.
    pub(crate) fn kept(&self, resource: &Digest) -> Option<Cover> {
        self.kept.lock().covers.get(resource).cloned()
    }

    /// The right to open one, once few enough others are. It is given back when it is dropped.
    pub(crate) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.opening).acquire_owned().await.ok()
    }

    fn keep(&self, resource: Digest, cover: &Cover) {
        let mut kept = self.kept.lock();
        let before = kept.covers.insert(resource, cover.clone()).map_or(0, |before| before.bytes.len());
        kept.bytes = kept.bytes.saturating_add(cover.bytes.len()).saturating_sub(before);
        while kept.bytes > KEPT
            && let Some((_, last)) = kept.covers.remove_lru()
        {
            kept.bytes = kept.bytes.saturating_sub(last.bytes.len());
        }
    }
}

/// Opens the cover of a version and checks what it is. Reads the file.
///
/// # Errors
/// [`ApiError::NotFound`] if it is no picture of its type, or too large to be shown.
pub(crate) fn open(app: &Server, resource: &Digest, cover: &CoverPart) -> Result<Cover, ApiError> {
    let key = app.core.secrets.unwrap_file_key(resource, &cover.part.name, &cover.key).map_err(ApiError::internal)?;
    let file = app.core.objects.reader(resource).map_err(ApiError::internal)?;
    let sealed = Sealed::open(file).map_err(ApiError::internal)?;
    let reader = sealed.part(&cover.part.name, &key).map_err(ApiError::internal)?;
    let mut bytes = Vec::with_capacity(usize::try_from(cover.part.size.min(MAX_BYTES)).unwrap_or(0));
    reader.take(MAX_BYTES).read_to_end(&mut bytes).map_err(ApiError::internal)?;
    let media_type = picture(&bytes).filter(|found| *found == cover.part.media_type).ok_or(ApiError::NotFound)?;
    let cover = Cover { media_type, bytes: bytes.into() };
    app.covers.keep(*resource, &cover);
    Ok(cover)
}

/// The media type of a picture by its bytes, if it is of a type that is shown and not too large for a browser.
fn picture(bytes: &[u8]) -> Option<&'static str> {
    let (media_type, size) = picture::read(bytes)?;
    let (side, points) = (size.width.max(size.height), size.width.checked_mul(size.height)?);
    ((1..=MAX_SIDE).contains(&side) && (1..=MAX_POINTS).contains(&points)).then_some(media_type)
}

#[cfg(test)]
mod tests {
    use super::{Cover, Covers, KEPT, picture};
    use portcullis_protocol::Digest;

    /// A PNG's head, of so many points.
    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        bytes.extend(width.to_be_bytes());
        bytes.extend(height.to_be_bytes());
        bytes.extend([8, 2, 0, 0, 0, 0, 0, 0, 0]);
        bytes
    }

    #[test]
    fn only_pictures_are_covers() {
        assert_eq!(picture(&png(640, 480)), Some("image/png"));
        let gif = b"GIF89a\x10\0\x10\0\0\0\0,\0\0\0\0\x10\0\x10\0\0\x02\x02D\x01\0;";
        assert_eq!(picture(gif), Some("image/gif"));
        assert_eq!(picture(&png(60_000, 60_000)), None, "too many points to unpack");
        assert_eq!(picture(&png(8_192, 8_192)), None, "256 MiB in a browser");
        assert_eq!(picture(&png(2_048, 2_049)), None);
        assert_eq!(picture(&png(2_048, 2_048)), Some("image/png"), "the control");
        assert_eq!(picture(&png(8_192, 512)), Some("image/png"), "the control: a panorama");
        assert_eq!(picture(&png(0, 0)), None);
        for other in [
            &b"<!doctype html><script>alert(1)</script>"[..],
            b"<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>",
            b"\0asm\r\0\x01\0",
            b"%PDF-1.7",
            b"",
            b"\x89PNG",
        ] {
            assert_eq!(picture(other), None);
        }
    }

    #[test]
    fn no_more_is_kept_than_is_said() {
        let covers = Covers::default();
        let cover = Cover { media_type: "image/png", bytes: vec![0; 1024 * 1024].into() };
        for number in 0..64_u8 {
            covers.keep(Digest::of(&[number]), &cover);
        }
        let kept = covers.kept.lock();
        assert_eq!((kept.bytes, kept.covers.len()), (KEPT, 32));
    }
}
