//! The API under `/v1`; the tree of files is the tree of URLs.
//!
//! A handler takes the server, its caller and the path, and returns the body of its answer or a no. [`signed`] makes a
//! signed answer of it; [`once`] also sees to it that a repeated request is answered again and not done again.

pub(crate) mod account;
pub(crate) mod authorizations;
pub(crate) mod catalogue;
pub(crate) mod codes;
pub(crate) mod events;
pub(crate) mod files;
pub(crate) mod grants;
pub(crate) mod merchant;
pub(crate) mod merchants;
pub(crate) mod orders;
pub(crate) mod publishers;
pub(crate) mod redemptions;
pub(crate) mod resources;
pub(crate) mod search;
pub(crate) mod terminals;
pub(crate) mod top_ups;
pub(crate) mod verifications;
pub(crate) mod webhook_keys;
pub(crate) mod well_known;

use crate::http::app::App;
use crate::http::auth::Caller;
use crate::http::problem::{ApiError, Refused};
use crate::http::route::Endpoint;
use crate::store::{BeginOutcome, StoredAnswer};
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use portcullis_protocol::wire::Done;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::str::FromStr;

/// The variable segments of a path. One that is not what it should be names nothing.
pub(crate) struct Segments<P>(P);

impl<P: DeserializeOwned + Send> FromRequestParts<App> for Segments<P> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        Path::<P>::from_request_parts(parts, app).await.map(|Path(path)| Self(path)).map_err(|_| ApiError::NotFound)
    }
}

/// A handler whose answer is signed.
pub(crate) fn signed<C, P, B, H, F>(handler: H) -> Endpoint
where
    C: Caller,
    P: DeserializeOwned + Send + 'static,
    B: Serialize + DeserializeOwned + Send + 'static,
    H: Fn(App, C, P) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<B, Refused>> + Send + 'static,
{
    Endpoint::of::<C, _, _>(move |State(app): State<App>, Segments(path): Segments<P>, caller: C| async move {
        let reply = caller.reply().clone();
        reply.answer(handler(app, caller, path).await)
    })
}

/// A handler whose answer is signed, and given again where its request is repeated with the same Idempotency-Key.
pub(crate) fn once<C, P, B, H, F>(handler: H) -> Endpoint
where
    C: Caller,
    P: DeserializeOwned + Send + 'static,
    B: Serialize + DeserializeOwned + Send + Sync + 'static,
    H: Fn(App, C, P) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<B, Refused>> + Send + 'static,
{
    Endpoint::of::<C, _, _>(move |State(app): State<App>, Segments(path): Segments<P>, caller: C| async move {
        let reply = caller.reply().clone();
        let answer = remembered(app.clone(), caller, |caller| handler(app, caller, path)).await;
        reply.answer(answer)
    })
}

/// Runs `act` unless this very request was answered before.
pub(crate) async fn remembered<C, B, F>(app: App, caller: C, act: impl FnOnce(C) -> F) -> Result<B, Refused>
where
    C: Caller,
    B: Serialize + DeserializeOwned + Send + Sync + 'static,
    F: Future<Output = Result<B, Refused>> + Send + 'static,
{
    let scope = caller.scope();
    let Some(request) = caller.idempotency().cloned() else {
        return Err(ApiError::Malformed("this request needs an Idempotency-Key".into()).into());
    };
    let fence = match app.core.store.begin_answer(scope, &request).await.map_err(ApiError::internal)? {
        BeginOutcome::Begun(fence) => fence,
        BeginOutcome::Answered(StoredAnswer::Body(stored)) => {
            let body = app.core.secrets.open_answer(&request.request, &stored).map_err(ApiError::internal)?;
            return serde_json::from_slice(&body).map_err(|error| ApiError::internal(error).into());
        }
        // The key was used for a request of another kind.
        BeginOutcome::Answered(_) | BeginOutcome::OtherRequest => return Err(ApiError::KeyReused.into()),
        BeginOutcome::InProgress => return Err(ApiError::UnderWay.into()),
    };
    // On a task of its own: a client that hangs up does not leave the request under way.
    let act = act(caller);
    let finished = tokio::spawn(async move {
        let answer = fence.guard(act).await;
        let body = answer.as_ref().ok().and_then(|body| serde_json::to_string(body).ok());
        let body = body.map(|body| app.core.secrets.seal_answer(&request.request, &body));
        app.core.store.finish_answer(fence, body).await.map_err(ApiError::internal)?;
        answer
    });
    finished.await.map_err(ApiError::internal)?
}

/// Reads a segment of a path.
pub(crate) fn segment<T: FromStr>(text: &str) -> Result<T, ApiError> {
    text.parse().map_err(|_| ApiError::NotFound)
}

/// Nothing more to say.
pub(crate) const DONE: Done = Done {};
