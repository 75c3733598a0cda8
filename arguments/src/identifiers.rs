//! Identifiers that begin with a hyphen, on a command line.

use clap::{Arg, ArgAction, Command};
use std::ffi::OsString;

/// Letters that an identifier has at least, with one or two lost when it was copied.
const SHORTEST: usize = 16;

/// A command that reads these words, the program's name among them. Identifiers are random: of 64 one begins with a
/// hyphen, and is no option. If one stands among the words, every argument takes it; if there is none, what begins with
/// a hyphen stays an option, so that a mistyped one is called that.
#[must_use]
pub fn admit_identifiers(command: Command, words: &[OsString]) -> Command {
    // What follows belongs to whoever is started.
    let own = words.iter().take_while(|word| *word != "--");
    if own.filter_map(|word| word.to_str()).any(is_identifier) { admit_hyphens(command) } else { command }
}

/// Whether a word that begins with a hyphen is base64url rather than an option: options have lower-case letters and
/// hyphens alone. One that was copied without its last letter counts, too: whoever reads it says what is wrong.
fn is_identifier(word: &str) -> bool {
    let alphabet = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let option = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
    word.starts_with('-') && word.len() >= SHORTEST && word.bytes().all(alphabet) && !word.bytes().all(option)
}

fn admit_hyphens(command: Command) -> Command {
    // After the first of several values no option would be known any more.
    let is_single = |arg: &Arg| matches!(arg.get_action(), ArgAction::Set) || !arg.is_positional();
    let admit = |arg: Arg| {
        if arg.get_action().takes_values() && is_single(&arg) { arg.allow_hyphen_values(true) } else { arg }
    };
    command.mut_args(admit).mut_subcommands(admit_hyphens)
}

#[cfg(test)]
mod tests {
    use super::{admit_identifiers, is_identifier};
    use clap::{Arg, ArgAction, Command};
    use std::ffi::OsString;

    fn program() -> Command {
        let flag = Arg::new("all").long("all").action(ArgAction::SetTrue);
        let show = Command::new("show").arg(Arg::new("id")).arg(Arg::new("rest").last(true).num_args(..));
        Command::new("program").subcommand(show.arg(flag).arg(Arg::new("key").long("key")))
    }

    fn read(line: &[&str]) -> Result<clap::ArgMatches, clap::Error> {
        let words: Vec<OsString> = line.iter().map(OsString::from).collect();
        let command = admit_identifiers(program(), &words);
        command.clone().debug_assert();
        command.try_get_matches_from(words)
    }

    #[test]
    fn an_identifier_is_taken_and_options_stay_options() {
        for line in [
            &["program", "show", "-hL8yClTT2PVdCHnrjFzEg", "--all"][..],
            &["program", "show", "--all", "--WL8yClTT2PVdCHnrjFzER5YFRfEbIU9FxCFFLFY0A"],
            &["program", "show", "--key", "-hL8yClTT2PVdCHnrjFzEg", "x", "--all"],
            &["program", "show", "x", "--all", "--", "--anything", "-hL8yClTT2PVdCHnrjFzEg"],
        ] {
            let matches = read(line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
            assert!(matches.subcommand().expect("show").1.get_flag("all"), "{line:?}");
        }
        for line in [
            &["program", "show", "--al"][..],
            &["program", "show", "--al", "--", "-hL8yClTT2PVdCHnrjFzEg"],
            &["program", "show", "-hL8yClTT2PVdCHnrjFzEg", "--al"],
        ] {
            let said = read(line).expect_err("no option").to_string();
            assert!(said.contains("unexpected argument '--al'"), "{line:?}: {said}");
        }
    }

    #[test]
    fn what_is_an_option_is_no_identifier() {
        for option in
            ["--a-very-long-option-name", "--all", "-h", "--key=-hL8yClTT2PVdCHnrjFzEg", "hL8yClTT2PVdCHnrjFzEgx"]
        {
            assert!(!is_identifier(option), "{option}");
        }
        assert!(is_identifier("-hL8yClTT2PVdCHnrjFzE"), "one letter short");
    }

    #[cfg(unix)]
    #[test]
    fn a_word_that_is_no_text_is_left_to_the_parser() {
        use std::os::unix::ffi::OsStringExt as _;
        let words = ["program".into(), "show".into(), OsString::from_vec(vec![0xff])];
        assert!(admit_identifiers(program(), &words).try_get_matches_from(words).is_err(), "said, and no panic");
    }
}
