//! The whole interface of a server, by who calls it.

use crate::http::address;
use crate::http::api::{
    account, authorizations, catalogue, codes, events, files, grants, merchant, merchants, once, orders, publishers,
    redemptions, resources, search, signed, terminals, top_ups, verifications, webhook_keys, well_known,
};
use crate::http::app::App;
use crate::http::monitoring;
use crate::http::oauth::{device_authorization, revoke, token};
use crate::http::openapi::{self, Document};
use crate::http::pages;
use crate::http::problem;
use crate::http::problem::ApiError;
use crate::http::route::{Access, BodyClass, Endpoint, Page, Routes, person, public, visitor};
use crate::http::webhooks;
use crate::ops::log;
use axum::handler::Handler;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::{Extension, Router};
use std::sync::Arc;

/// Every route. Paths are those of `docs/protocol.md`.
pub fn router(app: App) -> Router {
    let routes = routes(&app);
    let document = Arc::new(Document::of(&app, &routes));
    let for_programs = pages::ForPrograms::of(routes.described.iter().map(|route| route.path.as_str()));

    routes
        .into_router()
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(Extension(document))
        .layer(from_fn_with_state(app.clone(), address::gate))
        .layer(from_fn(problem::complete))
        .layer(from_fn_with_state(for_programs, pages::instead_of_problems))
        .layer(from_fn_with_state(app.clone(), log::each_request))
        .with_state(app)
}

/// The pages of a server, in the order of its router.
#[must_use]
pub fn pages(app: &App) -> Vec<Page> {
    routes(app).pages
}

/// Every route, once: who may call it, and with that its limits. For programs each has the rest at its handler; paths
/// are those of `portcullis_protocol::paths`.
fn routes(app: &App) -> Routes {
    let routes = for_programs(app, Routes::default());
    for_people(app, routes)
}

/// With a browser. Cookie and form token.
fn for_people(app: &App, routes: Routes) -> Routes {
    routes
        // Everybody.
        .get(app, "/", visitor(pages::store::home::show))
        .get(app, "/search", visitor(pages::store::search::show))
        .get(app, "/resources/{publisher}/{name}", visitor(pages::store::resource::show))
        .get(app, "/publishers/{name}", visitor(pages::store::publisher::show))
        .get(app, "/merchants/{name}", visitor(pages::store::merchant::show))
        .get(app, "/merchants/{name}/{product}", visitor(pages::buying::product::show))
        .get(app, "/pay/{request}", visitor(pages::buying::payment::show))
        .get(app, "/covers/{digest}", visitor(pages::store::cover::show))
        .get(app, "/reference", visitor(pages::show_reference))
        .get(app, "/sign-in", visitor(pages::show_sign_in))
        .post(app, "/sign-in", visitor(pages::submit_sign_in))
        .post(app, "/sign-out", visitor(pages::sign_out))
        .get(app, "/sign-up", visitor(pages::show_sign_up))
        .post(app, "/sign-up", visitor(pages::submit_sign_up))
        .get(app, "/invite/{token}", visitor(pages::show_invited))
        .post(app, "/invite/{token}", visitor(pages::submit_invited))
        .get(app, "/sandbox/{order}", visitor(pages::show_sandbox))
        .post(app, "/sandbox/{order}", visitor(pages::play_sandbox))
        // Who is signed in.
        .get(app, "/device", person(pages::show_device))
        .post(app, "/device", person(pages::submit_device))
        .get(app, "/buy/{offer}", person(pages::buying::offer::show))
        .post(app, "/buy/{offer}", person(pages::buying::offer::submit))
        .post(app, "/merchants/{name}/{product}", person(pages::buying::product::submit))
        .post(app, "/pay/{request}", person(pages::buying::payment::submit))
        .get(app, "/account", person(pages::show_account))
        .get(app, "/account/orders/{id}", person(pages::buying::order::show))
        .post(app, "/account/orders/{id}/cancel", person(pages::buying::order::cancel))
        .post(app, "/account/orders/{id}/terminal", person(pages::buying::claimant::submit))
        .get(app, "/account/balance", person(pages::buying::top_up::show))
        .post(app, "/account/balance", person(pages::buying::top_up::submit))
        .get(app, "/account/means", person(pages::account::means::show))
        .post(app, "/account/means", person(pages::account::means::forget))
        .get(app, "/account/preset", person(pages::account::preset::show))
        .post(app, "/account/preset", person(pages::account::preset::submit))
        .get(app, "/account/library", person(pages::account::library::show))
        .get(app, "/account/purchases", person(pages::account::purchases::show))
        .get(app, "/account/redeem", person(pages::account::redeem::show))
        .post(app, "/account/redeem", person(pages::account::redeem::submit))
        .post(app, "/account/password", person(pages::change_password))
        .post(app, "/account/email", person(pages::change_email))
        .post(app, "/account/revoke", person(pages::revoke_terminal))
        .post(app, "/account/end", person(pages::end_session))
        .post(app, "/account/sign-out-everywhere", person(pages::sign_out_everywhere))
}

