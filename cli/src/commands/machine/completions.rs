//! `portcullis completions`: what a shell needs to complete our verbs.

use clap::{Args, ValueEnum};
use clap_complete::Shell as Common;
use clap_complete_nushell::Nushell;
use serde::Serialize;

use crate::context::Context;
use crate::failure::Outcome;
use crate::screen::output::Report;
use crate::verbs;

/// Print the completion script of a shell
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n\
    \x20 bash:       source <(portcullis completions bash)\n\
    \x20 zsh:        portcullis completions zsh > ~/.zfunc/_portcullis  (a folder in $fpath)\n\
    \x20 fish:       portcullis completions fish > ~/.config/fish/completions/portcullis.fish\n\
    \x20 elvish:     eval (portcullis completions elvish | slurp)\n\
    \x20 powershell: portcullis completions powershell | Out-String | Invoke-Expression\n\
    \x20 nushell:    portcullis completions nushell | save -f portcullis.nu; use portcullis.nu *")]
pub(crate) struct Completions {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

/// The shells that there are scripts for.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Elvish,
    Fish,
    Nushell,
    Powershell,
    Zsh,
}

#[derive(Serialize)]
struct Script {
    shell: String,
    script: String,
}

impl Completions {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let mut script = Vec::new();
        let mut cli = verbs::command();
        let mut write = |generator: &dyn Fn(&mut clap::Command, &mut Vec<u8>)| generator(&mut cli, &mut script);
        let common = |shell: Common| {
            move |cli: &mut clap::Command, out: &mut Vec<u8>| clap_complete::generate(shell, cli, "portcullis", out)
        };
        match self.shell {
            Shell::Bash => write(&common(Common::Bash)),
            Shell::Elvish => write(&common(Common::Elvish)),
            Shell::Fish => write(&common(Common::Fish)),
            Shell::Powershell => write(&common(Common::PowerShell)),
            Shell::Zsh => write(&common(Common::Zsh)),
            Shell::Nushell => write(&|cli, out| clap_complete::generate(Nushell, cli, "portcullis", out)),
        }
        let script = String::from_utf8_lossy(&script).into_owned();
        let shell = self.shell.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        context.screen.report(&Script { shell, script });
        Ok(())
    }
}

impl Report for Script {
    fn text(&self) -> String {
        self.script.clone()
    }
}
