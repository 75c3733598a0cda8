//! One HTTP/1.1 connection that is kept alive: as little as a generator needs, so that most of the machine is left to
//! what is measured.

use anyhow::{Context as _, Result, ensure};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The longest answer. A grant with its keys has about 3 KB.
const LONGEST: usize = 256 * 1024;

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The nonce for the next proof.
    pub(crate) nonce: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// A connection to the server.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.context("the server does not listen")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(8192) })
    }

    /// Sends a request, which is whole, and reads the answer to it.
    pub(crate) async fn send(&mut self, request: &[u8]) -> Result<Answer> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            self.more().await?;
        };
        let head = std::str::from_utf8(&self.buffer[..end]).context("the head of an answer is text")?;
        let status = head.get(9..12).and_then(|code| code.parse().ok()).context("an answer has a status")?;
        let header = |name: &str| {
            let of = |line: &str| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
            head.lines().filter_map(of).find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        };
        let length: usize = header("content-length").and_then(|length| length.parse().ok()).context("no length")?;
        ensure!(length < LONGEST, "an answer of {length} bytes");
        let nonce = header("dpop-nonce");
        while self.buffer.len() < end + 4 + length {
            self.more().await?;
        }
        Ok(Answer { status, nonce, body: self.buffer[end + 4..end + 4 + length].to_vec() })
    }

    async fn more(&mut self) -> Result<()> {
        let read = self.stream.read_buf(&mut self.buffer).await?;
        ensure!(read > 0, "the server closed the connection");
        ensure!(self.buffer.len() < 2 * LONGEST, "an answer without an end");
        Ok(())
    }
}
