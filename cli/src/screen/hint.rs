//! The commands that advice names, so that its reader types them: with the home folder of the command that prints it.
//!
//! Only for what this program wrote itself. In the words of a store, a publisher or a resource a command stays as it
//! is: nobody but the user says what is ready for his home folder.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::sync::OnceLock;

use super::shell::quoted;

/// The program, as it stands before a verb.
const PROGRAM: &str = "portcullis ";
const OPTION: &str = "--home";

static HOME: OnceLock<HomeOption> = OnceLock::new();

/// The option that has to stand in each command, and the verbs by which commands are known.
#[derive(Debug)]
struct HomeOption {
    home: String,
    /// The same folder for whoever stands in another one; nothing if it has no name in UTF-8.
    elsewhere: Option<String>,
    verbs: BTreeSet<String>,
}

/// From now on the commands in advice go to the home folder that this command line names, if it names one. One that the
/// environment names holds for what is typed next without a word, and one that is not UTF-8 cannot be written here.
pub(crate) fn follow(words: impl Iterator<Item = OsString>, verbs: impl IntoIterator<Item = String>) {
    if let Some(home) = named(words).as_deref().and_then(OsStr::to_str) {
        let _ = HOME.set(HomeOption::of(home, verbs));
    }
}

/// A text of this program with its commands as they have to be typed.
pub(crate) fn typed(text: &str) -> Cow<'_, str> {
    HOME.get().map_or(Cow::Borrowed(text), |option| option.within(text, &option.home))
}

/// As [`typed`], of commands that follow a `cd`.
pub(crate) fn typed_elsewhere(text: &str) -> Cow<'_, str> {
    let option = HOME.get().and_then(|option| Some((option, option.elsewhere.as_ref()?)));
    option.map_or(Cow::Borrowed(text), |(option, home)| option.within(text, home))
}

/// The folder in `--home DIR` or `--home=DIR`. What comes after `--` is a resource's.
fn named(words: impl Iterator<Item = OsString>) -> Option<OsString> {
    let mut words = words.take_while(|word| word != "--");
    while let Some(word) = words.next() {
        if word == OPTION {
            return words.next();
        }
        let joined = word.to_str().and_then(|word| word.strip_prefix(OPTION)?.strip_prefix('='));
        if let Some(home) = joined {
            return Some(home.into());
        }
    }
    None
}

impl HomeOption {
    fn of(home: &str, verbs: impl IntoIterator<Item = String>) -> Self {
        let elsewhere = std::path::absolute(home).ok();
        let elsewhere = elsewhere.and_then(|home| home.to_str().map(quoted));
        Self { home: quoted(home), elsewhere, verbs: verbs.into_iter().collect() }
    }

    fn within<'t>(&self, text: &'t str, home: &str) -> Cow<'t, str> {
        let mut written = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(PROGRAM) {
            let (before, after) = rest.split_at(at + PROGRAM.len());
            written += before;
            // Not the end of another word, such as a path.
            let begins = !rest[..at].ends_with(|c: char| c.is_alphanumeric() || "-_./".contains(c));
            let verb = after.split(|c: char| !(c.is_ascii_lowercase() || c == '-')).next().unwrap_or_default();
            if begins && self.verbs.contains(verb) {
                written += &format!("{OPTION} {home} ");
            }
            rest = after;
        }
        if written.is_empty() {
            return Cow::Borrowed(text);
        }
        Cow::Owned(written + rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_name_the_home_and_other_words_do_not() {
        let option = HomeOption::of("../buyer", ["buy", "login", "change-key"].map(str::to_owned));
        let within = |text| option.within(text, &option.home);
        assert!(option.elsewhere.as_ref().is_some_and(|home| home != "../buyer"));
        for (text, shown) in [
            ("portcullis buy acme/a", "portcullis --home ../buyer buy acme/a"),
            (
                "buy it: `portcullis buy a`, or `portcullis login`",
                "buy it: `portcullis --home ../buyer buy a`, or `portcullis --home ../buyer login`",
            ),
            ("rm x && portcullis change-key", "rm x && portcullis --home ../buyer change-key"),
        ] {
            assert_eq!(within(text), shown);
        }
        for text in [
            "portcullis",
            "portcullis is",
            "portcullis buyer",
            "portcullis help",
            "portcullis-server buy",
            "portcullis --home x buy",
            "other-portcullis buy",
        ] {
            assert_eq!(within(text), text);
        }
    }

    #[test]
    fn the_home_is_the_one_that_was_typed() {
        let home = |line: &str| named(line.split(' ').map(OsString::from));
        for line in
            ["portcullis --home ./x list", "portcullis list --home=./x", "portcullis list --home ./x -- --home y"]
        {
            assert_eq!(home(line), Some("./x".into()), "{line}");
        }
        for line in ["portcullis list", "portcullis run a/b -- --home y", "portcullis list --homes=y"] {
            assert_eq!(home(line), None, "{line}");
        }
    }
}
