//! Somebody who listens for webhooks, writes down what comes and answers as he is told.

use anyhow::{Result, ensure};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// How long something may take to arrive.
const PATIENCE: Duration = Duration::from_secs(20);

/// A request that arrived.
#[derive(Debug, Clone)]
pub struct Posted {
    /// Its headers, with names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: String,
}

#[derive(Default)]
struct Kept {
    connections: usize,
    posted: Vec<Posted>,
    redirect: Option<String>,
}

/// The listener. Whatever else it is sent, TLS or nothing, it counts as a connection.
pub struct Inbox {
    port: u16,
    kept: Arc<Mutex<Kept>>,
}

impl Inbox {
    /// Listens on a free port of this machine.
    ///
    /// # Errors
    /// If there is none.
    pub async fn open() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let inbox = Self { port: listener.local_addr()?.port(), kept: Arc::default() };
        let kept = Arc::clone(&inbox.kept);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                kept.lock().unwrap_or_else(PoisonError::into_inner).connections += 1;
                tokio::spawn(take(stream, Arc::clone(&kept)));
            }
        });
        Ok(inbox)
    }

    /// Where it listens.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// From now on it answers 307 to this address.
    pub fn redirect_to(&self, url: &str) {
        self.kept().redirect = Some(url.to_owned());
    }

    /// What has arrived.
    #[must_use]
    pub fn posted(&self) -> Vec<Posted> {
        self.kept().posted.clone()
    }

    /// How often somebody connected.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.kept().connections
    }

    /// Waits until so many requests have arrived.
    ///
    /// # Errors
    /// If they do not come.
    pub async fn wait_for(&self, count: usize) -> Result<Vec<Posted>> {
        let begun = Instant::now();
        while self.posted().len() < count {
            ensure!(begun.elapsed() < PATIENCE, "{} of {count} requests arrived", self.posted().len());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(self.posted())
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn take(mut stream: TcpStream, kept: Arc<Mutex<Kept>>) {
    let mut read = Vec::new();
    let (head, length) = loop {
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return,
            Ok(count) => read.extend_from_slice(&piece[..count]),
        }
        let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&read[..end]).into_owned();
        let headers: BTreeMap<String, String> = head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
            .collect();
        let length: usize = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        if read.len() >= end + 4 + length {
            read.drain(..end + 4);
            break (headers, length);
        }
    };
    read.truncate(length);
    let answer = {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.posted.push(Posted { headers: head, body: String::from_utf8_lossy(&read).into_owned() });
        match &kept.redirect {
            Some(to) => {
                format!("HTTP/1.1 307 Elsewhere\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            }
            None => "HTTP/1.1 204 Taken\r\nconnection: close\r\n\r\n".to_owned(),
        }
    };
    let _ = stream.write_all(answer.as_bytes()).await;
}
