//! The commands that a text names, so that its reader types them: with the home folder of the command that prints it.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ffi::OsString;
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
    verbs: BTreeSet<String>,
}

/// From now on the commands in texts go to the home folder that this command line names, if it names one. One that the
/// environment names holds for what is typed next without a word.
pub(crate) fn follow(words: impl Iterator<Item = OsString>, verbs: impl IntoIterator<Item = String>) {
    if let Some(home) = named(words) {
        let home = quoted(home.to_string_lossy());
        let _ = HOME.set(HomeOption { home, verbs: verbs.into_iter().collect() });
    }
}

/// The text with its commands as they have to be typed.
pub(crate) fn typed(text: &str) -> Cow<'_, str> {
    HOME.get().map_or(Cow::Borrowed(text), |home| home.within(text))
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
    fn within<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut written = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(PROGRAM) {
            let (before, after) = rest.split_at(at + PROGRAM.len());
            written += before;
            // Not the end of another word, such as a path.
            let begins = !rest[..at].ends_with(|c: char| c.is_alphanumeric() || "-_./".contains(c));
            let verb = after.split(|c: char| !(c.is_ascii_lowercase() || c == '-')).next().unwrap_or_default();
            if begins && self.verbs.contains(verb) {
                written += &format!("{OPTION} {} ", self.home);
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
        let verbs = ["buy", "login", "change-key"].map(str::to_owned).into();
        let home = HomeOption { home: "../buyer".into(), verbs };
        for (text, shown) in [
            ("portcullis buy acme/a", "portcullis --home ../buyer buy acme/a"),
            (
                "buy it: `portcullis buy a`, or `portcullis login`",
                "buy it: `portcullis --home ../buyer buy a`, or `portcullis --home ../buyer login`",
            ),
            ("rm x && portcullis change-key", "rm x && portcullis --home ../buyer change-key"),
        ] {
            assert_eq!(home.within(text), shown);
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
            assert_eq!(home.within(text), text);
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
