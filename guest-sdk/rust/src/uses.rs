//! The names of operations and parts that a resource uses, written down where `portcullis build` and `portcullis seal`
//! find them: the custom section `portcullis:uses` of the built module, which sealing takes out.

/// A text as what a section holds. The macros call it; nobody else has to.
#[must_use]
pub const fn bytes<const N: usize>(text: &str) -> [u8; N] {
    let (text, mut bytes, mut at) = (text.as_bytes(), [0; N], 0);
    while at < N {
        bytes[at] = text[at];
        at += 1;
    }
    bytes
}
