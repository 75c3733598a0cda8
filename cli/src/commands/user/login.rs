//! `portcullis login`: trust a store and sign in to it.

use clap::Args;
use portcullis_host::{Client, ClientError, SignIn};
use portcullis_protocol::text::{counted, shown_line};
use portcullis_protocol::{Origin, Reason, Thumbprint, nearest};
use serde::Serialize;

use crate::context::{Context, origin};
use crate::failure::{Failure, Outcome};
use crate::screen::hint;
use crate::screen::output::{Lines, Report, Screen, date, style};

/// Trust a store and sign in to it
#[derive(Debug, Args)]
pub(crate) struct Login {
    /// The store's address
    #[arg(value_name = "URL", value_parser = origin)]
    server: Origin,
    /// The store's fingerprint, words or thumbprint, as its operator gave it to you; then nothing is asked
    #[arg(long, value_name = "WORDS")]
    fingerprint: Option<String>,
    /// Trust the store without comparing its fingerprint
    #[arg(long, conflicts_with = "fingerprint")]
    yes: bool,
    /// What the store's list of your terminals calls this one; another name for one that is signed in is approved in
    /// the browser, too [default: the machine's name]
    #[arg(long, value_name = "NAME")]
    label: Option<String>,
    /// Do not wait: print the address and the code and end; `portcullis login URL` completes it later
    #[arg(long, conflicts_with = "resume")]
    no_wait: bool,
    /// Only complete what --no-wait began
    #[arg(long, conflicts_with_all = ["fingerprint", "yes", "label"])]
    resume: bool,
}

#[derive(Serialize)]
struct SignedIn {
    server: Origin,
    account: String,
    server_words: String,
    terminal_words: String,
    /// It was so before.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    already: bool,
    /// What the store called the terminal then.
    #[serde(skip)]
    label: String,
}

/// A sign-in that waits for its user, and for `login` to complete it.
#[derive(Serialize)]
struct Aside {
    server: Origin,
    pending: bool,
    url: String,
    url_with_code: String,
    user_code: String,
    expires: u64,
    server_words: String,
    terminal_words: String,
}

impl Login {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let client = context.client()?;
        context.wait(async {
            // A sign-in that waits is completed, unless another one is asked for.
            let waiting =
                if self.no_wait { None } else { client.resume_sign_in(&self.server).await.map_err(advise)? };
            let sign_in = match waiting {
                Some(sign_in) => {
                    if let Some(expected) = &self.fingerprint {
                        check(expected, sign_in.server_root(), &sign_in.server_words())?;
                    }
                    sign_in
                }
                None if self.resume => {
                    let what = format!("no sign-in waits at {}, or its time is over", self.server);
                    return Err(Failure::new(what, format!("begin one: portcullis login --no-wait {}", self.server)));
                }
                None => {
                    if let Some(signed_in) = self.signed_in(&client).await? {
                        if self.label.as_ref().is_none_or(|label| SignIn::label_of(label) == signed_in.label) {
                            context.screen.report(&signed_in);
                            return Ok(());
                        }
                        context.screen.tell(signed_in.to_be_renamed());
                    }
                    let label = self.label.clone().unwrap_or_else(machine);
                    let sign_in = client.sign_in(&self.server, &label).await.map_err(advise)?;
                    self.agree(context.screen, &sign_in)?;
                    sign_in
                }
            };
            if self.no_wait {
                context.screen.report(&Aside::of(&self.server, sign_in)?);
                return Ok(());
            }
            if sign_in.is_approved() {
                context.screen.note("your approval was given; only the store's last answer was missing …");
            } else {
                show(context.screen, &sign_in);
            }
            let done = sign_in.finish().await?;
            context.screen.report(&SignedIn {
                server: done.server,
                account: done.account,
                server_words: done.server_words,
                terminal_words: done.terminal_words,
                already: false,
                label: String::new(),
            });
            Ok(())
        })
    }

    /// Who is signed in, if somebody is and the store still takes it.
    async fn signed_in(&self, client: &Client) -> Outcome<Option<SignedIn>> {
        if !client.is_signed_in(&self.server)? {
            return Ok(None);
        }
        let Some(pin) = client.servers()?.into_iter().find(|pin| pin.origin == self.server) else { return Ok(None) };
        if let Some(expected) = &self.fingerprint {
            check(expected, pin.root.thumbprint(), &pin.words())?;
        }
        let Ok(account) = client.store(&self.server).account().await else { return Ok(None) };
        let terminal = account.terminals.iter().find(|terminal| terminal.current);
        Ok(terminal.map(|terminal| SignedIn {
            server: self.server.clone(),
            account: account.account.clone(),
            server_words: pin.words(),
            terminal_words: terminal.key.words(),
            already: true,
            label: terminal.label.clone(),
        }))
    }

    /// Whether the server is the one that is meant: by its fingerprint, or because a person says so.
    fn agree(&self, screen: Screen, sign_in: &SignIn) -> Outcome {
        let words = sign_in.server_words();
        if let Some(expected) = &self.fingerprint {
            return check(expected, sign_in.server_root(), &words);
        }
        if !sign_in.is_new_server() || self.yes {
            return Ok(());
        }
        let strong = style::STRONG;
        if !screen.can_ask() {
            return Err(Failure::new(
                format!("{} is not trusted yet; its fingerprint is {words}", self.server),
                format!(
                    "compare it with what the store publishes (`portcullis-server init` printed it there), then: \
                     `portcullis login {} --fingerprint {words}`",
                    self.server
                ),
            ));
        }
        if screen.ask(format_args!(
            "{} has the fingerprint\n\n    {strong}{words}{strong:#}\n\nIs that what the store publishes? Trust it?",
            self.server
        )) {
            return Ok(());
        }
        Err(Failure::new("the store is not trusted", "ask the store for its fingerprint, and try again"))
    }
}

