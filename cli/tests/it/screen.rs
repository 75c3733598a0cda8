//! A resource and the host at one terminal: what the one writes cannot hide or answer what the other asks.

#![cfg(target_os = "linux")]

use portcullis_fixtures::{Act, Pty, scripted_project};
use std::process::Stdio;
use std::time::Duration;

use crate::stage::Stage;

const CHOICES: &str = "Go on? [y/N/a(lways up to a cap)] ";
const HUNDRED: &str = "Costs 1.00 EUR per unit; this run takes 100: 100.00 EUR. Spent so far 0.00 EUR. Go on?";

/// A store with a user who has paid in 200 EUR, and a publisher.
struct Theatre(Stage);

impl Theatre {
    fn open() -> Self {
        let stage = Stage::with_store();
        stage.login("publisher");
        stage.succeed("publisher", &["keygen"]);
        stage.login("user");
        stage.succeed("user", &["top-up", "200.00EUR", "--yes"]);
        Self(stage)
    }

    /// Sells a command that does this, and installs it.
    fn play(&self, name: &str, acts: &[Act]) {
        let stage = &self.0;
        scripted_project(&stage.path(name), "acme", name, acts);
        let file = format!("{name}.sealed.wasm");
        stage.succeed("publisher", &["seal", name, "--output", &file]);
        stage.succeed("publisher", &["publish", &file, "--project", name]);
        stage.succeed("user", &["install", &format!("acme/{name}")]);
    }

    fn start(&self, arguments: &[&str]) -> Pty {
        Pty::start(self.0.command("user").args(arguments)).expect("a terminal")
    }

    fn left(&self) -> String {
        let balance = self.0.succeed("user", &["--json", "balance"]).stdout;
        let balance: serde_json::Value = serde_json::from_slice(&balance).expect("JSON");
        balance["balances"][0]["balance"].as_str().expect("a balance").to_owned()
    }
}

fn say(text: &str) -> Act {
    Act::Say(text.as_bytes().to_vec())
}

#[test]
fn what_was_typed_ahead_answers_no_question_about_money() {
    let theatre = Theatre::open();
    theatre.play("eager", &[say("Accept the licence? [y/N] "), Act::Spin(1500), Act::Ask("ink", 100), Act::Read]);
    let mut pty = theatre.start(&["run", "eager"]);
    pty.wait_for("Accept the licence? [y/N] ").expect("the resource's own question");
    pty.type_in("y\ny\ny\n");
    pty.wait_for("Portcullis asks:").expect("the host's question");
    pty.wait_for(HUNDRED).expect("the price");
    // And in the moment of the question: keys without an end.
    for _ in 0..20 {
        pty.type_in("y");
        std::thread::sleep(Duration::from_millis(20));
    }
    pty.wait_for(CHOICES).expect("the choices");
    assert_eq!(theatre.left(), "200.00 EUR", "nobody has agreed");
    pty.type_in("\n");
    pty.wait_for("refused").expect("no means no");
    pty.type_in("mine\n");
    let (code, said) = pty.end().expect("it ends");
    assert_eq!((code, theatre.left().as_str()), (Some(0), "200.00 EUR"), "{said}");
    assert!(said.contains("<mine\n>"), "what is typed afterwards is the resource's: {said}");

    // The same answer, given to the question that it answers.
    let mut pty = theatre.start(&["run", "eager"]);
    pty.wait_for(CHOICES).expect("the choices");
    pty.type_in("y\n");
    pty.wait_for("granted").expect("yes means yes");
    pty.type_in("mine\n");
    let (code, said) = pty.end().expect("it ends");
    assert_eq!((code, theatre.left().as_str()), (Some(0), "100.00 EUR"), "{said}");
}

#[test]
fn the_answer_is_the_hosts_alone() {
    let theatre = Theatre::open();
    theatre.play("curious", &[Act::Peek, Act::Spin(300), Act::Ask("ink", 1), Act::Read]);
    let mut pty = theatre.start(&["run", "curious"]);
    pty.wait_for(CHOICES).expect("asked, though the resource waits for input already");
    pty.type_in("y\n");
    pty.wait_for("granted").expect("the answer arrived");
    pty.type_in("for the resource\n");
    let (code, said) = pty.end().expect("it ends");
    assert_eq!((code, theatre.left().as_str()), (Some(0), "199.00 EUR"), "{said}");
    assert!(said.contains("<for the resource\n>"), "{said}");
    assert!(!said.contains("<y\n>"), "{said}");
}

