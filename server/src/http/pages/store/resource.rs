//! `GET /resources/{publisher}/{name}`: what it is, what it costs, what it asks for, and how it is run.

use super::super::kit::shell::Shell;
use super::super::kit::words::{command_line, gives, price};
use super::super::kit::{icons, layout};
use super::super::onward::Onward;
use super::super::session::Visitor;
use crate::billing::offer_revision::OfferRevision;
use crate::catalogue::usage::{self, Usage};
use crate::http::api::segment;
use crate::http::app::App;
use crate::http::problem::ApiError;
use crate::store::{Listing, Shelf};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use portcullis_protocol::text::size;
use portcullis_protocol::{Digest, Manifest, OperationEntry, PublisherName, ResourceName};
use std::sync::Arc;

/// Versions that the page lists, newest first: the command line lists them all.
const VERSIONS: usize = 20;

/// A resource.
pub(crate) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path((publisher, name)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let (publisher, name): (PublisherName, ResourceName) = (segment(&publisher)?, segment(&name)?);
    let shelf = app.core.store.shelf(&publisher, &name).await.map_err(ApiError::internal)?.ok_or(ApiError::NotFound)?;
    if !shelf.sold {
        return Ok(not_on_sale(&app, &visitor));
    }
    let usage = usage_of(&app, shelf.digest).await?;
    let Shelf { listing, manifest, .. } = &shelf;
    let content = html! {
        div.split.product {
            div.first {
                (icons::cover(&format!("{publisher}/{name}"), &listing.kind, listing.cover.as_ref(), true))
                p.crumbs.title {
                    a href={ "/search?kind=" (super::home::encoded(&listing.kind)) } { (icons::kind_name(&listing.kind, true)) }
                    span { "by " a href={ "/publishers/" (publisher) } { (publisher) } }
                    span { "version " (manifest.version) }
                }
                h1 dir="auto" { (listing.title) }
                @if !listing.description.is_empty() { p.story dir="auto" { (listing.description) } }
            }
            // Beside both; on a small screen between them, so that the price is seen without looking for it.
            aside { (buy_box(&app, listing)) (facts(listing, manifest)) }
            div {
                h2 { "What you can do with it" }
                @for operation in &manifest.operations { (operation_entry(operation, &listing.offers)) }
                (how_to_run(&app, manifest, &usage))
                (asks_for(manifest))
                (versions(listing))
            }
        }
    };
    let here = Onward::Resource(publisher, name);
    Ok(Shell::new(&app, &visitor, &listing.title).own_heading().covers().onward(here).show(&content))
}

/// How a version is run, read once.
pub(in super::super) async fn usage_of(app: &App, resource: Digest) -> Result<Arc<Usage>, ApiError> {
    if let Some(usage) = app.usages.kept(&resource) {
        return Ok(usage);
    }
    let app = app.clone();
    tokio::task::spawn_blocking(move || usage::read(&app, &resource)).await.map_err(ApiError::internal)?
}

fn not_on_sale(app: &App, visitor: &Visitor) -> Response {
    let content = html! {
        (layout::notice(Some("It was withdrawn, or the store has suspended its publisher. Nothing of it is sold at present.")))
        p { "If you bought it, it stays in your " a href="/account/library" { "library" } "." }
        p { a.button.plain href="/" { "Go to the store" } }
    };
    Shell::new(app, visitor, "Not on sale").status(StatusCode::NOT_FOUND).show(&content)
}

fn operation_entry(operation: &OperationEntry, offers: &[OfferRevision]) -> Markup {
    let mut costs: Vec<String> = Vec::new();
    for revision in offers.iter().filter(|revision| revision.offer.operation == operation.name) {
        costs.push(price(&revision.offer));
    }
    html! {
        div.offer {
            div.cost {
                h3 dir="auto" { (operation.title) }
                strong { @if costs.is_empty() { "Not sold at present" } @else { (costs.join(" or ")) } }
            }
            p.quiet.small { "Operation " code { (operation.name) } }
        }
    }
}

