//! The mail program, `portcullis-mail serve`: another process, which has the mailboxes' passwords and hands out
//! records of bills. This side knows neither mail nor passwords: it asks for pages, and takes no more than a page may
//! be.

use crate::ports::bills::{Bills, BillsError};
use async_trait::async_trait;
use portcullis_protocol::MailboxName;
use portcullis_protocol::bills::{BillText, BillsAnswer, BillsPage, BillsRequest};
use portcullis_protocol::limits::{MAX_BILLS_LINE, MAX_MAILBOXES};
use portcullis_protocol::text::shown_line;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;
use tokio::time::timeout;

/// How long an answer may take. A ledger of 100,000 bills is opened in a second.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Reads bills from `portcullis-mail serve`. One request is under way at a time; what goes wrong ends the connection,
/// and the next request begins a new one. Dropping it ends the program that it started.
pub struct MailProgram {
    place: Place,
    only: Vec<MailboxName>,
    connection: Mutex<Option<Connection>>,
}

enum Place {
    /// Started here, and spoken with over its standard streams.
    Program(PathBuf),
    /// Runs already, and listens here.
    #[cfg(unix)]
    Socket(PathBuf),
}

struct Connection {
    requests: Box<dyn AsyncWrite + Send + Unpin>,
    answers: BufReader<Box<dyn AsyncRead + Send + Unpin>>,
    /// Ends with the connection.
    _program: Option<Child>,
}

impl MailProgram {
    /// Starts this program, `portcullis-mail`, when bills are first asked for. It inherits the environment, and writes
    /// its errors to this process's standard error.
    #[must_use]
    pub fn start(program: impl Into<PathBuf>) -> Self {
        Self::at(Place::Program(program.into()))
    }

    /// Speaks with one that runs already: `portcullis-mail serve --socket PATH`.
    #[cfg(unix)]
    #[must_use]
    pub fn listening_at(socket: impl Into<PathBuf>) -> Self {
        Self::at(Place::Socket(socket.into()))
    }

    /// Lends the bills of these mailboxes alone. By default, of all.
    #[must_use]
    pub fn only(mut self, mailboxes: Vec<MailboxName>) -> Self {
        self.only = mailboxes;
        self
    }

    fn at(place: Place) -> Self {
        Self { place, only: Vec::new(), connection: Mutex::default() }
    }

    async fn ask(&self, request: &BillsRequest) -> Result<BillsAnswer, BillsError> {
        let mut place = self.connection.lock().await;
        // Taken out, so that an answer that nobody waited for is never taken for the next one's.
        let mut connection = match place.take() {
            Some(connection) => connection,
            None => self.place.connect().await.map_err(|error| self.unavailable(&error))?,
        };
        let answer = match timeout(ANSWER_TIMEOUT, connection.ask(request)).await {
            Ok(answer) => answer.map_err(|error| self.unavailable(&error))?,
            Err(_) => return Err(self.unavailable(&io::ErrorKind::TimedOut.into())),
        };
        *place = Some(connection);
        match answer {
            BillsAnswer::Unavailable(why) => Err(BillsError::Unavailable(why.to_string())),
            answer => Ok(answer),
        }
    }

    fn unavailable(&self, error: &io::Error) -> BillsError {
        let place = match &self.place {
            Place::Program(path) => path.display(),
            #[cfg(unix)]
            Place::Socket(path) => path.display(),
        };
        BillsError::Unavailable(format!("{}: {}", shown_line(&place.to_string()), shown_line(&error.to_string())))
    }
}

impl fmt::Debug for MailProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailProgram").field("only", &self.only).finish_non_exhaustive()
    }
}

impl Place {
    async fn connect(&self) -> io::Result<Connection> {
        match self {
            Self::Program(path) => {
                let mut command = Command::new(path);
                command.arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
                let mut program = command.spawn()?;
                let (Some(requests), Some(answers)) = (program.stdin.take(), program.stdout.take()) else {
                    return Err(io::ErrorKind::BrokenPipe.into());
                };
                Ok(Connection::new(requests, answers, Some(program)))
            }
            #[cfg(unix)]
            Self::Socket(path) => {
                let (answers, requests) = tokio::net::UnixStream::connect(path).await?.into_split();
                Ok(Connection::new(requests, answers, None))
            }
        }
    }
}

impl Connection {
    fn new(
        requests: impl AsyncWrite + Send + Unpin + 'static,
        answers: impl AsyncRead + Send + Unpin + 'static,
        program: Option<Child>,
    ) -> Self {
        Self { requests: Box::new(requests), answers: BufReader::new(Box::new(answers)), _program: program }
    }

    async fn ask(&mut self, request: &BillsRequest) -> io::Result<BillsAnswer> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        self.requests.write_all(&line).await?;
        self.requests.flush().await?;
        line.clear();
        let answers = &mut self.answers;
        if answers.take(MAX_BILLS_LINE).read_until(b'\n', &mut line).await? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ended without an answer"));
        }
        // What was said may be anything: it is not repeated.
        serde_json::from_slice(&line).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "its answer is no answer"))
    }
}

#[async_trait]
impl Bills for MailProgram {
    async fn mailboxes(&self) -> Result<Vec<MailboxName>, BillsError> {
        let answer = self.ask(&BillsRequest::Mailboxes {}).await?;
        let BillsAnswer::Mailboxes(mailboxes) = answer else { return Err(another()) };
        if mailboxes.len() > MAX_MAILBOXES {
            return Err(another());
        }
        if let Some(missing) = self.only.iter().find(|name| !mailboxes.contains(name)) {
            return Err(BillsError::NoSuchMailbox(missing.clone()));
        }
        Ok(mailboxes.into_iter().filter(|name| self.only.is_empty() || self.only.contains(name)).collect())
    }

    async fn read(
        &self,
        mailbox: &MailboxName,
        after: Option<&BillText>,
        at_most: u32,
    ) -> Result<BillsPage, BillsError> {
        let request = BillsRequest::Read { mailbox: mailbox.clone(), after: after.cloned(), at_most };
        match self.ask(&request).await? {
            BillsAnswer::Page(page) => Ok(page),
            BillsAnswer::NoSuchMailbox => Err(BillsError::NoSuchMailbox(mailbox.clone())),
            _ => Err(another()),
        }
    }
}

/// It answered something else than what was asked.
fn another() -> BillsError {
    BillsError::Unavailable("it answered something else than what was asked; is it of the same version?".into())
}
