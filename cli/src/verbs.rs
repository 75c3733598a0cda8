//! The verbs as help shows them: in groups, with examples.

use anstyle::Style;
use clap::{Arg, Command, CommandFactory as _, FromArgMatches as _, Subcommand as _};
use portcullis_arguments::admit_identifiers;
use portcullis_protocol::Money;
use std::any::TypeId;
use std::ffi::OsString;
use std::fmt::Write as _;

use crate::args::Cli;
use crate::commands::machine::Machine;
use crate::commands::publisher::Publisher;
use crate::commands::user::User;
use crate::payment::rights::Time;

/// Whom verbs are for, and which: the lists in `commands/`, each under its heading.
pub(crate) fn headings() -> [(&'static str, Vec<String>); 3] {
    let names = |verbs: Command| verbs.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    let none = || Command::new("portcullis");
    [
        ("For users", names(User::augment_subcommands(none()))),
        ("For publishers", names(Publisher::augment_subcommands(none()))),
        ("For this machine", names(Machine::augment_subcommands(none()))),
    ]
}

/// Stands before the examples in the help of a verb.
pub(crate) const EXAMPLES_HEADING: &str = "Examples:\n";

/// What one types, by verb. A verb that has its own text after its options keeps it before them.
const EXAMPLES: &[(&str, &str)] = &[
    ("login", "portcullis login https://store.example\nportcullis login https://store.example --fingerprint \"WORDS\""),
    ("logout", "portcullis logout\nportcullis logout https://store.example"),
    ("whoami", "portcullis whoami"),
    ("terminals", "portcullis terminals\nportcullis terminals revoke TERMINAL"),
    ("search", "portcullis search alpine lake\nportcullis search --kind picture"),
    ("install", "portcullis install lumen/alpine-lake\nportcullis install ./Downloads/alpine-lake.sealed.wasm"),
    ("buy", "portcullis buy lumen/alpine-lake --operation view\nportcullis buy lumen/alpine-lake --offer ID --yes"),
    ("cancel", "portcullis cancel ORDER-ID"),
    (
        "run",
        "portcullis run acme/hello -- --name Ada\n\
         portcullis run --invoke 'view()' -o lake.jpg lumen/alpine-lake\n\
         portcullis run --max-spend 1.00EUR --invoke 'resize(@in.png, 640, 480, lanczos3)' -o out.png lumen/picos",
    ),
    (
        "pay",
        "portcullis pay https://store.example/pay/OkHFyKhb3vjkK7pSgnvGXDi7vkmQAvG9BLUyFrZhyF8\nportcullis pay games/game-key --quantity 2",
    ),
    ("codes", "portcullis codes\nportcullis codes --watch\nportcullis codes ID --copy"),
    ("redeem", "portcullis redeem XXXXX-XXXXX-XXXXX-XXXXX"),
    ("top-up", "portcullis top-up 5.00EUR"),
    ("balance", "portcullis balance"),
    ("list", "portcullis list\nportcullis list | cut -f1"),
    ("update", "portcullis update\nportcullis update lumen/alpine-lake"),
    ("remove", "portcullis remove lumen/alpine-lake"),
    ("grants", "portcullis grants\nportcullis grants lumen/alpine-lake"),
    ("receipts", "portcullis receipts"),
    ("new", "portcullis new alpine-lake --kind picture --publisher lumen"),
    ("build", "portcullis build alpine-lake"),
    ("dev", "portcullis dev alpine-lake\nportcullis dev alpine-lake --invoke 'view()'"),
    ("keygen", "portcullis keygen\nportcullis keygen --output new.jwk"),
    ("change-key", "portcullis change-key lumen new.jwk"),
    ("seal", "portcullis seal alpine-lake --server https://store.example"),
    ("inspect", "portcullis inspect lumen/alpine-lake\nportcullis inspect lake.sealed.wasm --extract full -o full.age"),
    ("verify", "portcullis verify alpine-lake-1.0.0.sealed.wasm"),
    ("publish", "portcullis publish alpine-lake-1.0.0.sealed.wasm --project alpine-lake"),
    (
        "price",
        "portcullis price lumen/alpine-lake\nportcullis price lumen/alpine-lake --operation view --model perpetual --price 1.99EUR\nportcullis price lumen/alpine-lake --operation view --model uses --count 10 --price 4.99EUR --beside",
    ),
    (
        "gift",
        "portcullis gift lumen/alpine-lake --operation view --count 10 --note press\nportcullis gift lumen/alpine-lake --list",
    ),
    (
        "merchant",
        "portcullis merchant keygen\nportcullis merchant register games --title \"The Games Shop\" --webhook https://games.example/hook\n\
         portcullis merchant sell game-key --title \"Alpine Racer\" --price 20.00EUR\nportcullis merchant check\nportcullis merchant orders",
    ),
    ("withdraw", "portcullis withdraw lumen/alpine-lake@1.0.0 --reason \"wrong file\""),
    ("restore", "portcullis restore lumen/alpine-lake@1.0.0"),
    ("cache", "portcullis cache\nportcullis cache clear"),
    ("doctor", "portcullis doctor"),
];

/// As the parser writes its own headings.
const HEADING: Style = Style::new().bold().underline();

/// What begins with a hyphen may be an amount or a number below zero: then it is read as one, and refused in its own
/// words, not as an option that there is not.
fn taking_negatives(command: Command) -> Command {
    let amounts = [TypeId::of::<Money>(), TypeId::of::<Time>(), TypeId::of::<humantime::Duration>()];
    let numbers = [TypeId::of::<u16>(), TypeId::of::<u32>(), TypeId::of::<u64>(), TypeId::of::<usize>()];
    let is_of = |arg: &Arg, types: &[TypeId]| types.iter().any(|of| arg.get_value_parser().type_id() == *of);
    command
        .mut_args(|arg| {
            if is_of(&arg, &amounts) {
                arg.allow_hyphen_values(true)
            } else if is_of(&arg, &numbers) {
                arg.allow_negative_numbers(true)
            } else {
                arg
            }
        })
        .mut_subcommands(taking_negatives)
}

/// The command line, with its help.
pub(crate) fn command() -> Command {
    let mut cli = taking_negatives(Cli::command()).mut_args(|arg| arg.hide_env_values(true));
    // The value of a variable may be anything; its name says enough.
    cli = cli.mut_subcommands(|verb| verb.mut_args(|arg| arg.hide_env_values(true)));
    for (verb, lines) in EXAMPLES {
        let lines: Vec<String> = lines.lines().map(|line| format!("  {line}")).collect();
        cli = cli.mut_subcommand(verb, |verb| {
            let own = verb.get_after_help().map_or_else(String::new, |text| format!("{text}\n\n"));
            verb.after_help(format!("{own}{EXAMPLES_HEADING}{}", lines.join("\n")))
        });
    }
    let verbs = listed(&cli, width());
    let heading = HEADING;
    cli.help_template(format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n{verbs}\n{heading}Options:{heading:#}\n{{options}}{{after-help}}"
    ))
}

/// Reads the command line of this process.
///
/// # Errors
/// What the parser answers instead: help, a version, or a complaint.
pub(crate) fn read() -> Result<Cli, clap::Error> {
    let words: Vec<OsString> = std::env::args_os().collect();
    let mut command = admit_identifiers(command(), &words);
    let mut matches = command.try_get_matches_from_mut(&words).map_err(|error| as_typed(&words, error))?;
    Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// The complaint about what was typed. Its usage line counts what an environment variable sets as typed, and an option
/// that every verb has as the verb's own; the same complaint without the environment and that option does not.
fn as_typed(words: &[OsString], error: clap::Error) -> clap::Error {
    let words = &without_home(words);
    let command = without_environment(admit_identifiers(command(), words));
    match command.try_get_matches_from(words) {
        Err(typed) if typed.kind() == error.kind() => typed,
        // It is the environment that is wrong.
        _ => error,
    }
}

/// The words without `--home DIR` and `--home=DIR`. What comes after `--` is a resource's.
fn without_home(words: &[OsString]) -> Vec<OsString> {
    let own = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let mut kept = Vec::new();
    let mut rest = words[..own].iter().peekable();
    while let Some(word) = rest.next() {
        // Another option is no folder: the complaint is about that.
        let has_value = |next: &&OsString| !next.as_encoded_bytes().starts_with(b"-");
        let is_whole = word == "--home" && rest.next_if(has_value).is_some();
        if !is_whole && !word.as_encoded_bytes().starts_with(b"--home=") {
            kept.push(word.clone());
        }
    }
    kept.extend_from_slice(&words[own..]);
    kept
}

fn without_environment(command: Command) -> Command {
    let command = command.mut_args(|option| option.env(None));
    command.mut_subcommands(without_environment)
}

/// A command for each group, with its verbs alone: for what writes a list of them under a heading.
pub(crate) fn groups(cli: &Command) -> Vec<Command> {
    let group = |(heading, names): (&'static str, Vec<String>)| {
        let verbs = names.iter().filter_map(|name| cli.find_subcommand(name)).cloned();
        let group = Command::new("portcullis").subcommand_help_heading(heading);
        let group = group.subcommands(verbs).disable_help_subcommand(true);
        group.has_subcommands().then_some(group)
    };
    headings().into_iter().filter_map(group).collect()
}

/// The groups, each verb with the first line of its help.
fn listed(cli: &Command, width: usize) -> String {
    let (heading, literal) = (HEADING, Style::new().bold());
    let groups = headings();
    let column = groups.iter().flat_map(|(_, verbs)| verbs).map(String::len).max().unwrap_or_default();
    let mut text = String::new();
    for (head, verbs) in &groups {
        let _ = write!(text, "\n{heading}{head}:{heading:#}\n");
        for name in verbs {
            let about = cli.find_subcommand(name).and_then(Command::get_about).map(ToString::to_string);
            let about = wrapped(&about.unwrap_or_default(), column + 4, width);
            let _ = writeln!(text, "  {literal}{name:column$}{literal:#}  {about}");
        }
    }
    text
}

/// A text in lines of at most `width`, those after the first indented.
fn wrapped(text: &str, indent: usize, width: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if line > 0 && indent + line + 1 + word.chars().count() > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join(&format!("\n{:indent$}", ""))
}

/// Columns of the terminal, 100 at most as everywhere in help.
fn width() -> usize {
    terminal_size::terminal_size().map_or(100, |(width, _)| usize::from(width.0)).clamp(40, 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_verb_is_in_one_group_and_has_an_example() {
        let cli = command();
        let grouped: Vec<String> = headings().into_iter().flat_map(|(_, verbs)| verbs).collect();
        let verbs: BTreeSet<&str> = cli.get_subcommands().map(Command::get_name).collect();
        assert_eq!(grouped.iter().map(String::as_str).collect::<BTreeSet<_>>(), verbs);
        assert_eq!(grouped.len(), verbs.len(), "no verb twice");
        for verb in cli.get_subcommands() {
            let examples = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(examples.contains("portcullis "), "`{}` has no example", verb.get_name());
        }
    }

    /// What an example names exists: each is read by the parser, but for the words in capital letters.
    #[test]
    fn examples_are_command_lines() {
        for (verb, lines) in EXAMPLES {
            for line in lines.lines().filter(|line| !line.contains('|') && !line.contains("ID")) {
                let words = words(line);
                let read = command().try_get_matches_from(&words);
                assert!(
                    read.is_ok(),
                    "{verb}: {line}: {}",
                    read.err().map(|error| error.to_string()).unwrap_or_default()
                );
            }
        }
    }

    /// Splits a line as a shell does, as far as the examples go.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut quote, mut word) = (Vec::new(), None, String::new());
        for letter in line.chars() {
            match (letter, quote) {
                (' ', None) => words.push(std::mem::take(&mut word)),
                ('\'' | '"', None) => quote = Some(letter),
                (_, Some(open)) if open == letter => quote = None,
                _ => word.push(letter),
            }
        }
        words.push(word);
        words
    }

    /// What is below zero is refused for that, and not as an option that there is not.
    #[test]
    fn amounts_and_numbers_below_zero_are_read() {
        for (line, said) in [
            ("portcullis price a/b --operation view --model perpetual --price '-1.49 EUR'", "out of range"),
            ("portcullis price a/b --operation view --model uses --count -1 --price 1.00EUR", "at least 1"),
            ("portcullis price a/b --operation view --model uses --count 0 --price 1.00EUR", "at least 1"),
            ("portcullis price a/b --operation view --model rental --start-within -3d", "write a time such as"),
            ("portcullis gift a/b --count -1", "1..=1000"),
            ("portcullis gift a/b --count 1001", "1..=1000"),
            ("portcullis top-up -5EUR", "out of range"),
            ("portcullis run a/b --max-spend -1.00EUR", "out of range"),
            ("portcullis search --page -1", "-1 is not in"),
            ("portcullis codes AAAA", "22 letters"),
            ("portcullis codes AAAA", "`portcullis codes` lists them"),
        ] {
            let error = command().try_get_matches_from(words(line)).expect_err(line).to_string();
            assert!(error.contains(said) && !error.contains("unexpected argument"), "{line}: {error}");
        }
        // The control: an option that there is not is one.
        let error = command().try_get_matches_from(words("portcullis top-up 5EUR --yess")).expect_err("no option");
        assert!(error.to_string().contains("unexpected argument '--yess'"), "{error}");
    }

    /// Every argument takes an identifier that begins with a hyphen, or says itself what is wrong with it; options
    /// around it stay options.
    #[test]
    fn identifiers_that_begin_with_a_hyphen_are_no_options() {
        let order = "-hL8yClTT2PVdCHnrjFzEg";
        let digest = "--WL8yClTT2PVdCHnrjFzER5YFRfEbIU9FxCFFLFY0A";
        let read = |line: &str| {
            let words: Vec<OsString> = words(line).into_iter().map(OsString::from).collect();
            admit_identifiers(command(), &words).try_get_matches_from(words)
        };
        for line in [
            format!("portcullis codes {order} --json"),
            format!("portcullis codes --json {order}"),
            format!("portcullis terminals revoke {order} --json"),
            format!("portcullis login https://store.example --fingerprint {digest} --json"),
        ] {
            let matches = read(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert!(matches.subcommand().expect("a verb").1.get_flag("json"), "{line}");
        }
        for (line, said) in [
            // Without its last letter, and in place of a number.
            (format!("portcullis codes {}", &order[..21]), "22 letters"),
            (format!("portcullis gift a/b --count {order}"), "invalid digit"),
            // The controls: an option that there is not, beside one and alone, and what a resource is given.
            (format!("portcullis codes {order} --jsno"), "--jsno"),
            ("portcullis codes --jsno".to_owned(), "unexpected argument '--jsno'"),
            (format!("portcullis install --jsno -- {order}"), "unexpected argument '--jsno'"),
        ] {
            let error = read(&line).expect_err(&line).to_string();
            assert!(error.contains(said), "{line}: {error}");
        }
    }

    /// Global options come from the environment, too, and are not to be typed then; nor are they the verb's.
    #[test]
    fn usage_has_no_option_that_the_environment_gave() {
        let words = words("portcullis price a/b --model uses");
        let given = command().mut_arg("home", |home| home.env(None).default_value("/home"));
        assert!(given.try_get_matches_from(&words).is_err());
        let typed: Vec<OsString> = words.iter().map(OsString::from).collect();
        let error = command().try_get_matches_from(&words).expect_err("no operation");
        assert!(!as_typed(&typed, error).to_string().contains("--home"));
        for line in ["portcullis --home ./x price a/b --model uses", "portcullis price a/b --home=./x --model uses"] {
            let typed: Vec<OsString> = self::words(line).into_iter().map(OsString::from).collect();
            let error = command().try_get_matches_from(&typed).expect_err("no operation");
            assert!(!as_typed(&typed, error).to_string().contains("--home"), "{line}");
        }
        // The control: a complaint about the option itself stays.
        let typed = ["portcullis", "list", "--home"].map(OsString::from);
        let error = command().try_get_matches_from(&typed).expect_err("no folder");
        assert!(as_typed(&typed, error).to_string().contains("--home"));
    }

    #[test]
    fn long_help_is_wrapped() {
        assert_eq!(wrapped("one two three", 4, 12), "one two\n    three");
        assert!(listed(&command(), 60).lines().all(|line| anstream::adapter::strip_str(line).to_string().len() <= 62));
    }

    #[test]
    fn the_tree_is_sound() {
        command().debug_assert();
        admit_identifiers(command(), &["-hL8yClTT2PVdCHnrjFzEg".into()]).debug_assert();
    }

    /// The words of a command line, with something in place of each placeholder.
    fn typed(line: &str) -> Vec<String> {
        let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
        for letter in line.chars() {
            match (quote, letter) {
                (Some(open), close) if open == close => quote = None,
                (None, '"' | '\'') => {
                    word.get_or_insert_default();
                    quote = Some(letter);
                }
                (None, ' ') => words.extend(word.take()),
                _ => word.get_or_insert_default().push(letter),
            }
        }
        words.extend(word);
        let name = if words.iter().any(|word| word == "new" || word == "merchant") { "lake" } else { "acme/lake" };
        let filled = |word: String| match word.as_str() {
            "NAME" => name.to_owned(),
            "URL" | "http://STORE" => "https://store.example".to_owned(),
            "AMOUNT" => "1.00EUR".to_owned(),
            "FILE" => "file.wasm".to_owned(),
            "[ID]" => "AAAAAAAAAAAAAAAAAAAAAA".to_owned(),
            _ => word,
        };
        words.into_iter().map(filled).collect()
    }

    /// Every command that advice names can be typed as it stands.
    #[test]
    fn advice_names_commands_that_there_are() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transcripts");
        let mut lines: Vec<String> = portcullis_protocol::Reason::ALL.iter().map(|r| r.advice().to_owned()).collect();
        lines.push(portcullis_protocol::Reason::OTHER_ADVICE.to_owned());
        for file in std::fs::read_dir(folder).expect("transcripts").flatten() {
            let text = std::fs::read_to_string(file.path()).expect("a transcript");
            let fix = text.lines().filter_map(|line| line.strip_prefix("!   fix   "));
            // What is not in quotes is the whole line.
            lines.extend(
                fix.map(|fix| if fix.starts_with("portcullis ") { format!("`{fix}`") } else { fix.to_owned() }),
            );
        }
        let mut tried = 0;
        for line in lines {
            for advised in line.split('`').skip(1).step_by(2).filter(|piece| piece.starts_with("portcullis ")) {
                let parsed = command().try_get_matches_from(typed(advised));
                let is_help = |error: &clap::Error| error.kind() == clap::error::ErrorKind::DisplayHelp;
                assert!(
                    parsed.as_ref().is_ok_and(|_| true) || parsed.as_ref().is_err_and(is_help),
                    "`{advised}`: {line}"
                );
                tried += 1;
            }
        }
        assert!(tried > 20, "{tried} commands");
    }
}