/// With proofs and tokens, or with nothing.
fn for_programs(app: &App, routes: Routes) -> Routes {
    routes
        // Everybody. Public, unsigned; what matters in the answers is signed by itself.
        .with::<well_known::__path_show>(app, public(well_known::show))
        .with::<openapi::__path_show>(app, public(openapi::show))
        .with::<search::__path_search>(app, public(search::search))
        .with::<catalogue::__path_show>(app, public(catalogue::show))
        .with::<publishers::__path_show>(app, public(publishers::show))
        .with::<files::__path_show>(app, public(files::show))
        .with::<webhook_keys::__path_show>(app, public(webhook_keys::show))
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
        .with::<orders::__path_unpaid>(app, signed(orders::unpaid))
        .with::<orders::__path_show>(app, signed(orders::show))
        .with::<orders::__path_cancel>(app, signed(orders::cancel))
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
        // Terminals: what happens to what is theirs.
        .with::<events::__path_first>(app, signed(events::first))
        .with::<events::__path_after>(app, signed(events::after))
        .with::<events::__path_stream>(app, stream(events::stream))
        // Terminals, for their users: electronic codes.
        .with::<codes::__path_create>(app, signed(codes::create))
        .with::<codes::__path_list>(app, signed(codes::list))
        .with::<codes::__path_list_page>(app, signed(codes::list_page))
        .with::<codes::__path_receipts>(app, signed(codes::receipts))
        .with::<codes::__path_receipts_page>(app, signed(codes::receipts_page))
        .with::<codes::__path_show>(app, signed(codes::show))
        .with::<codes::__path_acknowledge>(app, signed(codes::acknowledge))
        .with::<codes::__path_relocate>(app, signed(codes::relocate))
        .with::<redemptions::__path_redeem>(app, signed(redemptions::redeem))
        // Merchants, by their keys.
        .with::<merchants::__path_show>(app, public(merchants::show))
        .with::<merchants::__path_show_request>(app, public(merchants::show_request))
        .with::<merchants::__path_claim>(app, once(merchants::claim))
        .with::<merchant::__path_show>(app, signed(merchant::show))
        .with::<merchant::__path_prove>(app, once(merchant::prove))
        .with::<merchant::__path_sell>(app, once(merchant::sell))
        .with::<merchant::__path_end>(app, once(merchant::end))
        .with::<merchant::__path_request>(app, once(merchant::request))
        // What these answer stands in the order.
        .with::<merchant::__path_verify>(app, signed(merchant::verify))
        .with::<merchant::__path_submit>(app, signed(merchant::submit))
        .with::<merchant::__path_order>(app, signed(merchant::order))
        .with::<merchant::__path_decline>(app, once(merchant::decline))
        .with::<merchant::__path_open>(app, signed(merchant::open))
        .with::<merchant::__path_open_page>(app, signed(merchant::open_page))
        .with::<merchant::__path_vouch>(app, once(merchant::vouch))
        .with::<merchant::__path_events>(app, signed(merchant::events))
        .with::<merchant::__path_events_after>(app, signed(merchant::events_after))
        // Terminals, for publishers.
        .with::<redemptions::__path_make>(app, signed(redemptions::make))
        .with::<redemptions::__path_list>(app, signed(redemptions::list))
        .with::<redemptions::__path_list_page>(app, signed(redemptions::list_page))
        .with::<redemptions::__path_void>(app, once(redemptions::void))
        .with::<publishers::__path_claim>(app, once(publishers::claim))
        .with::<publishers::__path_resources>(app, signed(publishers::resources))
        .with::<publishers::__path_resources_page>(app, signed(publishers::resources_page))
        .with::<publishers::__path_vouch>(app, once(publishers::vouch))
        .with::<resources::__path_put>(app, upload(resources::put))
        .with::<catalogue::__path_put_offers>(app, once(catalogue::put_offers))
        .with::<catalogue::__path_put_adoption>(app, once(catalogue::put_adoption))
        .with::<resources::__path_withdraw>(app, once(resources::withdraw))
        .with::<resources::__path_restore>(app, once(resources::restore))
        // Payment providers, each with a proof of its own.
        .with::<webhooks::__path_receive>(app, provider(webhooks::receive))
}

/// A handler whose answer is a stream of signed documents.
fn stream<H: Handler<T, App>, T: 'static>(handler: H) -> Endpoint {
    Endpoint::new(Access::Stream, BodyClass::Small, handler)
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