fn buy_box(app: &App, listing: &Listing) -> Markup {
    let paid = listing.offers.iter().filter(|revision| !revision.offer.rights.is_given());
    let paid: Vec<&OfferRevision> = paid.collect();
    html! {
        div.panel {
            h2 { "Buy" }
            @for revision in &paid {
                div.offer {
                    div.cost { h3 dir="auto" { (revision.offer.title) } span.sum { (revision.offer.price) } }
                    p.small { (gives(&revision.offer)) }
                    @if revision.offer.rights.is_paid_per_unit() {
                        a.button.plain href="/account/balance" { "Top up your balance" span.sr { " for " (revision.offer.title) } }
                    } @else {
                        a.button href={ "/buy/" (revision.digest) } { "Buy" span.sr { ": " (revision.offer.title) } }
                    }
                }
            }
            @if paid.is_empty() { p { "There is nothing to buy: what is offered is free." } }
            p.hint { "Sold by " (super::super::kit::shell::name_of(app)) ". What you buy runs on every terminal of your account." }
        }
    }
}

fn facts(listing: &Listing, manifest: &Manifest) -> Markup {
    let newest = listing.versions.iter().find(|version| version.version == manifest.version);
    html! {
        dl {
            dt { "Publisher" } dd { a href={ "/publishers/" (listing.publisher) } { (listing.publisher) } }
            dt { "Key" } dd { code { (listing.publisher_key.thumbprint().words()) } }
            dt { "Version" } dd { (manifest.version) }
            @if let Some(newest) = newest { dt { "Size" } dd { (size(newest.size)) } }
        }
        p.hint { "The words stand for the publisher's key. Your terminal remembers it, and warns you if it changes." }
    }
}

fn how_to_run(app: &App, manifest: &Manifest, usage: &Usage) -> Markup {
    html! {
        h2 { "How to run it" }
        ol.steps {
            li { p { "Sign the terminal in, once:" } (command_line(&format!("portcullis login {}", app.origin()))) }
            li {
                p { "Run it. The terminal fetches it, and asks this store whether you may:" }
                @for (operation, commands) in usage {
                    @if !commands.is_empty() {
                        p.small { bdi { (manifest.operation(operation).map_or(operation.as_str(), |entry| entry.title.as_str())) } ":" }
                        @for command in commands { (command_line(command)) }
                    }
                }
                @if usage.iter().all(|(_, commands)| commands.is_empty()) {
                    (command_line(&format!("portcullis run {}/{}", manifest.publisher.name, manifest.name)))
                }
            }
        }
        p.hint { "Values are examples. " code { "@file" } " stands for the bytes of a file of yours, " code { "-o file" } " for where the result goes." }
    }
}

fn asks_for(manifest: &Manifest) -> Markup {
    let asked = [
        (manifest.capabilities.wall_clock, "The time of day."),
        (manifest.capabilities.environment, "Environment variables that you pass to it."),
        (manifest.capabilities.directories, "Folders that you lend it."),
        (manifest.capabilities.bills, "Records of bills in your mailboxes, if you agree. Never a mail."),
    ];
    let asked: Vec<&str> = asked.iter().filter(|(asks, _)| *asks).map(|(_, text)| *text).collect();
    html! {
        h2 { "What it asks for" }
        @if asked.is_empty() {
            p { "Nothing. It runs sealed off: no files, no network, no clock." }
        } @else {
            p { "You decide about each when you run it. It never gets the network." }
            ul { @for text in asked { li { (text) } } }
        }
        details {
            summary { "Everything that it imports" }
            ul { @for import in &manifest.imports { li { code { (import) } } } }
        }
    }
}

fn versions(listing: &Listing) -> Markup {
    html! {
        h2 { "Versions" }
        ul.list {
            @for version in listing.versions.iter().take(VERSIONS) {
                li {
                    p {
                        strong { (version.version) } " "
                        @if version.withdrawn { span.tag.off { "withdrawn" } } @else { span.quiet { (size(version.size)) } }
                    }
                }
            }
        }
        @if listing.versions.len() > VERSIONS { p.quiet { "And " (listing.versions.len() - VERSIONS) " older ones." } }
    }
}
