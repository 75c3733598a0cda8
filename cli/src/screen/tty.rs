//! Questions: put to the person at the controlling terminal, whatever the standard streams are.
//!
//! A resource that runs shares the terminal with the host that asks about it. It may have asked something itself a
//! moment ago, in words that invite the very answer; it may have left the screen in a state that hides the price. So
//! before an answer counts:
//!
//! 1. The resource is held back: nothing of it is shown, and nothing that is typed reaches it.
//! 2. The terminal is put into a state that shows what is written, and the question stands in lines of its own, under a
//!    heading in inverse video. A resource can paint one that looks like it; what is typed under that reaches the
//!    resource alone. So the heading proves nothing, and nobody is asked for a secret under it.
//! 3. What was typed before is dropped, and so is what arrives until nothing has been typed for a while: an answer is
//!    one to a question that could be read. Only then the choices appear and an answer is read.

use std::io;
use std::sync::atomic::AtomicBool;

#[cfg(unix)]
pub(crate) use unix::Tty;

/// If there is no way to drop what was typed ahead, nobody is asked: the command line says yes or no.
#[cfg(not(unix))]
pub(crate) struct Tty(std::convert::Infallible);

#[cfg(not(unix))]
impl Tty {
    pub(crate) fn open() -> Option<Self> {
        None
    }

    pub(crate) fn ask(&self, _: &str, _: &str, _: &AtomicBool) -> io::Result<Option<String>> {
        match self.0 {}
    }

    pub(crate) fn copy(&self, _: &str) -> io::Result<()> {
        match self.0 {}
    }
}

#[cfg(unix)]
mod unix {
    use super::{AtomicBool, io};
    use base64ct::{Base64, Encoding as _};
    use portcullis_host::ConsoleTurn;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::Errno;
    use rustix::termios::{
        InputModes, LocalModes, OptionalActions, OutputModes, QueueSelector, SpecialCodeIndex, Termios, tcflush,
        tcgetattr, tcsetattr,
    };
    use std::fs::{File, OpenOptions};
    use std::io::{Read as _, Write as _};
    use std::sync::atomic::Ordering;
    use std::time::{Duration, Instant};

    use crate::screen::style::render;

    /// Tenths of a second without a key before an answer counts: shorter than anybody reads a question.
    const QUIET: u8 = 3;
    /// How long keys may keep arriving before the answer is no: a key that is held down, a program that types.
    const PATIENCE: Duration = Duration::from_secs(10);
    /// How often a question looks whether it is over.
    const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
    /// Bytes of an answer: an amount, a word.
    const MAX_ANSWER: usize = 256;
    /// Ctrl-C, if it is a key like others.
    const INTERRUPT: u8 = 3;

    /// Ends whatever sequence was begun (CAN, ST); soft reset (DECSTR); leaves the alternate screen, without the cursor
    /// movement of mode 1049; shows the cursor, wraps lines, does not insert; the character sets and the style are the
    /// terminal's own; keys and pastes arrive as they are (cursor keys, keypad, mouse, focus, bracketed paste, extended
    /// keys). The scroll region is reset within DECSC and DECRC, since that moves the cursor.
    const RESET: &str = "\x18\x1b\\\x1b[!p\x1b[?1047l\x1b[?47l\x1b7\x1b[r\x1b8\x1b[?25h\x1b[?7h\x1b[4l\x1b(B\x0f\x1b[0m\
        \x1b[?1l\x1b>\x1b[?9l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?1005l\x1b[?1006l\x1b[?1015l\x1b[?2004l\x1b[=0u\x1b[>4m";
    const INVERSE: &str = "\x1b[0;7m";
    const PLAIN: &str = "\x1b[0m";
    const HEADING: &str = " Portcullis asks: ";

    /// The controlling terminal of this process.
    pub(crate) struct Tty(File);

    impl Tty {
        /// `None` if there is none.
        pub(crate) fn open() -> Option<Self> {
            OpenOptions::new().read(true).write(true).open("/dev/tty").ok().map(Self)
        }

        /// Puts a text on the clipboard of the terminal, if it has one (OSC 52). Nothing of it is shown: it goes as
        /// base64, in which no sequence can hide.
        pub(crate) fn copy(&self, text: &str) -> io::Result<()> {
            let encoded = Base64::encode_string(text.as_bytes());
            (&self.0).write_all(format!("\u{1b}]52;c;{encoded}\u{7}").as_bytes())
        }

        /// Asks, and returns the line that was typed as the answer; `None` if there was none, or `over` was set first.
        pub(crate) fn ask(&self, question: &str, choices: &str, over: &AtomicBool) -> io::Result<Option<String>> {
            let _turn = ConsoleTurn::take();
            let modes = Modes::of(&self.0)?;
            modes.set(Modes::quiet)?;
            let question = render(question);
            let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            let question = if plain { anstream::adapter::strip_str(&question).to_string() } else { question };
            self.say(&format!("\n{}\n{question} ", self.heading()))?;
            let outcome = self.answer(&modes, question.lines().last().unwrap_or_default(), choices, over);
            if !matches!(outcome, Ok(Some(_))) {
                // The cursor still stands behind the question.
                self.say("\n")?;
            }
            outcome
        }

