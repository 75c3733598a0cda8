//! HTTP: the router, who calls, how fast, and what is answered; below it the API, the pages and OAuth.

pub(crate) mod address;
pub(crate) mod address_buckets;
pub(crate) mod api;
pub(crate) mod app;
pub(crate) mod auth;
pub(crate) mod body;
pub(crate) mod connections;
pub(crate) mod form;
pub(crate) mod forwarded;
pub(crate) mod keeping;
pub(crate) mod monitoring;
pub(crate) mod oauth;
pub(crate) mod openapi;
pub(crate) mod pages;
pub(crate) mod places;
pub(crate) mod problem;
pub(crate) mod rate;
pub(crate) mod route;
pub(crate) mod router;
pub(crate) mod webhooks;
