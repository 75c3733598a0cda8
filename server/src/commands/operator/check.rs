//! Whether everything is there that the database speaks of. That database, master key, origin and clock belong
//! together was checked when it was opened.

use super::{Report, money};
use crate::{App, audit, damaged_files};
use anyhow::bail;
use serde_json::json;
use std::fmt::Write as _;

pub(super) async fn run(app: &App) -> anyhow::Result<Report> {
    let damaged = damaged_files(&*app.core.store, &app.core.objects).await?;
    money::ledger(app).await?;
    let rows = audit::check(&app.core).await?;
    if damaged.is_empty() {
        let text =
            "Every published file is there, the books balance, and the audit log is as it was written.".to_owned();
        return Ok(Report { text, json: json!({"ok": true, "audit_rows": rows}) });
    }
    let mut text = String::new();
    for file in &damaged {
        let found = file.found.map_or_else(|| "is missing".to_owned(), |found| format!("has {found} bytes"));
        write!(text, "\n{} {found}, {} were published", file.place, file.size)?;
    }
    bail!(
        "{} published files are not as they were published. Restore them from the backup, or have their publishers upload \
         them again:{text}",
        damaged.len()
    )
}