        fn answer(
            &self,
            modes: &Modes<'_>,
            line: &str,
            choices: &str,
            over: &AtomicBool,
        ) -> io::Result<Option<String>> {
            match self.wait_for_quiet(over)? {
                Quiet::Undisturbed => {}
                Quiet::Disturbed => {
                    self.say(&format!("\n(Keys that were typed before this line do not count.)\n{line} "))?;
                }
                Quiet::Never => return Ok(None),
            }
            modes.set(Modes::line)?;
            self.say(choices)?;
            self.read_line(over)
        }

        /// Drops what is typed until nothing was for a while.
        fn wait_for_quiet(&self, over: &AtomicBool) -> io::Result<Quiet> {
            let begun = Instant::now();
            let mut quiet = Quiet::Undisturbed;
            let mut keys = [0; 256];
            while begun.elapsed() < PATIENCE && !over.load(Ordering::Relaxed) {
                // Returns without any when the time between keys is over.
                match (&self.0).read(&mut keys) {
                    Ok(0) => {
                        tcflush(&self.0, QueueSelector::IFlush)?;
                        return Ok(quiet);
                    }
                    Ok(read) if keys[..read].contains(&INTERRUPT) => return Ok(Quiet::Never),
                    Ok(_) => quiet = Quiet::Disturbed,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(Quiet::Never)
        }

        fn read_line(&self, over: &AtomicBool) -> io::Result<Option<String>> {
            while !over.load(Ordering::Relaxed) {
                match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&LOOK)) {
                    Ok(0) | Err(Errno::INTR) => continue,
                    Ok(_) => {}
                    Err(error) => return Err(error.into()),
                }
                let mut line = [0; MAX_ANSWER];
                let read = (&self.0).read(&mut line)?;
                let Some(answer) = line[..read].strip_suffix(b"\n") else {
                    // The end of input, or a line that is no answer to anything.
                    tcflush(&self.0, QueueSelector::IFlush)?;
                    return Ok(None);
                };
                return Ok(Some(String::from_utf8_lossy(answer).into_owned()));
            }
            Ok(None)
        }

        fn heading(&self) -> String {
            if is_dumb() { HEADING.trim().to_owned() } else { format!("{RESET}\n{INVERSE}{HEADING}{PLAIN}") }
        }

        fn say(&self, text: &str) -> io::Result<()> {
            let text = if is_dumb() { anstream::adapter::strip_str(text).to_string() } else { text.to_owned() };
            (&self.0).write_all(text.as_bytes())
        }
    }

    /// A terminal that shows sequences instead of obeying them.
    fn is_dumb() -> bool {
        std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb")
    }

    enum Quiet {
        Undisturbed,
        Disturbed,
        /// Keys kept arriving, the user interrupted, or the question is over.
        Never,
    }

    /// How the terminal was before the question, and is again after it.
    struct Modes<'f> {
        file: &'f File,
        before: Termios,
    }

    impl<'f> Modes<'f> {
        fn of(file: &'f File) -> io::Result<Self> {
            Ok(Self { file, before: tcgetattr(file)? })
        }

        /// Keys arrive one by one, unseen; a read ends after [`QUIET`] without any.
        fn quiet(modes: &mut Termios) {
            modes.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG | LocalModes::IEXTEN);
            modes.input_modes.remove(InputModes::IXON);
            modes.special_codes[SpecialCodeIndex::VMIN] = 0;
            modes.special_codes[SpecialCodeIndex::VTIME] = QUIET;
        }

        /// A line is edited and seen as it is typed.
        fn line(modes: &mut Termios) {
            modes.local_modes.insert(
                LocalModes::ICANON | LocalModes::ECHO | LocalModes::ECHOE | LocalModes::ECHOK | LocalModes::ISIG,
            );
            modes.local_modes.remove(LocalModes::ECHONL | LocalModes::NOFLSH | LocalModes::TOSTOP);
            modes.input_modes.insert(InputModes::ICRNL);
            modes.input_modes.remove(InputModes::IGNCR | InputModes::INLCR | InputModes::ISTRIP);
        }

        /// Sets modes, and drops what was typed and not read.
        fn set(&self, change: impl FnOnce(&mut Termios)) -> io::Result<()> {
            let mut modes = self.before.clone();
            modes.output_modes.insert(OutputModes::OPOST | OutputModes::ONLCR);
            change(&mut modes);
            Ok(tcsetattr(self.file, OptionalActions::Flush, &modes)?)
        }
    }

    impl Drop for Modes<'_> {
        fn drop(&mut self) {
            tcsetattr(self.file, OptionalActions::Drain, &self.before).ok();
        }
    }
}
