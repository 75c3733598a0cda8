//! Whether everything is there that the database speaks of. That database, master key, origin and clock belong
//! together was checked when it was opened.

use super::{Report, money};
use crate::ops::directory::changed_files;
use crate::{App, audit, damaged_files};
use anyhow::bail;
use portcullis_protocol::text::counted;
use serde_json::json;

pub(super) async fn run(app: &App, contents: bool) -> anyhow::Result<Report> {
    money::ledger(app).await?;
    let rows = audit::check(&app.core).await?;
    let mut damaged = Vec::new();
    for file in damaged_files(&*app.core.store, &app.core.objects).await? {
        let found = file.found.map_or_else(|| "is missing".to_owned(), |found| format!("has {found} bytes"));
        damaged.push(format!("\n{} {found}, {} were published", file.place, file.size));
    }
    if contents {
        damaged.extend(changed_files(&app.core).await?.into_iter().map(|changed| format!("\n{changed}")));
    }
    if damaged.is_empty() {
        let files = if contents { "is as it was published" } else { "is there" };
        let text = format!("Every published file {files}, the books balance, and the audit log is as it was written.");
        return Ok(Report { text, json: json!({"ok": true, "audit_rows": rows}) });
    }
    bail!(
        "not as it was published: {}. Restore what is missing or changed from the backup, or have its publishers upload it \
         again:{}",
        counted(damaged.len(), "file"),
        damaged.concat()
    )
}
