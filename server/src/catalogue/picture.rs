//! Pictures by their bytes: of what type one is, and how many points a browser unpacks of it.
//!
//! The size has to be the one that browsers read. Of a file that reads in two ways, a browser may take the other one:
//! so the segments of a JPEG and the blocks of a GIF are walked one by one to the end, and what stands between them, or
//! says a second size, is no picture.

use imagesize::ImageType;

/// How large a picture is, in points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) width: usize,
    pub(super) height: usize,
}

/// The media type of a picture that a browser shows, and its size. `None` if it is none.
pub(super) fn read(bytes: &[u8]) -> Option<(&'static str, Size)> {
    let told = || imagesize::blob_size(bytes).ok().map(|size| Size { width: size.width, height: size.height });
    Some(match imagesize::image_type(bytes).ok()? {
        ImageType::Gif => ("image/gif", gif(bytes)?),
        ImageType::Jpeg => ("image/jpeg", jpeg(bytes)?),
        ImageType::Png => ("image/png", told()?),
        ImageType::Webp => ("image/webp", told()?),
        ImageType::Heif(imagesize::Compression::Av1) => ("image/avif", told()?),
        _ => return None,
    })
}

/// What was not read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }
}

/// The size that the one frame of a JPEG says (ITU T.81, B.2). Fill bytes before a marker, which readers skip or not,
/// are refused, as is a number of lines that comes after them. A file may end within the picture: it is shown as far
/// as it goes.
fn jpeg(bytes: &[u8]) -> Option<Size> {
    let (mut rest, mut size) = (Rest(bytes), None);
    if rest.array()? != [0xff, 0xd8] {
        return None;
    }
    while !rest.0.is_empty() {
        let [0xff, marker] = rest.array()? else { return None };
        match marker {
            // The end: what follows is not read.
            0xd9 => break,
            // Markers without a segment have no place here; a number of lines, and frames of several sizes, neither.
            0x00..=0x01 | 0xd0..=0xd8 | 0xdc | 0xde..=0xdf | 0xff => return None,
            _ => {}
        }
        let length = usize::from(u16::from_be_bytes(rest.array()?));
        let segment = rest.take(length.checked_sub(2)?)?;
        match marker {
            // Tables and a mark of arithmetic coding lie among the frames' numbers.
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                let &[_, h, height, w, width, ..] = segment else { return None };
                let found = Size {
                    width: u16::from_be_bytes([w, width]).into(),
                    height: u16::from_be_bytes([h, height]).into(),
                };
                if size.replace(found).is_some() {
                    return None;
                }
            }
            0xda => skip_scan(&mut rest)?,
            _ => {}
        }
    }
    size
}

/// Skips the points of a scan, up to the marker that ends it.
fn skip_scan(rest: &mut Rest<'_>) -> Option<()> {
    loop {
        let Some(marker) = rest.0.iter().position(|byte| *byte == 0xff) else {
            rest.0 = &[];
            return Some(());
        };
        rest.take(marker)?;
        match rest.0.get(1) {
            // A point's byte, or where decoding can begin again.
            Some(0x00 | 0xd0..=0xd7) => rest.take(2)?,
            // The file ends within the marker.
            None => rest.take(1)?,
            Some(_) => return Some(()),
        };
    }
}

/// The size of a GIF's screen, which all its pictures lie in: of one that does not, browsers make the screen larger. A
/// file may end within a picture.
fn gif(bytes: &[u8]) -> Option<Size> {
    let mut rest = Rest(bytes);
    if !matches!(&rest.array::<6>()?, b"GIF87a" | b"GIF89a") {
        return None;
    }
    let word = |low: u8, high: u8| usize::from(u16::from_le_bytes([low, high]));
    let [w, width, h, height, flags, _, _] = rest.array()?;
    let screen = Size { width: word(w, width), height: word(h, height) };
    rest.take(colours(flags))?;
    let mut pictures = 0_usize;
    while let Some(kind) = rest.byte() {
        match kind {
            // An extension, of whatever label.
            0x21 => {
                rest.byte()?;
            }
            0x2c => {
                let [x, left, y, top, w, width, h, height, flags] = rest.array()?;
                let (left, top, width, height) = (word(x, left), word(y, top), word(w, width), word(h, height));
                let fits = left + width <= screen.width && top + height <= screen.height;
                if !fits || width == 0 || height == 0 {
                    return None;
                }
                pictures += 1;
                // Its colours, and the size of a code.
                rest.take(colours(flags) + 1)?;
            }
            // The end.
            0x3b => break,
            _ => return None,
        }
        while let Some(length @ 1..) = rest.byte() {
            if rest.take(length.into()).is_none() {
                rest.0 = &[];
            }
        }
    }
    (pictures > 0).then_some(screen)
}

