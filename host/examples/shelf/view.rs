//! The model as lines of text. No I/O, no state.

use crate::dialogue::Question;
use crate::model::{Item, Job, JobId};

pub(crate) fn help() -> Vec<String> {
    [
        "sign-in URL                     sign in to a store",
        "list                            what is installed, and what the stores sell",
        "install NAME                    fetch and install",
        "preview NAME [> FILE]           run what is free of it",
        "buy NAME OPERATION              pay for an operation",
        "run NAME FUNCTION [ARG]… [> FILE]",
        "stop JOB · answer yes|no · wait · wait question · quit",
    ]
    .map(|line| format!("  {line}"))
    .to_vec()
}

pub(crate) fn items(items: &[Item]) -> Vec<String> {
    if items.is_empty() {
        return vec!["the shelf is empty".into()];
    }
    items.iter().flat_map(item).collect()
}

fn item(item: &Item) -> Vec<String> {
    let state = match (&item.installed, &item.sold) {
        (Some(installed), Some(sold)) if installed != sold => format!("{installed} installed, {sold} is out"),
        (Some(installed), _) => format!("{installed} installed"),
        (None, Some(sold)) => format!("{sold} in the store"),
        (None, None) => "gone".into(),
    };
    let mut lines = vec![format!("  {} · {} · {state}", item.name, item.title)];
    lines.extend(item.offers.iter().map(|offer| format!("      {offer}")));
    lines
}

pub(crate) fn begun(job: JobId, begun: &Job) -> String {
    format!("#{job} {} …", begun.what)
}

pub(crate) fn moved(job: JobId, have: u64, total: Option<u64>) -> String {
    const CELLS: u64 = 20;
    let total = total.unwrap_or(have).max(1);
    let full = have * CELLS / total;
    let bar: String = (0..CELLS).map(|cell| if cell < full { '#' } else { '-' }).collect();
    format!("#{job} [{bar}] {} % of {} KiB", have * 100 / total, total.div_ceil(1024))
}

pub(crate) fn step(resource: &str, text: &str) -> String {
    format!("   {resource}: {text}")
}

pub(crate) fn note(job: JobId, text: &str) -> String {
    format!("#{job} {text}")
}

pub(crate) fn question(question: &Question) -> Vec<String> {
    let mut lines: Vec<String> = question.text.lines().map(|line| format!("?  {line}")).collect();
    lines.push("?  answer yes, or answer no".into());
    lines
}

pub(crate) fn ended(job: JobId, ended: &Job, outcome: &Result<String, String>) -> String {
    match outcome {
        Ok(text) => format!("#{job} done: {text}"),
        Err(text) => format!("#{job} failed: {text} ({})", ended.what),
    }
}
