//! The log as lines of JSON, with a signed head as the last one.

use super::heads::{AuditError, HeadRecord, KeptHeads, follow, sign};
use super::row::{Chain, Line};
use crate::services::Core;
use crate::store::PAGE;
use portcullis_protocol::text::json_escaped;
use serde::Serialize;
use std::io::Write;

/// What was exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// How many rows.
    pub rows: u64,
    /// The head that was signed over them.
    pub head: HeadRecord,
}

/// Writes every row, and a head that is signed over them. A log that is not as it was written is written all the same,
/// without a head: whoever looks into it needs it.
///
/// # Errors
/// [`AuditError`].
pub async fn export(core: &Core, out: &mut impl Write) -> Result<Exported, AuditError> {
    let mut chain = Chain::beginning(&core.origin, &core.keys.root().thumbprint());
    let (mut heads, mut broken) = (KeptHeads::new(), None);
    let (mut read, mut before) = (0, chain.digest);
    loop {
        let rows = core.store.audit_rows(read, PAGE).await?;
        if rows.is_empty() {
            break;
        }
        for sealed in rows {
            if broken.is_none() {
                let followed = match follow(core, &mut chain, &sealed) {
                    Ok(()) => heads.compare(core, &chain).await,
                    Err(fault) => Err(fault.into()),
                };
                broken = followed.err();
            }
            let row = sealed.row;
            (read, before) = {
                let (number, digest) = (row.number, row.digest);
                line(out, &Line::new(row, before))?;
                (number, digest)
            };
        }
    }
    if broken.is_none() {
        broken = heads.end(core, &chain).await.err();
    }
    if let Some(broken) = broken {
        out.flush()?;
        return Err(broken);
    }
    let head = sign(core, &chain).await?;
    line(out, &head)?;
    out.flush()?;
    Ok(Exported { rows: chain.number, head })
}

fn line(out: &mut impl Write, value: &impl Serialize) -> std::io::Result<()> {
    let text = serde_json::to_string(value).map_err(std::io::Error::other)?;
    writeln!(out, "{}", json_escaped(&text))
}
