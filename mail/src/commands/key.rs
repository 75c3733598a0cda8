//! `portcullis-mail key`: the key of the folder goes to where a command finds it again.

use super::say;
use anyhow::{Result, bail};
use clap::Args;
use portcullis_mail::SealedFolder;
use std::io::{self, IsTerminal as _, Write as _};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Remove the file with the key, once the key command prints the same
    #[arg(long)]
    forget: bool,
}

impl Arguments {
    pub(crate) fn run(self, folder: &SealedFolder, command: Option<&str>) -> Result<()> {
        if self.forget {
            let Some(command) = command else {
                bail!(
                    "nothing else has the key. Name the command that prints it: PORTCULLIS_MAIL_KEY_COMMAND, or --key-command"
                )
            };
            folder.forget_key_file(command)?;
            return say("the key is no longer in the folder");
        }
        let mut out = io::stdout();
        if out.is_terminal() {
            bail!(
                "the key would stand on the screen. Give it to a program that keeps it: portcullis-mail key | PROGRAM"
            )
        }
        writeln!(out, "{}", *folder.key_as_printed())?;
        Ok(())
    }
}