/// Bytes of a table of colours.
fn colours(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

#[cfg(test)]
mod tests {
    use super::{Size, gif, jpeg, read};

    const FRAME: [u8; 19] = [0xff, 0xc2, 0, 17, 8, 0, 48, 0, 64, 3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0];
    const SCAN: [u8; 16] = [0xff, 0xda, 0, 12, 3, 1, 0, 2, 0, 3, 0, 0, 63, 0, 0xaa, 0xbb];

    fn joined(parts: &[&[u8]]) -> Vec<u8> {
        parts.concat()
    }

    #[test]
    fn of_a_jpeg_every_segment_is_read() {
        let size = Some(Size { width: 64, height: 48 });
        let (start, end): (&[u8], &[u8]) = (&[0xff, 0xd8], &[0xff, 0xd9]);
        let comment = [0xff, 0xfe, 0, 4, 0xff, 0xc0];
        let table = [0xff, 0xc4, 0, 3, 7];
        let more = [0xff, 0, 1, 0xff, 0xd3, 2];
        let whole = joined(&[start, &comment, &FRAME, &table, &SCAN, &more, &table, &SCAN, end, b"more"]);
        assert_eq!(jpeg(&whole), size);
        assert_eq!(read(&whole), size.map(|size| ("image/jpeg", size)));
        for cut in 2 + 6 + 19..whole.len() - 6 {
            assert!(jpeg(&whole[..cut]).is_none_or(|found| Some(found) == size), "cut at {cut}");
        }
        assert_eq!(jpeg(&joined(&[start, &FRAME, &SCAN])), size, "it ends within the picture");
        assert_eq!(jpeg(&joined(&[start, &FRAME, &SCAN, &[0xff]])), size);
        for (what, bad) in [
            ("no frame", joined(&[start, &SCAN, end])),
            ("two frames", joined(&[start, &FRAME, &FRAME, &SCAN, end])),
            ("another frame after a scan", joined(&[start, &FRAME, &SCAN, &FRAME, &SCAN, end])),
            ("a fill byte", joined(&[start, &[0xff], &FRAME, &SCAN, end])),
            ("a fill byte after a scan", joined(&[start, &FRAME, &SCAN, &[0xff], end])),
            ("a byte in between", joined(&[start, &[0], &FRAME, &SCAN, end])),
            ("a number of lines", joined(&[start, &FRAME, &SCAN, &[0xff, 0xdc, 0, 4, 64, 0], end])),
            ("a second start", joined(&[start, &FRAME, start, &SCAN, end])),
            ("a length of nothing", joined(&[start, &[0xff, 0xfe, 0, 1], &FRAME, &SCAN])),
            ("a segment that goes on", joined(&[start, &FRAME, &[0xff, 0xfe, 9, 9]])),
        ] {
            assert_eq!(jpeg(&bad), None, "{what}");
        }
    }

    #[test]
    fn of_a_gif_every_picture_lies_in_its_screen() {
        let screen: &[u8] = b"GIF89a\x10\0\x08\0\x80\0\0\xff\xff\xff\0\0\0";
        let control: &[u8] = b"!\xf9\x04\x01\0\0\0\0";
        let picture = |left: u8, top: u8, width: u8, height: u8| {
            joined(&[&[0x2c, left, 0, top, 0, width, 0, height, 0, 0], b"\x02\x02D\x01\0"])
        };
        let size = Some(Size { width: 16, height: 8 });
        let (all, part) = (picture(0, 0, 16, 8), picture(15, 7, 1, 1));
        assert_eq!(gif(&joined(&[screen, control, &all, control, &part, b";rest"])), size);
        assert_eq!(gif(&joined(&[screen, &all])), size, "without an end");
        assert_eq!(gif(&joined(&[screen, &all[..12]])), size, "it ends within the picture");
        for (what, bad) in [
            ("no picture", joined(&[screen, control, b";"])),
            ("wider", joined(&[screen, &picture(0, 0, 17, 8), b";"])),
            ("higher", joined(&[screen, &picture(0, 0, 16, 9), b";"])),
            ("beside", joined(&[screen, &all, &picture(15, 0, 2, 8), b";"])),
            ("below", joined(&[screen, &all, &picture(0, 8, 1, 1), b";"])),
            ("nothing", joined(&[screen, &picture(0, 0, 0, 0), b";"])),
            ("something else in between", joined(&[screen, &all, b"\0", &all, b";"])),
            ("another version", joined(&[b"GIF88a", &screen[6..], &all])),
        ] {
            assert_eq!(gif(&bad), None, "{what}");
        }
    }
}
