//! JMAP against a double that speaks RFC 8620 and 8621, as far as a reader of mail needs them.

use crate::signer::sign;
use crate::stage::{account, fetcher, records, registry};
use portcullis_mail::limits::MAX_TRIES;
use portcullis_mail::{Account, Fetcher, MailError, Protocol, SealedFolder, Summary, connect, fetch};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const BILL: &str = "From: a@b.example\r\nTo: kim@user.example\r\nSubject: Invoice\r\n\r\nAmount due: EUR 5.00\r\n";

#[derive(Default)]
struct Server {
    mails: usize,
    /// Deleted, once the first page was listed.
    deleted: Vec<usize>,
    lie: Option<Lie>,
    /// A mail that it cannot hand out.
    broken: Option<usize>,
    gone: Vec<String>,
    forgetful: bool,
    elsewhere: bool,
    downloads: usize,
    asked: Vec<String>,
}

/// What a server says that is untrue.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lie {
    EndlessChanges,
    MoreThanAsked,
    LongIds,
    Busy,
}

type Shared = Arc<Mutex<Server>>;

async fn start(server: &Shared) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let port = listener.local_addr().expect("address").port();
    let server = Arc::clone(server);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(answer(tcp, Arc::clone(&server)));
        }
    });
    port
}

async fn answer(mut tcp: TcpStream, server: Shared) {
    let mut request = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let Ok(count) = tcp.read(&mut chunk).await else { return };
        request.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let complete = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            body.len() >= length.unwrap_or(0)
        });
        if count == 0 || complete {
            break;
        }
    }
    let text = String::from_utf8_lossy(&request).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    assert!(head.to_ascii_lowercase().contains("authorization: basic "), "signed in: {head}");
    let path = head.split(' ').nth(1).unwrap_or_default();
    let broken = server.lock().expect("a server").broken.map(|at| format!("/blob/A1/b{at}/"));
    let status = if broken.is_some_and(|blob| path.starts_with(&blob)) { "500 Error" } else { "200 OK" };
    let content = respond(path, body, &mut server.lock().expect("a server"));
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", content.len());
    let _ = tcp.write_all(&[head.as_bytes(), content.as_bytes()].concat()).await;
}

fn respond(path: &str, body: &str, server: &mut Server) -> String {
    if path == "/session" {
        let api = if server.elsewhere { "http://evil.example/api" } else { "/api" };
        return json!({
            "apiUrl": api, "downloadUrl": "/blob/{accountId}/{blobId}/{name}?type={type}",
            "primaryAccounts": {"urn:ietf:params:jmap:mail": "A1"},
        })
        .to_string();
    }
    if let Some(blob) = path.strip_prefix("/blob/A1/b") {
        server.downloads += 1;
        let number = blob.split('/').next().unwrap_or_default();
        return BILL.replace("5.00", &format!("1{number}.00"));
    }
    let call: Value = serde_json::from_str::<Value>(body).expect("JSON")["methodCalls"][0].clone();
    let (method, asked) = (call[0].as_str().expect("method"), &call[1]);
    server.asked.push(method.to_owned());
    assert_eq!(asked["accountId"], "A1");
    let ids = |range: std::ops::Range<usize>| range.map(|at| format!("e{at}")).collect::<Vec<_>>();
    let (name, result) = match method {
        "Email/get" => {
            let tail = if server.lie == Some(Lie::LongIds) { "x".repeat(256) } else { String::new() };
            let described = |id: &Value| {
                let blob = id.as_str().expect("id").replace('e', "b") + &tail;
                json!({"id": id, "blobId": blob, "size": BILL.len()})
            };
            let mut list: Vec<Value> = asked["ids"].as_array().expect("ids").iter().map(described).collect();
            if server.lie == Some(Lie::MoreThanAsked) {
                list.extend(list.clone());
            }
            (method, json!({"state": server.mails.to_string(), "list": list}))
        }
        "Email/query" => {
            let left: Vec<String> = ids(0..server.mails);
            let anchor = asked["anchor"].as_str();
            if anchor.is_some() {
                for at in std::mem::take(&mut server.deleted) {
                    server.gone.push(format!("e{at}"));
                }
            }
            let left: Vec<String> = left.into_iter().filter(|id| !server.gone.contains(id)).collect();
            match anchor.map(|anchor| left.iter().position(|id| id == anchor)) {
                Some(None) => ("error", json!({"type": "anchorNotFound"})),
                found => {
                    let first = found.flatten().map_or(0, |at| at + 1);
                    (method, json!({"ids": left[first..].iter().take(3).collect::<Vec<_>>()}))
                }
            }
        }
        "Email/changes" if server.lie == Some(Lie::Busy) => ("error", json!({"type": "serverUnavailable"})),
        "Email/changes" if server.lie == Some(Lie::EndlessChanges) => {
            let since: u64 = asked["sinceState"].as_str().expect("state").parse().expect("ours");
            (method, json!({"created": [], "newState": (since + 1).to_string(), "hasMoreChanges": true}))
        }
        "Email/changes" if server.forgetful => ("error", json!({"type": "cannotCalculateChanges"})),
        "Email/changes" => {
            let since: usize = asked["sinceState"].as_str().expect("state").parse().expect("ours");
            let until = server.mails.min(since + 2);
            let more = until < server.mails;
            (method, json!({"created": ids(since..until), "newState": until.to_string(), "hasMoreChanges": more}))
        }
        other => panic!("an unexpected method: {other}"),
    };
    json!({"methodResponses": [[name, result, "0"]]}).to_string()
}

