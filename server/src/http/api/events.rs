//! `/v1/events`: what a terminal is told.

use super::{Segments, segment};
use crate::crypto::secrets::TokenHash;
use crate::http::address::ClientAddress;
use crate::http::app::App;
use crate::http::auth::{Caller as _, ProvenTerminal};
use crate::http::problem::{Refused, no_store};
use crate::notices::events::{self, Following, MayFollow};
use crate::store::{Cursor, Receiver};
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse as _, Response};
use portcullis_protocol::paths;
use portcullis_protocol::wire::{EventsAnswer, PushedEvent};
use std::convert::Infallible;
use std::net::IpAddr;
use tokio::sync::mpsc;

/// Documents that wait for a slow receiver, at most; then the stream waits for it.
const AHEAD: usize = 16;
/// Proxies that gather what they pass on are asked not to.
const UNBUFFERED: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");

/// The events that are kept for the terminal, oldest first.
#[utoipa::path(
    get,
    path = paths::EVENTS,
    tag = "events",
    responses((status = 200, description = "Events", body = EventsAnswer)),
)]
pub(crate) async fn first(app: App, caller: ProvenTerminal, (): ()) -> Result<EventsAnswer, Refused> {
    pull(&app, &caller, None).await
}

/// The events after a cursor.
#[utoipa::path(
    get,
    path = paths::EVENTS_AFTER,
    tag = "events",
    params(
        ("epoch" = portcullis_protocol::EpochId, Path, description = "The epoch of the cursor"),
        ("seq" = u64, Path, description = "The last event that was seen; 0: none"),
    ),
    responses((status = 200, description = "Events", body = EventsAnswer)),
)]
pub(crate) async fn after(
    app: App,
    caller: ProvenTerminal,
    (epoch, seq): (String, String),
) -> Result<EventsAnswer, Refused> {
    pull(&app, &caller, Some(Cursor { epoch: segment(&epoch)?, seq: segment(&seq)? })).await
}

async fn pull(app: &App, caller: &ProvenTerminal, after: Option<Cursor>) -> Result<EventsAnswer, Refused> {
    let receiver = Receiver::Terminal(*caller.asker.terminal());
    Ok(events::pull(&app.core, &receiver, after, caller.reply().req()).await?)
}

/// The events after a cursor, and every further one as it happens.
///
/// Server-sent events, whose data are compact `portcullis-event+jwt`. It ends with the token of the request, at a gap,
/// and when the server stops.
#[utoipa::path(
    get,
    path = paths::EVENTS_STREAM,
    tag = "events",
    params(
        ("epoch" = portcullis_protocol::EpochId, Path, description = "The epoch of the cursor"),
        ("seq" = u64, Path, description = "The last event that was seen; 0: none"),
    ),
    responses((status = 200, description = "A stream", body = PushedEvent, content_type = "text/event-stream")),
)]
pub(crate) async fn stream(
    State(app): State<App>,
    Segments((epoch, seq)): Segments<(String, String)>,
    ClientAddress(address): ClientAddress,
    caller: ProvenTerminal,
) -> Response {
    let reply = caller.reply().clone();
    match begin(&app, &caller, address, &epoch, &seq) {
        Ok(body) => {
            let kind = [(header::CONTENT_TYPE, "text/event-stream"), UNBUFFERED];
            reply.with_nonce((no_store(), kind, body).into_response())
        }
        Err(refused) => reply.no(refused),
    }
}

fn begin(app: &App, caller: &ProvenTerminal, address: IpAddr, epoch: &str, seq: &str) -> Result<Body, Refused> {
    let cursor = Cursor { epoch: segment(epoch)?, seq: segment(seq)? };
    let receiver = Receiver::Terminal(*caller.asker.terminal());
    let place = app.streams.enter(receiver, Some(*caller.account()), address)?;
    let may = SignedInTerminal { app: app.clone(), token: caller.token_hash(app) };
    Ok(body(Following::new(app.core.clone(), receiver, cursor, caller.reply().req(), may, place)))
}

/// The body of an answer that a stream is written into. The stream ends when nobody reads it any more.
fn body<M: MayFollow>(following: Following<M>) -> Body {
    let (sender, mut documents) = mpsc::channel::<String>(AHEAD);
    tokio::spawn(async move {
        tokio::select! {
            () = following.run(&sender) => {}
            () = sender.closed() => {}
        }
    });
    Body::from_stream(futures::stream::poll_fn(move |context| {
        documents
            .poll_recv(context)
            .map(|document| document.map(|document| Ok::<_, Infallible>(Bytes::from(format!("data: {document}\n\n")))))
    }))
}

/// A terminal that is signed in.
struct SignedInTerminal {
    app: App,
    token: TokenHash,
}

impl MayFollow for SignedInTerminal {
    async fn may_follow(&self) -> bool {
        let found = self.app.core.store.authenticate(&self.token).await;
        // What cannot be looked up is not known to have ended; the next look will tell.
        found.map_or(true, |found| {
            found.is_some_and(|found| {
                found.suspended.is_none() && found.terminal.is_some_and(|terminal| terminal.revoked.is_none())
            })
        })
    }
}
