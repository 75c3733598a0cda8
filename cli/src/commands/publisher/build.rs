//! `portcullis build`: compiles the guest of a project to the files that its code parts name.

use clap::Args;
use portcullis_protocol::seal::check_uses;
use portcullis_protocol::{PartKind, PartName};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::context::Context;
use crate::failure::{Failure, OrFail as _, Outcome};
use crate::guest::core_module;
use crate::guest::language::Language;
use crate::project::{PartSource, Project};
use crate::screen::hint;
use crate::screen::output::{Report, size, style};

/// Compile the guest of a project for WebAssembly
#[derive(Debug, Args)]
pub(crate) struct Build {
    /// The project: the folder with portcullis.toml
    #[arg(default_value = ".")]
    project: PathBuf,
}

/// What was built.
#[derive(Debug, Serialize)]
pub(crate) struct Built {
    toolchain: &'static str,
    parts: Vec<BuiltPart>,
}

#[derive(Debug, Serialize)]
struct BuiltPart {
    part: String,
    file: PathBuf,
    bytes: u64,
    milliseconds: u64,
}

impl Build {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let project = Project::read(&self.project)?;
        let built = build(context, &project)?;
        context.screen.report(&built);
        Ok(())
    }
}

/// Builds every code part of a project. What it names that portcullis.toml does not have is found here.
pub(crate) fn build(context: &Context, project: &Project) -> Outcome<Built> {
    let code: Vec<&PartSource> = project.parts.iter().filter(|part| part.kind == PartKind::Code).collect();
    if code.is_empty() {
        return Err(Failure::new(
            "the project has no part of kind \"code\", so there is nothing to build",
            "add a [[part]] with kind = \"code\" to portcullis.toml",
        ));
    }
    let Some(language) = Language::of(&project.folder) else {
        let known = Language::all().iter().map(|language| format!("{} ({})", language.marker, language.title));
        return Err(Failure::new(
            format!(
                "`{}` has no file by which `build` would know its language: {}",
                project.folder.display(),
                known.collect::<Vec<_>>().join(", ")
            ),
            "build the component with its own tools, let the part's `path` name it, then run `portcullis seal`",
        ));
    };
    let toolchain = language.toolchain()?;
    context.screen.note(format_args!("building with {}", toolchain.describe()));
    let start = Instant::now();
    let modules = toolchain.build(&project.folder)?;
    let milliseconds = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut parts = Vec::new();
    let names: Vec<PartName> = project.parts.iter().map(|part| part.name.clone()).collect();
    for part in code {
        let module = pick(&modules, part)?;
        let built = std::fs::read(module).or_fail(format_args!("read `{}`", module.display()), "build it again")?;
        let built = core_module::with_world(module, built, &project.folder)?;
        check_uses(&part.name, &built, &project.operations, &names)?;
        let bytes = built.len() as u64;
        let parent = part.path.parent().map_or(Ok(()), std::fs::create_dir_all);
        parent
            .and_then(|()| std::fs::write(&part.path, built))
            .or_fail(format_args!("write `{}`", part.path.display()), "check the part's `path` in portcullis.toml")?;
        parts.push(BuiltPart { part: part.name.to_string(), file: part.path.clone(), bytes, milliseconds });
    }
    Ok(Built { toolchain: toolchain.name(), parts })
}

/// The module for a part: the one of the same file name, or the only one.
fn pick<'m>(modules: &'m [PathBuf], part: &PartSource) -> Outcome<&'m Path> {
    let stem = |path: &Path| path.file_stem().map(|stem| stem.to_string_lossy().replace('-', "_"));
    let same = modules.iter().find(|module| stem(module) == stem(&part.path));
    match (same, modules) {
        (Some(module), _) => Ok(module),
        (None, [only]) => Ok(only),
        (None, []) => {
            Err(Failure::new("cargo built no `cdylib`", "add to Cargo.toml: [lib] crate-type = [\"cdylib\"]"))
        }
        (None, several) => Err(Failure::new(
            format!("cargo built {} modules, and none is called as the file of part `{}`", several.len(), part.name),
            format!(
                "let the part's `path` end in the name of the package that it comes from, as in `build/{}.wasm`",
                part.name
            ),
        )),
    }
}

impl Built {
    /// In a line.
    pub(crate) fn summary(&self) -> String {
        let part = |part: &BuiltPart| format!("{} ({})", part.file.display(), size(part.bytes));
        self.parts.iter().map(part).collect::<Vec<_>>().join(", ")
    }
}

impl Report for Built {
    fn text(&self) -> String {
        let (good, strong) = (style::GOOD, style::STRONG);
        let mut text = String::new();
        for part in &self.parts {
            text += &format!("{good}built{good:#} {} ({})\n", part.file.display(), size(part.bytes));
        }
        text + &format!(
            "\nNext: {strong}{} --server https://STORE -o OUT.sealed.wasm{strong:#}, or {strong}{}{strong:#}\n",
            hint::typed("portcullis seal"),
            hint::typed("portcullis dev")
        )
    }
}
