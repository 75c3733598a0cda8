//! What the command writes for other programs to read: completions for shells, pages for `man`. Where the program is
//! installed that reads it, it reads it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::stage::Stage;

/// What a program says; `None` where it is not installed.
fn said(program: &str, arguments: &[&str], file: &Path) -> Option<Output> {
    let mut command = Command::new(program);
    command.args(arguments).arg(file).env("LC_ALL", "C.UTF-8");
    match command.output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        output => Some(output.expect("it runs")),
    }
}

#[test]
fn every_shell_has_its_completions_and_takes_them() {
    let stage = Stage::new();
    for (shell, check) in [
        ("bash", Some(("bash", &["-n"][..]))),
        ("zsh", Some(("zsh", &["-n"][..]))),
        ("fish", Some(("fish", &["--no-execute"][..]))),
        ("nushell", Some(("nu", &[][..]))),
        ("powershell", None),
        ("elvish", Some(("elvish", &["-compileonly"][..]))),
    ] {
        let script = String::from_utf8(stage.succeed("user", &["completions", shell]).stdout).expect("text");
        for word in ["publish", "receipts", "doctor", "fingerprint", "completions"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
        let file = stage.path(shell);
        fs::write(&file, script).expect("written");
        let Some(output) = check.and_then(|(program, arguments)| said(program, arguments, &file)) else { continue };
        assert!(output.status.success(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let refused = stage.run("user", &["completions", "tcsh"]);
    assert_eq!(refused.status.code(), Some(2));
}

#[cfg(target_os = "linux")]
#[test]
fn bash_completes_verbs_and_options() {
    let stage = Stage::new();
    let script = stage.succeed("user", &["completions", "bash"]).stdout;
    fs::write(stage.path("completions.bash"), script).expect("written");
    let complete = |words: &str, last: usize| {
        let line = format!(
            "source completions.bash; COMP_WORDS=({words}); COMP_CWORD={last}; _portcullis portcullis \"${{COMP_WORDS[{last}]}}\" \"${{COMP_WORDS[{last}-1]}}\"; echo \"${{COMPREPLY[@]}}\""
        );
        let output = Command::new("bash").args(["-c", &line]).current_dir(stage.path("")).output().expect("bash runs");
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    };
    assert_eq!(complete("portcullis rec", 1), "receipts");
    assert_eq!(complete("portcullis login --fing", 2), "--fingerprint");
    assert_eq!(complete("portcullis completions nu", 2), "nushell");
}

#[test]
fn manual_pages_are_written_and_set_without_a_warning() {
    let stage = Stage::new();
    stage.succeed("user", &["man", "--dir", "pages/man1"]);
    let one = stage.succeed("user", &["man"]).stdout;
    assert_eq!(one, fs::read(stage.path("pages/man1/portcullis.1")).expect("the first page"));
    let mut pages = 0;
    for entry in fs::read_dir(stage.path("pages/man1")).expect("pages").flatten() {
        pages += 1;
        let Some(output) = said("groff", &["-man", "-Tutf8", "-ww", "-P-cbou"], &entry.path()) else { continue };
        let (text, warnings) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && warnings.is_empty(), "{}: {warnings}", entry.path().display());
        assert!(text.contains("SYNOPSIS") && text.contains("DESCRIPTION"), "{text}");
    }
    assert!(pages > 20, "{pages} pages");
    let nowhere = stage.run("user", &["man", "--dir", "pages/man1/portcullis.1"]);
    assert_eq!(nowhere.status.code(), Some(1), "a file is no folder");
}
