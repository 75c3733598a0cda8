//! The whole interface of a server, by who calls it.

use crate::http::address;
use crate::http::api::{
    account, authorizations, catalogue, files, grants, once, orders, publishers, resources, search, signed, terminals,
    top_ups, verifications, well_known,
};
use crate::http::app::App;
use crate::http::body;
use crate::http::monitoring;
use crate::http::oauth::{device_authorization, revoke, token};
use crate::http::openapi::{self, Document};
use crate::http::pages;
use crate::http::problem;
use crate::http::problem::ApiError;
use crate::http::route::{Access, BodyClass, Endpoint, Routes, public};
use crate::http::webhooks;
use crate::ops::log;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use axum::{Extension, Router};
use portcullis_protocol::limits::MAX_REQUEST_BODY;
use std::sync::Arc;

/// Every route. Paths are those of `docs/protocol.md`.
pub fn router(app: App) -> Router {
    let routes = routes(&app);
    let document = Arc::new(Document::of(&app, &routes));
    let small = body::Pace::whole_within(&app.config.limits);

    // People, with a browser. Cookie and form token.
    let people = Router::new()
        .route("/", get(pages::store::home::show))
        .route("/search", get(pages::store::search::show))
        .route("/resources/{publisher}/{name}", get(pages::store::resource::show))
        .route("/publishers/{name}", get(pages::store::publisher::show))
        .route("/covers/{digest}", get(pages::store::cover::show))
        .route("/reference", get(pages::show_reference))
        .route("/sign-in", get(pages::show_sign_in).post(pages::submit_sign_in))
        .route("/sign-out", post(pages::sign_out))
        .route("/sign-up", get(pages::show_sign_up).post(pages::submit_sign_up))
        .route("/invite/{token}", get(pages::show_invited).post(pages::submit_invited))
        .route("/device", get(pages::show_device).post(pages::submit_device))
        .route("/buy/{offer}", get(pages::buying::offer::show).post(pages::buying::offer::submit))
        .route("/account/orders/{id}", get(pages::buying::order::show))
        .route("/account/balance", get(pages::buying::top_up::show).post(pages::buying::top_up::submit))
        .route("/account/means", get(pages::account::means::show).post(pages::account::means::forget))
        .route("/account/library", get(pages::account::library::show))
        .route("/account/purchases", get(pages::account::purchases::show))
        .route("/sandbox/{order}", get(pages::show_sandbox).post(pages::play_sandbox))
        .route("/account", get(pages::show_account))
        .route("/account/password", post(pages::change_password))
        .route("/account/email", post(pages::change_email))
        .route("/account/revoke", post(pages::revoke_terminal))
        .route("/account/end", post(pages::end_session))
        .route("/account/sign-out-everywhere", post(pages::sign_out_everywhere))
        .layer(from_fn_with_state(small, body::in_time))
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BODY));

    routes
        .into_router()
        .merge(people)
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(Extension(document))
        .layer(from_fn_with_state(app.clone(), address::gate))
        .layer(from_fn(problem::complete))
        .layer(from_fn(pages::instead_of_problems))
        .layer(from_fn_with_state(app.clone(), log::each_request))
        .with_state(app)
}

/// The interface for programs: each route once, with what it needs at its handler. Paths are those of
/// `portcullis_protocol::paths`.
fn routes(app: &App) -> Routes {
    Routes::default()
        // Everybody. Public, unsigned; what matters in the answers is signed by itself.
        .with::<well_known::__path_show>(app, public(well_known::show))
        .with::<openapi::__path_show>(app, public(openapi::show))
        .with::<search::__path_search>(app, public(search::search))
        .with::<catalogue::__path_show>(app, public(catalogue::show))
        .with::<publishers::__path_show>(app, public(publishers::show))
        .with::<files::__path_show>(app, public(files::show))
        // Load balancers.
        .with::<monitoring::__path_live>(app, public(monitoring::live))
        .with::<monitoring::__path_ready>(app, public(monitoring::ready))
        // Holders of a key: signing a terminal in. Proof, no token.
        .with::<device_authorization::__path_create>(app, form(device_authorization::create))
        .with::<token::__path_create>(app, form(token::create))
        .with::<revoke::__path_end>(app, form(revoke::end))
        // Signed-in keys: enrolment. Proof and token.
        .with::<terminals::__path_enrol>(app, once(terminals::enrol))
        // Terminals: the cycle. What a repeated request gets is remembered by the cycle's own transactions.
        .with::<authorizations::__path_authorise>(app, signed(authorizations::authorise))
        .with::<verifications::__path_verify>(app, signed(verifications::verify))
        .with::<grants::__path_show>(app, signed(grants::show))
        .with::<grants::__path_acknowledge>(app, signed(grants::acknowledge))
        // Terminals, for their users: buying, and what was bought.
        .with::<orders::__path_create>(app, signed(orders::create))
        .with::<orders::__path_show>(app, signed(orders::show))
        .with::<account::__path_show>(app, signed(account::show))
        .with::<account::__path_entitlements>(app, signed(account::entitlements))
        .with::<account::__path_entitlements_page>(app, signed(account::entitlements_page))
        .with::<account::__path_receipts>(app, signed(account::receipts))
        .with::<account::__path_receipts_page>(app, signed(account::receipts_page))
        .with::<account::__path_refunds>(app, signed(account::refunds))
        .with::<account::__path_refunds_page>(app, signed(account::refunds_page))
        .with::<top_ups::__path_balances>(app, signed(top_ups::balances))
        .with::<top_ups::__path_create>(app, signed(top_ups::create))
        .with::<top_ups::__path_list>(app, signed(top_ups::list))
        .with::<top_ups::__path_list_page>(app, signed(top_ups::list_page))
        .with::<account::__path_sessions>(app, signed(account::sessions))
        .with::<account::__path_end_session>(app, once(account::end_session))
        .with::<account::__path_sign_out_everywhere>(app, once(account::sign_out_everywhere))
        .with::<account::__path_revoke_terminal>(app, once(account::revoke_terminal))
        // Terminals, for publishers.
        .with::<publishers::__path_claim>(app, once(publishers::claim))
        .with::<publishers::__path_vouch>(app, once(publishers::vouch))
        .with::<resources::__path_put>(app, upload(resources::put))
        .with::<catalogue::__path_put_offers>(app, once(catalogue::put_offers))
        .with::<resources::__path_withdraw>(app, once(resources::withdraw))
        .with::<resources::__path_restore>(app, once(resources::restore))
        // Payment providers, each with a proof of its own.
        .with::<webhooks::__path_receive>(app, provider(webhooks::receive))
}

fn form<H: Handler<T, App>, T: 'static>(handler: H) -> Endpoint {
    Endpoint::new(Access::Proof, BodyClass::Small, handler)
}

fn upload<H: Handler<T, App>, T: 'static>(handler: H) -> Endpoint {
    Endpoint::new(Access::Terminal, BodyClass::Upload, handler)
}

fn provider<H: Handler<T, App>, T: 'static>(handler: H) -> Endpoint {
    Endpoint::new(Access::Provider, BodyClass::Small, handler)
}