impl SignedIn {
    /// Why somebody who is signed in is asked to approve a sign-in.
    fn to_be_renamed(&self) -> String {
        format!(
            "This terminal is signed in as {} already, and the store calls it `{}`. For it to have another name, approve \
             that in a browser, as a sign-in. Until then nothing changes.\n\n",
            shown_line(&self.account),
            shown_line(&self.label)
        )
    }
}

/// What its user has to do. Also for a program: whoever drives it has to approve the code.
fn show(screen: Screen, sign_in: &SignIn) {
    let strong = style::STRONG;
    screen.tell(format_args!(
        "Open {strong}{}{strong:#}\nThe code is {strong}{}{strong:#}. Approve it only if the page shows these words, which are this terminal's:\n\n    {strong}{}{strong:#}\n\n",
        sign_in.url_with_code(),
        sign_in.user_code(),
        sign_in.terminal_words()
    ));
    let minutes = sign_in.expires_in().as_secs().div_ceil(60);
    screen.note(format_args!("waiting for your approval, at most {} …", counted(minutes, "minute")));
}

fn advise(error: ClientError) -> Failure {
    if let ClientError::OtherAddress { .. } = error {
        return error.into();
    }
    let failure = Failure::from(error);
    match failure.reason() {
        Some(Reason::Offline) => {
            failure.with_fix("check the address and the connection; it has to be a Portcullis billing server")
        }
        Some(Reason::ServerUntrusted) => failure.with_fix(
            "do not go on before the store confirms its new key; then `portcullis logout --forget URL` and sign in again",
        ),
        _ => failure,
    }
}

impl Aside {
    fn of(server: &Origin, sign_in: SignIn) -> Outcome<Self> {
        Ok(Self {
            server: server.clone(),
            pending: true,
            url: sign_in.url(),
            url_with_code: sign_in.url_with_code(),
            user_code: sign_in.user_code(),
            server_words: sign_in.server_words(),
            terminal_words: sign_in.terminal_words(),
            expires: sign_in.set_aside()?,
        })
    }
}

impl Report for Aside {
    fn text(&self) -> String {
        let strong = style::STRONG;
        format!(
            "Open {strong}{}{strong:#}\nThe code is {strong}{}{strong:#}, until {}. Approve it only if the page shows these words, which are this terminal's:\n\n    {strong}{}{strong:#}\n\nThen: {} {}\n",
            self.url_with_code,
            self.user_code,
            date(self.expires),
            self.terminal_words,
            hint::typed("portcullis login"),
            self.server
        )
    }
}

/// Words that were mistyped, at most: with more of them it is no fingerprint.
const MISTYPED: usize = 2;

/// Compares the fingerprint given with the one shown: words in any case and with any separator, or the thumbprint.
fn check(expected: &str, root: Thumbprint, words: &str) -> Outcome {
    if expected.trim() == root.to_string() || root.is_said_as(expected) {
        return Ok(());
    }
    let refused = Failure::refusal(
        Reason::ServerUntrusted,
        format!("the store's fingerprint is {words}, and not {expected}: nothing was signed in"),
    );
    let list = Thumbprint::word_list();
    let typed = expected.to_lowercase();
    let typed: Vec<&str> = typed.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    // A thumbprint that was mistyped is no words.
    let are_words = typed.len() == words.split('-').count();
    let mistyped: Vec<String> = typed
        .iter()
        .filter(|word| are_words && !list.contains(word))
        .map(|word| match nearest(word, list.iter().copied()) {
            Some(near) => format!("`{word}` (did you mean `{near}`?)"),
            None => format!("`{word}`"),
        })
        .collect();
    let fix = if mistyped.is_empty() || mistyped.len() > MISTYPED {
        "check the address; do not trust a store whose fingerprint differs".to_owned()
    } else {
        format!("no word of a fingerprint is {}: copy them once more", mistyped.join(", "))
    };
    Err(refused.in_detail().with_fix(fix))
}

/// What the machine calls itself.
fn machine() -> String {
    let name = std::fs::read_to_string("/etc/hostname").ok().or_else(|| std::env::var("COMPUTERNAME").ok());
    name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).unwrap_or_else(|| "terminal".into())
}

impl Report for SignedIn {
    fn text(&self) -> String {
        let good = style::GOOD;
        let mut lines = Lines::default();
        lines.add("account", &self.account).add("store", &self.server_words).add("terminal", &self.terminal_words);
        let (already, after) = match self.already {
            true => {
                let logout = hint::typed("portcullis logout");
                (" already", format!("\nTo sign in as somebody else: `{logout} {}` first\n", self.server))
            }
            false => ("", String::new()),
        };
        format!("{good}signed in{good:#}{already} to {}\n{lines}{after}", self.server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_compared_however_it_is_written() {
        let root = Thumbprint::from_bytes([7; 32]);
        let words = root.words();
        for text in [words.clone(), words.to_uppercase(), words.replace('-', " "), root.to_string()] {
            check(&text, root, &words).expect(&text);
        }
        // One letter wrong is said to be that.
        let first = words.split('-').next().expect("a word");
        let slip = words.replacen(first, &format!("{first}x"), 1);
        let failure = check(&slip, root, &words).expect_err("a word that there is not");
        assert!(failure.fix().contains(&format!("did you mean `{first}`?")), "{}", failure.fix());
        assert!(!failure.to_string().contains("resource"), "{failure}");
        let other = Thumbprint::from_bytes([8; 32]).words();
        assert_eq!(check(&other, root, &words).expect_err("another key").code(), Reason::ServerUntrusted.exit_code());
    }
}
