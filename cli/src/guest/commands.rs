//! A toolchain that is a list of commands, as a `language.toml` has it.

use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::{Failure, OrFail as _, Outcome};

/// Commands that build a guest, and what they leave.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Commands {
    /// Each a program and its arguments, run in the project's folder, one after the other.
    commands: Vec<Vec<String>>,
    /// How the programs are installed, for a person.
    #[serde(default)]
    install: String,
    /// The files that they make, below the project's folder: components, core modules, or WebAssembly text.
    modules: Vec<PathBuf>,
}

impl Commands {
    /// For people.
    pub(crate) fn describe(&self) -> String {
        let programs: Vec<&str> =
            self.commands.iter().filter_map(|command| command.first()).map(String::as_str).collect();
        if programs.is_empty() { "nothing but this program".to_owned() } else { programs.join(", ") }
    }

    /// Runs the commands. Returns the modules.
    pub(crate) fn build(&self, folder: &Path) -> Outcome<Vec<PathBuf>> {
        for command in &self.commands {
            let Some((program, arguments)) = command.split_first() else { continue };
            let status = Command::new(program)
                .args(arguments)
                .current_dir(folder)
                .stdin(Stdio::null())
                // The program's own report is the only thing on standard output.
                .stdout(Stdio::null())
                .status()
                .or_fail(format_args!("run `{program}`"), format_args!("install it{}", self.installed_by()))?;
            if !status.success() {
                let fix = format!("correct what `{program}` says above");
                return Err(Failure::new(format!("`{}` does not build", folder.display()), fix));
            }
        }
        Ok(self.modules.iter().map(|module| folder.join(module)).collect())
    }

    fn installed_by(&self) -> String {
        if self.install.is_empty() { String::new() } else { format!(": {}", self.install) }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn commands(text: &str) -> Commands {
        toml::from_str(text).expect("reads")
    }

    #[test]
    fn commands_run_in_the_project_and_say_what_is_missing() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a.wat"), "(module)").expect("written");
        let copies = commands("commands = [[\"cp\", \"a.wat\", \"b.wat\"]]\nmodules = [\"b.wat\"]");
        let built = copies.build(folder.path()).expect("built");
        assert_eq!(std::fs::read_to_string(&built[0]).expect("there"), "(module)");
        let fails = commands("commands = [[\"false\"]]\nmodules = []").build(folder.path()).expect_err("it fails");
        assert!(fails.to_string().contains("does not build"), "{fails}");
        let missing = commands("commands = [[\"no-such-compiler\"]]\ninstall = \"https://example.org\"\nmodules = []");
        let missing = missing.build(folder.path()).expect_err("not installed");
        assert!(missing.fix().contains("https://example.org"), "{missing}");
    }
}
