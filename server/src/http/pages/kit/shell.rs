//! The frame of the store and of the account: search, the way to the account, what was just done, and how this store is
//! recognised.

use super::super::onward::Onward;
use super::super::session::Visitor;
use super::icons;
use super::layout::{Loads, document, mark};
use crate::http::app::App;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, Render, html};

/// A page of the account, in the order of the tabs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Tab {
    /// Sign-ins, terminals, password, address.
    Account,
    /// What the account holds.
    Library,
    /// What it ordered.
    Purchases,
    /// What it paid in.
    Balance,
}

const TABS: [(Tab, &str, &str); 4] = [
    (Tab::Library, "/account/library", "Library"),
    (Tab::Purchases, "/account/purchases", "Purchases"),
    (Tab::Balance, "/account/balance", "Balance"),
    (Tab::Account, "/account", "Account"),
];

/// A page that is being made.
pub(in super::super) struct Shell<'a> {
    app: &'a App,
    visitor: &'a Visitor,
    title: &'a str,
    status: StatusCode,
    loads: Loads,
    query: &'a str,
    tab: Option<Tab>,
    has_own_heading: bool,
    onward: Onward,
}

impl<'a> Shell<'a> {
    /// A page with this title, which is its heading too.
    pub(in super::super) fn new(app: &'a App, visitor: &'a Visitor, title: &'a str) -> Self {
        let (status, loads) = (StatusCode::OK, Loads::Nothing);
        Self { app, visitor, title, status, loads, query: "", tab: None, has_own_heading: false, onward: Onward::Home }
    }

    /// With another status than 200.
    pub(in super::super) fn status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// With covers of what is sold.
    pub(in super::super) fn covers(self) -> Self {
        Self { loads: Loads::Covers, ..self }
    }

    /// With what was searched for still in the field.
    pub(in super::super) fn query(self, query: &'a str) -> Self {
        Self { query, ..self }
    }

    /// A page of the account.
    pub(in super::super) fn tab(self, tab: Tab) -> Self {
        Self { tab: Some(tab), ..self }
    }

    /// Where signing in or up from here leads.
    pub(in super::super) fn onward(self, onward: Onward) -> Self {
        Self { onward, ..self }
    }

    /// Its content has the heading.
    pub(in super::super) fn own_heading(self) -> Self {
        Self { has_own_heading: true, ..self }
    }

    /// The page with its content.
    pub(in super::super) fn show(self, content: &Markup) -> Response {
        let flash = self.visitor.flash();
        let body = html! {
            (self.bar())
            main id="content" class="in" {
                @if let Some(flash) = flash { p.flash role="status" { (flash.text()) } }
                @if !self.has_own_heading { h1 { (self.title) } }
                @if let Some(current) = self.tab {
                    nav.tabs aria-label="Your account" {
                        @for (tab, path, name) in TABS {
                            a href=(path) aria-current=[(tab == current).then_some("page")] { (name) }
                        }
                    }
                }
                (content)
            }
            (self.foot())
        };
        let response = document(self.status, self.title, self.loads, &body);
        if flash.is_some() { self.visitor.forget_flash(self.app, response) } else { response }
    }

    fn bar(&self) -> Markup {
        html! {
            header.bar {
                div.in {
                    (mark(name_of(self.app)))
                    form.find role="search" method="get" action="/search" {
                        label.sr for="q" { "Search the store" }
                        input type="search" id="q" name="q" maxlength="200" autocomplete="off" placeholder="Search the store"
                            value=[Some(self.query).filter(|query| !query.is_empty())];
                        button.plain { "Search" }
                    }
                    nav aria-label="You" {
                        @if self.visitor.account().is_some() {
                            a href="/account/library" { "Library" }
                            a href="/account" { "Account" }
                            form method="post" action="/sign-out" {
                                (self.visitor.field(self.app))
                                button.bare { "Sign out" }
                            }
                        } @else {
                            a href=(self.onward.by("/sign-in")) { "Sign in" }
                            @if self.app.sign_up_is_open() { a href=(self.onward.by("/sign-up")) { "Sign up" } }
                        }
                    }
                }
            }
        }
    }

    fn foot(&self) -> Markup {
        html! {
            footer {
                div.in {
                    p { "A store for Portcullis at " (self.app.origin()) ". Terminals know it by these words: " code { (self.app.core.keys.root().thumbprint().words()) } }
                    p { a href="/device" { "Approve a terminal" } " with the code that it shows." }
                }
            }
        }
    }
}

/// What a store is called: its host.
pub(in super::super) fn name_of(app: &App) -> &str {
    app.origin().as_str().split_once("://").map_or("", |(_, host)| host)
}

/// What stands where a list has nothing to show: what belongs there, and how it gets there.
pub(in super::super) struct Empty<'a> {
    /// What is not there.
    pub(in super::super) title: &'a str,
    /// What to do.
    pub(in super::super) text: Markup,
}

impl Render for Empty<'_> {
    fn render(&self) -> Markup {
        html! {
            div.empty {
                (icons::nothing())
                h2 { (self.title) }
                p { (self.text) }
            }
        }
    }
}