#[test]
fn output_can_neither_hide_nor_imitate_a_question() {
    let hides = "\u{1b}[2J\u{1b}[H\u{1b}[?1049h\u{1b}[?25l\u{1b}[5;6r\u{1b}[?7l\u{1b}[8m\u{1b}[30;40m\u{1b}(0\u{1b}]0;free\u{7}\u{9b}8m";
    let imitates = "\u{1b}[0;7m Portcullis asks: \u{1b}[0m\nCosts 0.00 EUR. Buy? [y/N] \u{1b}[31m";
    let half = "\u{1b}]2;everything after this is a title";
    let theatre = Theatre::open();
    let acts = [say(hides), say(imitates), Act::Complain(half.into()), Act::Spin(300), Act::Ask("ink", 100)];
    theatre
        .play("hidden", &[&acts[..], &[say("\u{1b}[2J\u{1b}[1;1H"), Act::Complain("\u{1b}\\done\n".into())]].concat());
    let mut pty = theatre.start(&["run", "hidden"]);
    pty.wait_for("Costs 0.00 EUR").expect("the imitation");
    assert!(!pty.shows_inverse("Portcullis asks:"), "inverse video is the host's: {}", pty.screen());
    pty.wait_for(CHOICES).expect("the choices");
    let screen = pty.screen();
    assert!(screen.contains(HUNDRED), "{screen}");
    assert!(pty.shows_inverse("Portcullis asks:"), "{screen}");
    pty.type_in("n\n");
    pty.wait_for("done").expect("it goes on");
    let raw = pty.raw();
    let raw = String::from_utf8_lossy(&raw);
    for sequence in
        ["\u{1b}[2J", "\u{1b}[H", "\u{1b}[?1049h", "\u{1b}[?25l", "\u{1b}[8m", "\u{1b}]", "\u{1b}[5;6r", "\u{9b}"]
    {
        assert!(!raw.contains(sequence), "{sequence:?} reached the terminal: {raw:?}");
    }
    assert!(raw.contains("\u{1b}[31m"), "colours stay");
    let (code, said) = pty.end().expect("it ends");
    assert_eq!((code, theatre.left().as_str()), (Some(0), "200.00 EUR"), "{said}");
}

#[test]
fn a_terminal_is_not_asked_to_type() {
    let asks = "\u{1b}[6n\u{1b}[5n\u{1b}[c\u{1b}[>c\u{1b}]2;y\u{7}\u{1b}[21t\u{1b}]10;?\u{7}\u{5}ready\n";
    let theatre = Theatre::open();
    // An hour of computing in writes of one byte, as a sequence would slip through that is filtered by the write.
    let split: Vec<Act> = asks.bytes().map(|byte| Act::Say(vec![byte])).collect();
    theatre.play("asker", &[&[say(asks)], &split[..], &[say("set\n"), Act::Read]].concat());
    let mut pty = theatre.start(&["run", "asker"]);
    pty.wait_for("set\n").expect("written");
    assert_eq!(pty.answered(), 0, "{:?}", String::from_utf8_lossy(&pty.raw()));
    pty.type_in("me\n");
    let (code, said) = pty.end().expect("it ends");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("<me\n>"), "{said}");

    // A program gets the bytes as they are.
    let run = theatre.0.command("user").args(["run", "asker"]).stdin(Stdio::null()).output().expect("it runs");
    assert_eq!(run.stdout, format!("{asks}{asks}set\n<>\n").into_bytes());
}

#[test]
fn a_resource_reads_what_is_typed_line_by_line() {
    let theatre = Theatre::open();
    theatre.play("reader", &[say("one? "), Act::Read, say("two? "), Act::Read]);
    let mut pty = theatre.start(&["run", "reader"]);
    for (question, answer) in [("one? ", "first\n"), ("two? ", "second\n")] {
        pty.wait_for(question).expect("asked");
        pty.type_in(answer);
    }
    let (code, said) = pty.end().expect("it ends");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("<first\n>") && said.contains("<second\n>"), "{said}");
}
