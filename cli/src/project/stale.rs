//! Whether the built files of a project are older than what they are built from.

use portcullis_protocol::PartKind;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::guest::language::Language;
use crate::project::Project;

/// Endings of files that compilers of guests read, beside those of the languages that `build` knows.
const SOURCES: [&str; 13] = ["wit", "js", "mjs", "cjs", "ts", "mts", "py", "go", "c", "h", "cc", "cpp", "hpp"];
/// Names of further ones.
const MANIFESTS: [&str; 3] = ["package.json", "pyproject.toml", "go.mod"];
/// Folders that hold no sources of the guest: what is made, what is fetched, what only tests read.
const OTHERS: [&str; 7] = ["target", "build", "dist", "node_modules", "tests", "__pycache__", "venv"];
/// Files that are looked at. A project has some hundred.
const MOST: usize = 20_000;

/// A code part of the project whose built file is not there.
pub(crate) fn missing(project: &Project) -> Option<&Path> {
    let code = project.parts.iter().filter(|part| part.kind == PartKind::Code);
    code.map(|part| part.path.as_path()).find(|path| !path.exists())
}

/// A source of the project that was changed after one of its code parts was built. What is missing counts as nothing.
pub(crate) fn changed_since(project: &Project) -> Option<PathBuf> {
    let code = project.parts.iter().filter(|part| part.kind == PartKind::Code);
    let built = code.filter_map(|part| fs::metadata(&part.path).ok()?.modified().ok()).min()?;
    let mut left = MOST;
    let (changed, source) = newest(&project.folder, &mut left)?;
    (changed > built).then_some(source)
}

fn newest(folder: &Path, left: &mut usize) -> Option<(SystemTime, PathBuf)> {
    let mut newest: Option<(SystemTime, PathBuf)> = None;
    for entry in fs::read_dir(folder).ok()?.flatten() {
        *left = left.checked_sub(1)?;
        let (path, name) = (entry.path(), entry.file_name());
        let Ok(kind) = entry.file_type() else { continue };
        let found = match name.to_str() {
            None => None,
            Some(name) if kind.is_dir() => {
                let skipped = name.starts_with('.') || OTHERS.contains(&name);
                if skipped { None } else { self::newest(&path, left) }
            }
            Some(name) => {
                let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
                let is_known = |language: &Language| {
                    language.marker == name || language.sources.iter().any(|source| source == ending)
                };
                let is_source =
                    SOURCES.contains(&ending) || MANIFESTS.contains(&name) || Language::all().iter().any(is_known);
                let changed =
                    if is_source { fs::metadata(&path).ok().and_then(|data| data.modified().ok()) } else { None };
                changed.map(|changed| (changed, path))
            }
        };
        newest = newest.max(found);
    }
    newest
}
