//! Attacks on who reads and types: what is written to a terminal, and what is typed at it. If a terminal is needed,
//! it is a real one: a pseudo-terminal, with the real command, a real server and a resource that means harm.

use super::surgery::{MANIFEST, Pieces, sign_as};
use super::{Arena, Outcome, Trial, attacks};
use crate::Terminal;
use anyhow::{Context as _, Result, anyhow};
use portcullis_fixtures::{Act, Pty, disturbs, foreign_manifest, scripted_project};
use portcullis_protocol::sealed::Sealed;
use serde_json::{Value, json};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

attacks! {
    "typed-ahead-yes" => typed_ahead_yes,
    "answer-read-by-the-resource" => answer_read_by_the_resource,
    "output-that-hides-the-price" => output_that_hides_the_price,
    "terminal-asked-to-type" => terminal_asked_to_type,
    "escape-sequences-in-a-manifest" => escape_sequences_in_a_manifest,
    "escape-sequences-from-a-store" => escape_sequences_from_a_store,
}

/// What stands behind a question when an answer counts.
const CHOICES: &str = "Go on? [y/N/a(lways up to a cap)] ";
const PRICE: &str = "this run takes 100: 100.00 EUR";
/// Clears the screen, moves, retitles, turns the direction; with control characters of seven and of eight bits.
const EVIL: &str = "\u{1b}[2J\u{1b}[H\u{9b}2J\u{1b}]0;t\u{7}\u{202e}\u{8}\r\nverified: signed by x";

/// A user with 200 EUR paid in, at a terminal, who has installed a command that a thief sells.
struct Theatre {
    user: Terminal,
    folder: PathBuf,
    name: &'static str,
}

impl Theatre {
    async fn open(arena: &mut Arena, name: &'static str, acts: &[Act]) -> Result<Self> {
        let folder = arena.fresh_path();
        fs::create_dir_all(&folder)?;
        let shop = arena.shop().await?;
        let (thief, user) = (Terminal::new(folder.join("thief")), Terminal::new(folder.join("user")));
        for terminal in [&thief, &user] {
            let mut browser = shop.person().await?;
            terminal.login(&shop.server, &mut browser).await?;
        }
        scripted_project(&folder.join(name), name, name, acts);
        for line in
            [&["keygen"][..], &["seal", name, "-o", "sealed.wasm"], &["publish", "sealed.wasm", "--project", name]]
        {
            thief.run_in(&folder, line)?.done()?;
        }
        let theatre = Self { user, folder, name };
        for line in [&["install", &theatre.resource()][..], &["top-up", "200.00EUR", "--yes"]] {
            theatre.user.run_in(&theatre.folder, line)?.done()?;
        }
        Ok(theatre)
    }

    fn resource(&self) -> String {
        format!("{0}/{0}", self.name)
    }

    fn run(&self) -> Result<Pty> {
        let mut command = self.user.command()?;
        Pty::start(command.args(["run", &self.resource()]).current_dir(&self.folder))
    }

    fn left(&self) -> Result<String> {
        let said = self.user.run_in(&self.folder, &["--json", "balance"])?.done()?.json()?;
        Ok(said["balances"][0]["balance"].as_str().context("a balance")?.to_owned())
    }
}

