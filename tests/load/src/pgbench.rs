//! `pgbench` with the statements of a cycle: those that the server's store really sent, taken from the database's log,
//! in the same round trips.

use anyhow::{Context as _, Result, bail, ensure};
use portcullis_fixtures::postgres::{Cluster, USER, program};
use serde::Deserialize;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// What the log has to be asked for, so that it can be read.
pub(crate) const LOGGED: [&str; 3] = ["logging_collector=on", "log_destination=jsonlog", "log_directory=log"];

/// What stands in a script in the place of a value.
pub(crate) struct Stand<'a> {
    /// As the log has it.
    pub(crate) value: String,
    /// An expression of the variables.
    pub(crate) by: &'a str,
}

/// A line of the database's log.
#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    message: String,
    #[serde(default)]
    detail: String,
}

/// What the database was sent between two statements that say so.
pub(crate) fn script(cluster: &Cluster, begun: &str, ended: &str, stands: &[Stand<'_>]) -> Result<String> {
    let mut lines = String::new();
    for entry in fs::read_dir(cluster.folder().join("data/log"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind == "json") {
            lines.push_str(&fs::read_to_string(path)?);
        }
    }
    let (mut script, mut is_ours) = (String::new(), false);
    for line in lines.lines() {
        let line: Line = serde_json::from_str(line).context("the log has JSON lines")?;
        let Some((kind, sql)) = line.message.split_once(": ") else { continue };
        match sql {
            sql if sql.contains(begun) => is_ours = true,
            sql if sql.contains(ended) => break,
            sql if is_ours && kind == "statement" => script.push_str(&together(sql)),
            sql if is_ours && kind.starts_with("execute") => {
                let filled = filled(sql, &line.detail, stands)?;
                script.push_str(&format!("{};\n", one_line(&filled)));
            }
            _ => {}
        }
    }
    ensure!(script.contains("INSERT INTO grants"), "the log does not have a cycle:\n{script}");
    // A code, a grant and two keys that nobody used; they grow with the time, as the server's do.
    let variables =
        "\\set n :n + 2\n\\set m :n + 1\n\\set r random(1, 9000000000000000000)\n\\set k random(0, :customers - 1)\n";
    Ok(format!("{variables}{script}"))
}

/// Statements that are sent as one: a round trip.
fn together(sql: &str) -> String {
    let statements: Vec<String> = sql.split(';').map(one_line).filter(|statement| !statement.is_empty()).collect();
    match &statements[..] {
        [one] => format!("{one};\n"),
        several => format!("\\startpipeline\n{};\n\\endpipeline\n", several.join(";\n")),
    }
}

fn one_line(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A statement with values, or what stands in their place, instead of parameters.
fn filled(sql: &str, detail: &str, stands: &[Stand<'_>]) -> Result<String> {
    let values = parameters(detail)?;
    let is_lock = sql.contains("pg_advisory_xact_lock");
    let mut filled = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some((before, after)) = rest.split_once('$') {
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let number: usize = after[..digits].parse().context("a parameter has a number")?;
        let value = values.get(number.wrapping_sub(1)).context("a parameter has a value")?;
        filled.push_str(before);
        match value {
            // Its number is a digest of the account: any that differs for each account does the same.
            Some(_) if is_lock => filled.push_str("CAST(:k AS BIGINT)"),
            Some(value) => match stands.iter().find(|stand| stand.value == *value) {
                Some(stand) => filled.push_str(stand.by),
                None => filled.push_str(&format!("'{}'", value.replace('\'', "''"))),
            },
            None => filled.push_str("NULL"),
        }
        rest = &after[digits..];
    }
    filled.push_str(rest);
    Ok(filled)
}

/// `parameters: $1 = 'one', $2 = NULL`, as the log writes them.
fn parameters(detail: &str) -> Result<Vec<Option<String>>> {
    let mut rest = detail.split_once(": ").map_or("", |(_, list)| list);
    let mut values = Vec::new();
    while let Some((_, after)) = rest.split_once(" = ") {
        if let Some(after) = after.strip_prefix("NULL") {
            values.push(None);
            rest = after;
            continue;
        }
        let Some(mut text) = after.strip_prefix('\'') else { bail!("not a list of parameters: {detail}") };
        let mut value = String::new();
        loop {
            let (before, after) = text.split_once('\'').context("a value ends")?;
            value.push_str(before);
            match after.strip_prefix('\'') {
                Some(after) => {
                    value.push('\'');
                    text = after;
                }
                None => {
                    rest = after;
                    break;
                }
            }
        }
        values.push(Some(value));
    }
    Ok(values)
}

/// How it is run.
pub(crate) struct Run<'a> {
    pub(crate) database: &'a str,
    pub(crate) script: &'a Path,
    pub(crate) clients: usize,
    pub(crate) customers: u32,
    /// Where identifiers begin.
    pub(crate) first: i64,
    pub(crate) time: Duration,
}

/// Runs it. Returns how many cycles it did, and how many per second.
pub(crate) fn run(cluster: &Cluster, run: &Run<'_>) -> Result<(u64, f64)> {
    let mut pgbench = Command::new(program("pgbench"));
    pgbench.args(["--no-vacuum", "--protocol=prepared", "--jobs=2", "--username", USER]);
    pgbench.arg("--host").arg(cluster.folder()).args(["--port", &cluster.port().to_string()]);
    pgbench.args(["--client", &run.clients.to_string(), "--time", &run.time.as_secs().max(1).to_string()]);
    pgbench.args(["-D", &format!("n={}", run.first), "-D", &format!("customers={}", run.customers)]);
    let output = pgbench.arg("--file").arg(run.script).arg(run.database).output().context("pgbench does not start")?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "pgbench: {out}{err}");
    let after = |label: &str| {
        let line = out.lines().find_map(|line| line.strip_prefix(label));
        line.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse::<f64>().ok())
    };
    let cycles = after("number of transactions actually processed: ").with_context(|| format!("{out}{err}"))?;
    let rate = after("tps = ").with_context(|| format!("{out}{err}"))?;
    ensure!(after("number of failed transactions: ").unwrap_or(0.0) == 0.0, "{out}{err}");
    Ok((cycles as u64, rate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_becomes_a_line_of_the_script() {
        let detail = r"parameters: $1 = '\x0102', $2 = NULL, $3 = 'it''s, $4 = x', $4 = '7'";
        let stands = [Stand { value: r"\x0102".into(), by: "int4send(:k)" }];
        let filled = filled("SELECT $1, $2, $3 || $4", detail, &stands).expect("filled");
        assert_eq!(filled, "SELECT int4send(:k), NULL, 'it''s, $4 = x' || '7'");
        let lock = filled_lock("SELECT CAST(pg_advisory_xact_lock($1) AS TEXT), now()", "parameters: $1 = '-5'");
        assert_eq!(lock, "SELECT CAST(pg_advisory_xact_lock(CAST(:k AS BIGINT)) AS TEXT), now()");
        assert_eq!(together("SELECT 1; COMMIT"), "\\startpipeline\nSELECT 1;\nCOMMIT;\n\\endpipeline\n");
        assert_eq!(together("ROLLBACK"), "ROLLBACK;\n");
    }

    fn filled_lock(sql: &str, detail: &str) -> String {
        filled(sql, detail, &[]).expect("filled")
    }
}
