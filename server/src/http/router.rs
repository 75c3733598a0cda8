//! The whole interface of a server, by who calls it.

use crate::http::address;
use crate::http::api::{
    account, authorizations, catalogue, files, grants, once, orders, publishers, resources, search, signed, terminals,
    top_ups, verifications, well_known,
};
use crate::http::app::App;
use crate::http::body;
use crate::http::oauth::{device_authorization, revoke, token};
use crate::http::pages;
use crate::http::problem::ApiError;
use crate::http::webhooks;
use crate::ops::log;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{delete, get, post, put};
use portcullis_protocol::limits::MAX_REQUEST_BODY;

/// Every route. Paths are those of `docs/protocol.md`.
pub fn router(app: App) -> Router {
    // Everybody. Public, unsigned; what matters in the answers is signed by itself.
    let public = Router::new()
        .route("/.well-known/portcullis", get(well_known::show))
        .route("/v1/search", get(search::search))
        .route("/v1/catalogue/{publisher}/{name}", get(catalogue::show))
        .route("/v1/publishers/{name}", get(publishers::show))
        .route("/v1/files/{digest}", get(files::show));

    // Holders of a key: signing a terminal in. Proof, no token.
    let strangers = Router::new()
        .route("/oauth/device_authorization", post(device_authorization::create))
        .route("/oauth/token", post(token::create))
        .route("/oauth/revoke", post(revoke::end));

    // Signed-in keys: enrolment. Proof and token.
    let sessions = Router::new().route("/v1/terminals", post(once(terminals::enrol)));

    // Terminals: the cycle. Proof and token; what a repeated request gets is remembered by the cycle's own transactions.
    let cycle = Router::new()
        .route("/v1/authorizations", post(signed(authorizations::authorise)))
        .route("/v1/verifications", post(signed(verifications::verify)))
        .route("/v1/grants/{id}", get(signed(grants::show)))
        .route("/v1/grants/{id}/ack", post(signed(grants::acknowledge)));

    // Terminals, for their users: buying, and what was bought.
    let users = Router::new()
        .route("/v1/orders", post(signed(orders::create)))
        .route("/v1/orders/{id}", get(signed(orders::show)))
        .route("/v1/account", get(signed(account::show)))
        .route("/v1/account/entitlements", get(signed(account::entitlements)))
        .route("/v1/account/entitlements/{page}", get(signed(account::entitlements_page)))
        .route("/v1/account/receipts", get(signed(account::receipts)))
        .route("/v1/account/receipts/{page}", get(signed(account::receipts_page)))
        .route("/v1/account/refunds", get(signed(account::refunds)))
        .route("/v1/account/refunds/{page}", get(signed(account::refunds_page)))
        .route("/v1/account/balances", get(signed(top_ups::balances)))
        .route("/v1/account/top-ups", post(signed(top_ups::create)).get(signed(top_ups::list)))
        .route("/v1/account/top-ups/{page}", get(signed(top_ups::list_page)))
        .route("/v1/account/sessions", get(signed(account::sessions)))
        .route("/v1/account/sessions/{id}", delete(once(account::end_session)))
        .route("/v1/account/sign-out", post(once(account::sign_out_everywhere)))
        .route("/v1/account/terminals/{id}", delete(once(account::revoke_terminal)));

    // Terminals, for publishers.
    let publishers = Router::new()
        .route("/v1/publishers", post(once(publishers::claim)))
        .route("/v1/publishers/{name}/vouches", post(once(publishers::vouch)))
        .route(body::UPLOADS, put(resources::put))
        .route("/v1/catalogue/{publisher}/{name}/offers", put(once(catalogue::put_offers)))
        .route("/v1/resources/{digest}/withdraw", post(once(resources::withdraw)))
        .route("/v1/resources/{digest}/restore", post(once(resources::restore)));

    // Payment providers, each with a proof of its own.
    let providers = Router::new()
        .route("/webhooks/{provider}", post(webhooks::receive))
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BODY));

    // People, with a browser. Cookie and form token.
    let people = Router::new()
        .route("/", get(pages::show_home))
        .route("/sign-in", get(pages::show_sign_in).post(pages::submit_sign_in))
        .route("/sign-out", post(pages::sign_out))
        .route("/sign-up", get(pages::show_sign_up).post(pages::submit_sign_up))
        .route("/invite/{token}", get(pages::show_invited).post(pages::submit_invited))
        .route("/device", get(pages::show_device).post(pages::submit_device))
        .route("/account", get(pages::show_account))
        .route("/account/password", post(pages::change_password))
        .route("/account/email", post(pages::change_email))
        .route("/account/revoke", post(pages::revoke_terminal))
        .route("/account/end", post(pages::end_session))
        .route("/account/sign-out-everywhere", post(pages::sign_out_everywhere))
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BODY));

    Router::new()
        .merge(public)
        .merge(strangers)
        .merge(sessions)
        .merge(cycle)
        .merge(users)
        .merge(publishers)
        .merge(providers)
        .merge(people)
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(from_fn_with_state(app.clone(), body::in_time))
        .layer(from_fn_with_state(app.clone(), address::gate))
        .layer(from_fn(pages::instead_of_problems))
        .layer(from_fn(log::each_request))
        .with_state(app)
}