/// A program that is no part of ours, at a terminal of its own: it writes these bytes and ends.
fn written_by_cat(theatre: &Theatre, bytes: &[u8]) -> Result<Pty> {
    let file = theatre.folder.join("bytes");
    fs::write(&file, bytes)?;
    let mut pty = Pty::start(Command::new("sh").args(["-c", "cat \"$0\"; sleep 1"]).arg(&file))?;
    while pty.raw().len() < bytes.len() {
        pty.wait_for("")?;
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(pty)
}

/// Asks something harmless, computes until the user has answered it, then requests what costs money.
async fn typed_ahead_yes(arena: &mut Arena) -> Result<Outcome> {
    let acts = [Act::Say(b"Accept the licence? [y/N] ".to_vec()), Act::Spin(1_000), Act::Ask("ink", 100), Act::Read];
    let theatre = Theatre::open(arena, "eager", &acts).await?;
    let mut trial = Trial::new();
    let mut pty = theatre.run()?;
    pty.wait_for("Accept the licence?")?;
    pty.type_in("y\ny\ny\n");
    pty.wait_for(PRICE)?;
    // Without an end, so that some arrive together with the question.
    for _ in 0..20 {
        pty.type_in("y");
        std::thread::sleep(Duration::from_millis(20));
    }
    pty.wait_for(CHOICES)?;
    trial.attack_fails("a yes typed before the question", "dropped", theatre.left()? == "200.00 EUR");
    pty.type_in("\n");
    let refused = pty.wait_for("refused");
    trial.attack_fails("a yes typed in the moment of the question", "dropped", refused.is_ok());
    pty.type_in("\n");
    pty.end()?;
    trial.attack_fails("money drawn for it", "nothing was drawn", theatre.left()? == "200.00 EUR");

    let mut pty = theatre.run()?;
    pty.wait_for(CHOICES)?;
    pty.type_in("y\n");
    trial.control("the same keys after the question are a yes", pty.wait_for("granted").is_ok());
    pty.type_in("\n");
    pty.end()?;
    trial.control("and 100.00 EUR are drawn", theatre.left()? == "100.00 EUR");
    // What makes the attack: a terminal keeps what is typed for whoever reads it next.
    let mut sh =
        Pty::start(Command::new("sh").args(["-c", "printf 'licence? '; sleep 1; read answer; echo \"got<$answer>\""]))?;
    sh.wait_for("licence? ")?;
    sh.type_in("y\n");
    trial.control("a program that drops nothing takes the early yes", sh.wait_for("got<y>").is_ok());
    Ok(trial.finish())
}

/// Waits for input itself when it requests: the answer to the host's question is typed at the same terminal.
async fn answer_read_by_the_resource(arena: &mut Arena) -> Result<Outcome> {
    let acts = [Act::Peek, Act::Spin(300), Act::Ask("ink", 1), Act::Read];
    let theatre = Theatre::open(arena, "curious", &acts).await?;
    let mut trial = Trial::new();
    let mut pty = theatre.run()?;
    pty.wait_for(CHOICES)?;
    pty.type_in("y\n");
    trial.control("the answer reaches the host", pty.wait_for("granted").is_ok());
    pty.type_in("for the resource\n");
    let (_, said) = pty.end()?;
    trial.attack_fails("reading the answer", "held back", !said.contains("<y\n>"));
    trial.control("what is typed afterwards reaches the resource", said.contains("<for the resource\n>"));
    Ok(trial.finish())
}

/// Leaves the screen so that the price cannot be seen, or with a question of its own that looks like the host's.
async fn output_that_hides_the_price(arena: &mut Arena) -> Result<Outcome> {
    let hides = "\u{1b}[2J\u{1b}[H\u{1b}[?1049h\u{1b}[?25l\u{1b}[40;40r\u{1b}[8m\u{1b}[30;40m";
    let imitates = "\u{1b}[0;7m Portcullis asks: \u{1b}[0m\r\nCosts 0.00 EUR. Buy? [y/N] ";
    let half = "\u{1b}]2;what follows is a title ";
    let [imitation, hiding] = [imitates, hides].map(|text| Act::Say(text.as_bytes().to_vec()));
    let acts = [imitation, hiding, Act::Complain(half.as_bytes().to_vec()), Act::Spin(300), Act::Ask("ink", 100)];
    let theatre = Theatre::open(arena, "hidden", &acts).await?;
    let mut trial = Trial::new();
    let mut pty = theatre.run()?;
    pty.wait_for("Costs 0.00 EUR")?;
    trial.attack_fails("imitating the question", "inverse video is the host's", !pty.shows_inverse("Portcullis asks:"));
    pty.wait_for(CHOICES)?;
    let seen = pty.screen().contains(PRICE);
    trial.attack_fails("hiding the price", "the filter, and a terminal put in order", seen);
    trial.control("the host's own heading is in inverse video", pty.shows_inverse("Portcullis asks:"));
    pty.type_in("n\n");
    pty.wait_for("refused")?;
    pty.end()?;
    trial.attack_fails("money drawn", "nothing was drawn", theatre.left()? == "200.00 EUR");
    let unfiltered = written_by_cat(&theatre, format!("{imitates}{hides}{half}{PRICE}").as_bytes())?;
    trial.control("unfiltered, the same bytes hide what is written after them", !unfiltered.screen().contains(PRICE));
    let unfiltered = written_by_cat(&theatre, imitates.as_bytes())?;
    trial.control("and imitate the heading", unfiltered.shows_inverse("Portcullis asks:"));
    Ok(trial.finish())
}

/// Has the terminal type: its position, its title, its answerback message, as input of whoever asks next.
async fn terminal_asked_to_type(arena: &mut Arena) -> Result<Outcome> {
    let asks = "\u{1b}[6n\u{1b}[5n\u{1b}[c\u{1b}[>c\u{1b}]2;y\u{7}\u{1b}[21t\u{1b}]10;?\u{7}\u{5}";
    let mut acts: Vec<Act> = vec![Act::Say(asks.as_bytes().to_vec())];
    // In writes of one byte as well.
    acts.extend(asks.bytes().map(|byte| Act::Complain(vec![byte])));
    acts.extend([Act::Say(b"set\n".to_vec()), Act::Ask("ink", 100)]);
    let theatre = Theatre::open(arena, "asker", &acts).await?;
    let mut trial = Trial::new();
    let mut pty = theatre.run()?;
    pty.wait_for("set\n")?;
    pty.wait_for(CHOICES)?;
    trial.attack_fails("asking the terminal for its state", "never sent", pty.answered() == 0);
    pty.type_in("\n");
    pty.wait_for("refused")?;
    pty.end()?;
    trial.attack_fails("money drawn for what it typed", "nothing was drawn", theatre.left()? == "200.00 EUR");
    let unfiltered = written_by_cat(&theatre, asks.as_bytes())?;
    trial.control("asked by another program, the same terminal types", unfiltered.answered() > 0);
    Ok(trial.finish())
}

/// Whether everything in it may be shown.
fn harmless(said: &str) -> bool {
    !said.chars().any(|c| disturbs(c) && !"\n\t".contains(c)) && !said.lines().any(|line| line.starts_with("verified"))
}

/// A file that speaks to the terminal of whoever looks at it, in the names of its manifest's members and in its texts.
async fn escape_sequences_in_a_manifest(arena: &mut Arena) -> Result<Outcome> {
    let folder = arena.fresh_path();
    fs::create_dir_all(&folder)?;
    let terminal = Terminal::new(folder.join("home"));
    let said = |file: &[u8], verb: &str| -> Result<String> {
        fs::write(folder.join("file.wasm"), file)?;
        let ran = terminal.run_in(&folder, &[verb, "./file.wasm"])?;
        Ok(String::from_utf8(ran.stdout)? + &ran.stderr)
    };
    let mut trial = Trial::new();
    let refused = "control, direction or invisible character";
    for (what, manifest) in [("member", json!({ EVIL: 1 })), ("text", json!({ "title": EVIL }))] {
        let file = foreign_manifest(manifest.to_string().as_bytes());
        for verb in ["verify", "inspect", "run", "install"] {
            let said = said(&file, verb)?;
            trial.attack_fails(&format!("a {what}, by `{verb}`"), "nothing to obey", harmless(&said));
            trial.attack::<(), _>(&format!("a {what}, taken by `{verb}`"), refused, Err(anyhow!("{said}")));
        }
    }
    let named = said(&foreign_manifest(b"{\"harmless\":1}"), "verify")?;
    trial.control("a harmless name of a member that nobody knows is repeated", named.contains("harmless"));

    // Signed as its publisher signs, by a tool that refuses nothing.
    let shop = arena.shop().await?;
    let key = shop.key.clone();
    let with_media_type = |media_type: &str| -> Result<Vec<u8>> {
        let sealed = shop.seal("lumen", &key, "7.0.0")?;
        let mut pieces = Pieces::of(&sealed)?;
        let mut manifest = Sealed::open(sealed)?.manifest().clone();
        manifest.parts.last_mut().context("a part")?.media_type = media_type.into();
        *pieces.data(MANIFEST)? = sign_as(&manifest, &key)?;
        Ok(pieces.file())
    };
    let (evil, honest) = (with_media_type("text/\u{1b}[2J")?, with_media_type("text/markdown")?);
    let answer = shop.publisher.send(&portcullis_fixtures::Draft::upload(&evil)).await?;
    let taken = if answer.status.is_success() { Ok(()) } else { Err(anyhow!("{}", answer.text())) };
    trial.attack("a media type, published", refused, taken);
    trial.attack("a media type, opened", refused, Sealed::open(evil));
    trial.control("another media type, signed by the same tool, opens", Sealed::open(honest).is_ok());
    Ok(trial.finish())
}

/// A server that answers everything with this.
fn answering(answer: String) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let origin = format!("http://{}", listener.local_addr()?);
    // Ends with the process.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    Ok(origin)
}

