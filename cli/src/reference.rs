//! `docs/cli.md`, written from the command line's own tree. A test holds the file to it.

use clap::{Arg, Command};
use std::fmt::Write as _;
use std::path::Path;

use crate::verbs::{self, EXAMPLES_HEADING};

/// Set, the test writes the file instead of comparing it.
const UPDATE: &str = "PORTCULLIS_UPDATE";

const HEAD: &str = "\
# The command `portcullis`

Written from the program itself; a test holds this page to it. `portcullis help VERB` says the same.

- **Output.** What was asked for goes to standard output, progress and questions to standard error. With `--json`,
  standard output has exactly one JSON value, of errors too: [json.md](json.md) has the shape of each, and the promise
  that goes with it. Colours vanish where the output is no terminal or `NO_COLOR` is set.
- **Lists.** `list`, `search` and `grants` print columns with a heading on a terminal, as wide as it is. Anything else
  gets a record a line, its fields separated by tabulators, without a heading: `portcullis list | cut -f1`.
- **Foreign text.** Titles, names and messages come from publishers and stores. Control characters, characters that turn
  the direction of writing and characters that cannot be seen are printed as escapes, `\\u{1b}`; in JSON as `\\u001b`.
  What a command resource writes to a terminal keeps its colours, and loses what moves the cursor, hides, retitles or
  asks the terminal something; a file or a pipe gets its bytes as they are.
- **Questions** about money and trust are asked at the controlling terminal (`/dev/tty`), under the heading
  `Portcullis asks:` in inverse video, whatever the standard streams are. Keys that were typed before the question could
  be read do not count, and the resource gets nothing of the answer. A resource can print what looks like such a
  question, and gets what is typed under it: `portcullis` never asks for a password. Without a terminal nothing is asked
  and the answer is no: say `--yes`, for `login` `--fingerprint`, for `run` `--max-spend`. `buy --yes --max-spend
  2.50EUR` buys if the price is not above that. On Windows nothing is asked yet.
- **Signing in.** If you are signed in already, `login` says as whom, and changes nothing. If `--label` names the
  terminal otherwise than the store does, you approve that in a browser, as a sign-in. To sign in as somebody else,
  `logout` first.
- **Files.** `-o FILE` appears under its name when it is whole, and keeps the permissions of the file that it replaces.
  Links are followed; devices, pipes and sockets are written through. A full disk is an error. If the reader of standard
  output goes away (`| head`), the command ends quietly with 141.
- **Exit codes.** 0: done. 1: an error, a store's unsigned no among them. 2: the command line cannot be understood. 3:
  `doctor` or `merchant check` found something wrong. 20 to 54: refused, one code for each reason
  ([refusals.md](refusals.md)). `run` of a command ends with the command's own code.
- **Names.** `publisher/name`, `publisher/name@version`; the publisher may be left out of what is installed. `inspect`
  and `run` take `publisher/name` of what a store sells, too. What begins with `.` or `/`, or ends in `.wasm`, is a
  file. `run FILE` refuses one that the key pinned for its publisher does not stand for, and one that is older than what
  was used before. A file that `seal` wrote stays without a store's countersignature when it is published: what is
  installed and run is the store's own copy of it, by its name, or as a file that came from the store.
- **Rights** are taken in this order, whatever their age: what is free; what is for good, and a rental that was started,
  of which nothing is taken; a rental that was not, whose time begins with that, those that end first before others;
  uses, the oldest first; and the balance last, of which money is taken only for an offer that you agreed to. What ends
  by itself comes before what keeps. `run` says so when a rental pays.
- **Values.** `run --invoke` takes arguments in WAVE, the text form of component values: `1`, `\"text\"`, `[1, 2]`,
  `{width: 640}`, `some(1)`. `@FILE` stands for the bytes of a file. Bytes that a function gives go to `-o FILE`, or raw
  to standard output where that is no terminal.
- **Home.** Keys, pinned stores and installed resources lie in `--home DIR`, else `PORTCULLIS_HOME`, else the platform's
  folder for such data. Keys are readable by their owner only. Checking or sealing a file needs no home. A command
  that was given `--home` names it in the commands that it advises.
- **Stores.** A name that stores which you trust give to different publishers is taken from none of them until you say
  which: `--server URL`. What is installed keeps its store.
- **Proxy.** `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` count, as for curl; servers on this machine are reached directly.
- **Compiled code** is kept between runs in the folder `cache` there, sealed: 512 MiB at most, or what
  `PORTCULLIS_CACHE_SIZE` says (`64M`, `2G`, `0` for none).
- **Streams.** `run publisher/name` of what is not installed keeps what has arrived, as ciphertext, in the folder
  `streams` there, 2 GiB at most. `cache` shows both, `cache clear` removes both.
- **`dev`** leaves your home alone: its store, keys and sales are gone when it ends. That store sells in the currencies
  of the project's prices. It looks for `portcullis-server` beside `portcullis`, or at `PORTCULLIS_SERVER_BIN`.
