//! `portcullis man`: manual pages, written from the command line's own tree.

use clap::{Args, Command};
use clap_mangen::Man as Page;
use serde::Serialize;
use std::path::PathBuf;

use crate::context::Context;
use crate::failure::{OrFail as _, Outcome};
use crate::resource::destination::Destination;
use crate::screen::output::{Report, style};
use crate::verbs;

/// Write the manual pages: portcullis(1), and one for each verb
#[derive(Debug, Args)]
#[command(after_help = "Without --dir it prints portcullis(1): `portcullis man | man -l -`.\n\
    To install them for yourself: `portcullis man --dir ~/.local/share/man/man1`.")]
pub(crate) struct Man {
    /// The folder to write them into; it is made where there is none
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Manual {
    Page { page: String, text: String },
    Files { files: Vec<PathBuf> },
}

impl Man {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let Some(dir) = self.dir else {
            let (page, text) = pages().swap_remove(0);
            context.screen.report(&Manual::Page { page, text });
            return Ok(());
        };
        let fix = "choose another folder: --dir DIR";
        std::fs::create_dir_all(&dir).or_fail(format_args!("make `{}`", dir.display()), fix)?;
        let mut files = Vec::new();
        for (name, text) in pages() {
            let file = dir.join(name);
            Destination::open(&file, fix)?.write(text.as_bytes())?;
            files.push(file);
        }
        context.screen.report(&Manual::Files { files });
        Ok(())
    }
}

/// File names and texts: the program first, then its verbs.
fn pages() -> Vec<(String, String)> {
    let mut cli = verbs::command().disable_help_subcommand(true);
    cli.build();
    let verbs: Vec<Command> = cli.get_subcommands().filter(|verb| !verb.is_hide_set()).cloned().collect();
    std::iter::once(cli).chain(verbs).map(page).collect()
}

fn page(command: Command) -> (String, String) {
    let groups = verbs::groups(&command);
    let page = Page::new(command).source(concat!("portcullis ", env!("CARGO_PKG_VERSION"))).manual("Portcullis");
    let mut text = Vec::new();
    // Writing to memory does not fail.
    let _ = render(&page, groups, &mut text);
    let text = String::from_utf8_lossy(&text);
    (page.get_filename(), text.chars().map(roff).collect())
}

/// The page in the order of man-pages(7), the verbs in their groups.
fn render(page: &Page, groups: Vec<Command>, to: &mut Vec<u8>) -> std::io::Result<()> {
    page.render_title(to)?;
    page.render_name_section(to)?;
    page.render_synopsis_section(to)?;
    page.render_description_section(to)?;
    page.render_options_section(to)?;
    for group in groups {
        Page::new(group).render_subcommands_section(to)?;
    }
    page.render_extra_section(to)?;
    page.render_version_section(to)
}

/// A letter that any roff reads, whatever encoding it takes its input for.
fn roff(letter: char) -> String {
    if letter.is_ascii() { letter.to_string() } else { format!("\\[u{:04X}]", u32::from(letter)) }
}

impl Report for Manual {
    fn text(&self) -> String {
        match self {
            Self::Page { text, .. } => text.clone(),
            Self::Files { files } => {
                let good = style::GOOD;
                let folder = files.first().and_then(|file| file.parent()).unwrap_or_else(|| "".as_ref());
                format!("{good}wrote{good:#} {} pages to {}\n", files.len(), folder.display())
            }
        }
    }
}

#[test]
fn the_program_and_every_verb_have_a_page() {
    let pages = pages();
    let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[0], "portcullis.1");
    for verb in verbs::command().get_subcommands() {
        assert!(
            names.contains(&format!("portcullis-{}.1", verb.get_name()).as_str()),
            "{}: {names:?}",
            verb.get_name()
        );
    }
    assert!(pages.iter().all(|(_, text)| text.is_ascii()));
    for heading in ["FOR PUBLISHERS", "FOR USERS", "FOR THIS MACHINE"] {
        assert!(pages[0].1.to_uppercase().contains(heading), "{heading}: {}", pages[0].1);
    }
    let login = pages.iter().find(|(name, _)| name == "portcullis-login.1").expect("login");
    for text in [".TH", "--fingerprint".replace('-', r"\-").as_str(), "portcullis login"] {
        assert!(login.1.contains(text), "{text}: {}", login.1);
    }
}