/// A store that nobody trusts yet speaks to the terminal of whoever looks at it.
async fn escape_sequences_from_a_store(arena: &mut Arena) -> Result<Outcome> {
    let folder = arena.fresh_path();
    fs::create_dir_all(&folder)?;
    let terminal = Terminal::new(folder.join("home"));
    let answer = |status: &str, kind: &str, body: &str| {
        let length = body.len();
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    };
    let login = |answer: String| -> Result<String> {
        let origin = answering(answer)?;
        let ran = terminal.run_in(&folder, &["login", &origin, "--yes"])?;
        Ok(String::from_utf8(ran.stdout)? + &ran.stderr)
    };
    let problem = |text: &str| {
        let body = json!({"type": "about:blank", "title": text, "status": 403, "detail": text});
        answer("403 Forbidden", "application/problem+json", &body.to_string())
    };
    let mut trial = Trial::new();
    for (what, answer) in [
        ("a problem's detail", problem(EVIL)),
        ("a member of the key document", answer("200 OK", "application/json", &json!({ EVIL: 1 }).to_string())),
        ("a key", answer("200 OK", "application/json", &json!({"root": EVIL, "keys": EVIL, "api": EVIL}).to_string())),
        ("a body", answer("200 OK", "application/json", EVIL)),
        ("a reason phrase", "HTTP/1.1 500 \u{9b}2J\u{202e}\r\ncontent-length: 0\r\n\r\n".to_owned()),
        ("a redirect", "HTTP/1.1 302 Found\r\nlocation: /\u{9b}2J\r\ncontent-length: 0\r\n\r\n".to_owned()),
        ("no HTTP at all", EVIL.to_owned()),
    ] {
        let said = login(answer)?;
        trial.attack_fails(what, "nothing to obey", harmless(&said));
    }
    // What is harmless is passed on: the filter, not silence, is what stops the rest.
    let honest: Value = terminal.run_in(&folder, &["--json", "verify", "no\u{1b}such\u{9b}file"])?.json()?;
    let named = honest["error"]["message"].as_str().is_some_and(|text| text.contains("no\u{1b}such\u{9b}file"));
    trial.control("a program gets the text itself, escaped as JSON escapes", named);
    let shop = arena.shop().await?;
    let ran = terminal
        .run_in(&folder, &["login", shop.server.origin(), "--no-wait", "--fingerprint", shop.server.words()])?;
    trial.control("an honest store is asked, and its words are shown", ran.exit == 0);
    Ok(trial.finish())
}