- **`build`** uses the installed Rust if it has the target `wasm32-unknown-unknown`, else the one that `cargo xtask
  setup` unpacked; `PORTCULLIS_GUEST_TOOLCHAIN` (`rustup`, `debian`, or a folder) chooses. A guest in another language is
  built as that language says (`new --language`). A core module that does not describe its world gets the one of the
  project's folder `wit/`.
";

/// The whole page.
fn page() -> String {
    let mut cli = verbs::command();
    cli.build();
    let mut text = HEAD.to_owned();
    text += "\nGlobal options:\n\n| option | |\n| --- | --- |\n";
    for option in cli.get_arguments().filter(|option| option.get_id() != "help" && option.get_id() != "version") {
        row(&mut text, option);
    }
    for (head, verbs) in verbs::headings() {
        let _ = write!(text, "\n## {head}\n");
        for name in &verbs {
            let verb = cli.find_subcommand_mut(name).unwrap_or_else(|| panic!("no verb `{name}`"));
            section(&mut text, verb, name, 3);
        }
    }
    text
}

/// A verb, and below it what it can be told to do.
fn section(text: &mut String, verb: &mut Command, name: &str, level: usize) {
    let usage = verb.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
    let _ = write!(text, "\n{} {name}\n\n{about}.\n\n```\n{usage}\n```\n", "#".repeat(level));
    let own = |arg: &&Arg| !arg.is_global_set() && arg.get_id() != "help" && arg.get_id() != "version";
    if verb.get_arguments().filter(own).count() > 0 {
        text.push_str("\n| argument | |\n| --- | --- |\n");
        for arg in verb.get_arguments().filter(own) {
            row(text, arg);
        }
    }
    if let Some(after) = verb.get_after_help() {
        let after = after.to_string();
        let (prose, examples) = after.split_once(EXAMPLES_HEADING).unwrap_or((&after, ""));
        if !prose.is_empty() {
            let _ = write!(text, "\n{}\n", prose.trim_end());
        }
        if !examples.is_empty() {
            let lines: Vec<&str> = examples.lines().map(|line| line.strip_prefix("  ").unwrap_or(line)).collect();
            let _ = write!(text, "\n```sh\n{}\n```\n", lines.join("\n"));
        }
    }
    for task in verb.get_subcommands_mut().filter(|task| task.get_name() != "help") {
        let name = format!("{name} {}", task.get_name());
        section(text, task, &name, level + 1);
    }
}

fn row(text: &mut String, arg: &Arg) {
    let value = arg.get_value_names().map(|names| names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" "));
    let takes_value = arg.get_num_args().is_some_and(|range| range.takes_values());
    let value = value.filter(|_| takes_value).unwrap_or_default();
    let may_be_left_out = arg.get_num_args().is_some_and(|range| range.takes_values() && range.min_values() == 0);
    // Behind a space such a value would be the next argument.
    let set = if may_be_left_out && arg.is_require_equals_set() { format!("[={value}]") } else { format!(" {value}") };
    let name = match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(long)) => format!("-{short}, --{long}{set}"),
        (None, Some(long)) => format!("--{long}{set}"),
        (Some(short), None) => format!("-{short} {value}"),
        (None, None) => value,
    };
    let mut help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let choices = arg.get_possible_values();
    let choices: Vec<String> = choices
        .iter()
        .filter(|choice| !choice.is_hide_set())
        .map(|choice| format!("`{}`", choice.get_name()))
        .collect();
    if takes_value && !choices.is_empty() {
        let _ = write!(help, ": {}", choices.join(", "));
    }
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if takes_value && defaults.iter().any(|value| !value.is_empty()) {
        let _ = write!(help, " (default `{}`)", defaults.join(" "));
    }
    if let Some(variable) = arg.get_env() {
        let _ = write!(help, " (or `{}`)", variable.to_string_lossy());
    }
    let _ = writeln!(text, "| `{}` | {} |", name.trim(), help.replace('|', "\\|"));
}

#[test]
fn docs_cli_md_is_what_the_program_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cli.md");
    let page = page();
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, &page).expect("docs/cli.md can be written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/cli.md is out of date: {UPDATE}=1 cargo test -p portcullis-cli reference");
}

#[test]
fn every_verb_is_in_the_page() {
    let page = page();
    for verb in verbs::command().get_subcommands() {
        assert!(page.contains(&format!("\n### {}\n", verb.get_name())), "{}", verb.get_name());
    }
}

#[test]
fn every_verb_says_what_its_json_is() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/json.md");
    let page = std::fs::read_to_string(path).unwrap_or_default();
    for verb in verbs::command().get_subcommands() {
        let name = verb.get_name();
        let section = page.split(&format!("\n### {name}\n")).nth(1).and_then(|rest| rest.split("\n#").next());
        let typed = section.is_some_and(|section| section.contains("```ts\ntype "));
        assert!(typed, "docs/json.md says nothing of `{name}`: add `### {name}` with a ```ts block, its type first");
    }
}