async fn run(fetcher: &Fetcher, folder: &SealedFolder) -> Result<Summary, MailError> {
    let mut source = connect(&fetcher.account).await?;
    fetch(fetcher, folder, &mut *source).await
}

#[tokio::test]
async fn new_mail_is_read_once_by_state_strings() {
    let server = Shared::default();
    server.lock().expect("a server").mails = 7;
    let port = start(&server).await;
    let home = tempfile::tempdir().expect("a folder");
    let folder = SealedFolder::open(home.path().join("mail")).expect("open");
    let account = Account { protocol: Protocol::Jmap, server: format!("http://127.0.0.1:{port}/session"), ..account() };
    let fetcher = Fetcher { account: Arc::new(account), ..fetcher(sign(&[]).1, registry(&[])) };

    assert_eq!(run(&fetcher, &folder).await.expect("first").bills, 7);
    let unchanged = run(&fetcher, &folder).await.expect("second");
    assert_eq!((unchanged.read, server.lock().expect("a server").downloads), (0, 7), "no body twice");
    assert!(unchanged.received < 64 * 1024);

    server.lock().expect("a server").mails = 12;
    assert_eq!(run(&fetcher, &folder).await.expect("five more").bills, 5);
    // A server that no longer knows what changed is read anew, and nothing is found twice.
    server.lock().expect("a server").forgetful = true;
    let anew = run(&fetcher, &folder).await.expect("anew");
    assert_eq!((anew.read, anew.bills, records(&folder).len()), (12, 0, 12));

    let asked = server.lock().expect("a server").asked.clone();
    assert!(asked.iter().all(|method| ["Email/get", "Email/query", "Email/changes"].contains(&method.as_str())));
    server.lock().expect("a server").elsewhere = true;
    let error = run(&fetcher, &folder).await.expect_err("another server").to_string();
    assert!(error.contains("sends us to another server"), "{error}");
}

fn reader(port: u16) -> Fetcher {
    let account = Account { protocol: Protocol::Jmap, server: format!("http://127.0.0.1:{port}/session"), ..account() };
    Fetcher { account: Arc::new(account), ..fetcher(sign(&[]).1, registry(&[])) }
}

#[tokio::test]
async fn a_mail_that_is_deleted_while_they_are_listed_hides_no_other() {
    let server = Shared::default();
    *server.lock().expect("a server") = Server { mails: 9, deleted: vec![0, 2, 1], ..Server::default() };
    let fetcher = reader(start(&server).await);
    let home = tempfile::tempdir().expect("a folder");
    let folder = SealedFolder::open(home.path().join("mail")).expect("open");
    // All of the first page are gone when the second is asked for: it begins anew.
    assert_eq!(run(&fetcher, &folder).await.expect("listed").bills, 6);
}

#[tokio::test]
async fn a_mail_that_the_server_cannot_hand_out_holds_no_other_for_ever() {
    let server = Shared::default();
    *server.lock().expect("a server") = Server { mails: 4, broken: Some(1), ..Server::default() };
    let fetcher = reader(start(&server).await);
    let home = tempfile::tempdir().expect("a folder");
    let folder = SealedFolder::open(home.path().join("mail")).expect("open");
    for _ in 0..MAX_TRIES {
        run(&fetcher, &folder).await.expect_err("a status that is not success");
    }
    run(&fetcher, &folder).await.expect("passed over");
    assert_eq!(records(&folder).len(), 3);
}

#[tokio::test]
async fn lists_have_an_end_and_as_many_entries_as_were_asked_for() {
    for (lie, expected) in [
        (Lie::MoreThanAsked, "more than was asked for"),
        (Lie::LongIds, "more than was asked for"),
        (Lie::Busy, "refuses to list"),
        (Lie::EndlessChanges, "does not end"),
    ] {
        let server = Shared::default();
        server.lock().expect("a server").mails = 2;
        let fetcher = reader(start(&server).await);
        let home = tempfile::tempdir().expect("a folder");
        let folder = SealedFolder::open(home.path().join("mail")).expect("open");
        run(&fetcher, &folder).await.expect("the control");
        *server.lock().expect("a server") = Server { mails: 4, lie: Some(lie), ..Server::default() };
        let error = run(&fetcher, &folder).await.expect_err("a lie").to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn credentials_go_over_https_or_stay_on_this_machine() {
    let check = |server: &str| Account { protocol: Protocol::Jmap, server: server.into(), ..account() }.check();
    for good in ["https://mail.example/session", "http://localhost:80/s", "http://127.0.0.1:1/s", "http://[::1]/s"] {
        assert!(check(good).is_ok(), "{good}");
    }
    for bad in
        ["http://mail.example/session", "ftp://127.0.0.1/", "https://kim:secret@mail.example/", "mail.example", ""]
    {
        assert!(check(bad).is_err(), "{bad}");
    }
}
