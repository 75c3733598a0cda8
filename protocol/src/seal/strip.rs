//! Leaving out what nobody needs to run a component: names, debug information, the history of its making.
//!
//! Names come back in traps and backtraces, which an engine may show to anyone.

use super::body::BodyError;
use crate::sealed::put_leb;
use wasmparser::BinaryReader;

const COMPONENT: [u8; 4] = *b"\x0d\0\x01\0";
const MODULE: [u8; 4] = *b"\x01\0\0\0";
const CUSTOM: u8 = 0;
/// Of a component: a core module, a component.
const NESTED: [u8; 2] = [1, 4];
/// The one custom section that an engine makes use of.
const KEPT: &str = "metadata.code.branch_hint";
/// Components inside components: engines stop at 100.
const MAX_DEPTH: usize = 100;

/// The component without custom sections, at every depth.
pub(super) fn strip(component: &[u8]) -> Result<Vec<u8>, BodyError> {
    let mut out = Vec::with_capacity(component.len());
    strip_into(component, &mut out, 0)?;
    Ok(out)
}

fn strip_into(bytes: &[u8], out: &mut Vec<u8>, depth: usize) -> Result<(), BodyError> {
    let unreadable = |_| BodyError::Unreadable("a section is cut short".into());
    let mut reader = BinaryReader::new(bytes, 0);
    let magic = reader.read_bytes(4).map_err(unreadable)?;
    let layer = reader.read_bytes(4).map_err(unreadable)?;
    if magic != b"\0asm" || (layer != COMPONENT && layer != MODULE) || depth > MAX_DEPTH {
        return Err(BodyError::Unreadable("it does not begin as WebAssembly does, or nests too deeply".into()));
    }
    out.extend_from_slice(magic);
    out.extend_from_slice(layer);
    while !reader.eof() {
        let id = reader.read_u8().map_err(unreadable)?;
        let len = reader.read_var_u32().map_err(unreadable)?;
        let content = reader.read_bytes(usize::try_from(len).unwrap_or(usize::MAX)).map_err(unreadable)?;
        if id == CUSTOM {
            let name = BinaryReader::new(content, 0).read_string().map_err(unreadable)?;
            if name != KEPT {
                continue;
            }
        }
        out.push(id);
        if layer == COMPONENT && NESTED.contains(&id) {
            let mut inner = Vec::with_capacity(content.len());
            strip_into(content, &mut inner, depth + 1)?;
            put_leb(u32::try_from(inner.len()).map_err(|_| BodyError::Unreadable("too large".into()))?, out);
            out.extend_from_slice(&inner);
        } else {
            put_leb(len, out);
            out.extend_from_slice(content);
        }
    }
    Ok(())
}
