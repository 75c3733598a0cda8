//! A route of the interface. Path, method and answers are written at its handler (`#[utoipa::path]`), who may call it
//! is the type of its caller, and from both come the router, the limits and the OpenAPI document. A page has its path
//! and who may see it in the router's list, and the same limits.

use crate::http::app::App;
use crate::http::auth::Caller;
use crate::http::body;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on};
use portcullis_protocol::limits::MAX_REQUEST_BODY;
use std::collections::BTreeMap;
use std::convert::Infallible;
use utoipa::__dev::{SchemaReferences, Tags};
use utoipa::openapi::path::{HttpMethod, Operation};
use utoipa::openapi::{RefOr, schema::Schema};

/// Who may call a route. It decides how errors are answered, and which rate limits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everybody. Limited by address.
    Public,
    /// A payment provider, with a proof of its own in the request. Limited by address.
    Provider,
    /// The holder of a key, who has no token yet. Limited by address and key.
    Proof,
    /// A key that is signed in and need not be enrolled. Limited by address and key.
    Session,
    /// An enrolled terminal. Limited by address and key.
    Terminal,
    /// An enrolled terminal, which is answered with a stream. Limited by address and key, and so many at once.
    Stream,
    /// A merchant, by its key. An approved one is limited by itself, any other by address and key.
    Merchant,
    /// Whoever has a browser; a form carries the token of its page. Limited by address.
    Visitor,
    /// A browser that is signed in; any other is sent to sign in. Limited by address.
    Person,
}

impl Access {
    /// The word for it in `docs/protocol.md` and in the OpenAPI document.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Provider => "provider",
            Self::Proof => "proof",
            Self::Session => "session",
            Self::Terminal | Self::Stream => "terminal",
            Self::Merchant => "merchant",
            Self::Visitor => "visitor",
            Self::Person => "person",
        }
    }

    /// Whether answers are signed.
    pub(crate) const fn is_signed(self) -> bool {
        matches!(self, Self::Session | Self::Terminal | Self::Merchant)
    }
}

/// What a body may be, and by when it has to be whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyClass {
    /// At most [`MAX_REQUEST_BODY`] bytes, within `limits.request_seconds`.
    Small,
    /// At most `limits.upload_bytes` bytes, at no less than `limits.upload_rate`.
    Upload,
}

/// A handler and what it needs.
pub(crate) struct Endpoint {
    pub(crate) access: Access,
    pub(crate) body: BodyClass,
    handler: Box<dyn FnOnce(MethodFilter) -> MethodRouter<App> + Send>,
}

impl Endpoint {
    /// A handler that these may call.
    pub(crate) fn new<H, T>(access: Access, body: BodyClass, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        Self { access, body, handler: Box::new(move |method| on(method, handler)) }
    }

    /// A handler whose caller is of this type.
    pub(crate) fn of<C: Caller, H, T>(handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        Self::new(C::ACCESS, BodyClass::Small, handler)
    }
}

/// A handler that everybody may call.
pub(crate) fn public<H: Handler<T, App>, T: 'static>(handler: H) -> Endpoint {
    Endpoint::new(Access::Public, BodyClass::Small, handler)
}

/// A page that everybody may see, or the target of its form.
pub(crate) fn visitor<H: Handler<T, App>, T: 'static>(handler: H) -> Endpoint {
    Endpoint::new(Access::Visitor, BodyClass::Small, handler)
}

/// A page of who is signed in, or the target of its form. Others are sent to sign in by the handler.
pub(crate) fn person<H: Handler<T, App>, T: 'static>(handler: H) -> Endpoint {
    Endpoint::new(Access::Person, BodyClass::Small, handler)
}

/// A route for people with a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// Its path, with variable segments in braces.
    pub path: &'static str,
    /// Whether only who is signed in is answered; others are sent to sign in.
    pub is_personal: bool,
}

/// What the document says of a route.
#[derive(Clone)]
pub(crate) struct Described {
    pub(crate) method: HttpMethod,
    pub(crate) path: String,
    pub(crate) access: Access,
    pub(crate) body: BodyClass,
    pub(crate) operation: Operation,
}

/// The one list of routes.
#[derive(Default)]
pub(crate) struct Routes {
    routers: BTreeMap<String, MethodRouter<App>>,
    pub(crate) described: Vec<Described>,
    pub(crate) pages: Vec<Page>,
    pub(crate) schemas: Vec<(String, RefOr<Schema>)>,
}

impl Routes {
    /// Adds a route: `D` is what `#[utoipa::path]` made of its handler.
    #[must_use]
    pub(crate) fn with<D>(mut self, app: &App, endpoint: Endpoint) -> Self
    where
        D: utoipa::Path + SchemaReferences + Tags<'static>,
    {
        let path = D::path();
        D::schemas(&mut self.schemas);
        // utoipa's own list of routes adds the tags; an operation by itself has none.
        let mut operation = D::operation();
        operation.tags = Some(D::tags().into_iter().map(str::to_owned).collect());
        for method in D::methods() {
            self.described.push(Described {
                method,
                path: path.clone(),
                access: endpoint.access,
                body: endpoint.body,
                operation: operation.clone(),
            });
        }
        let filter = D::methods().iter().map(filter).reduce(MethodFilter::or).unwrap_or(MethodFilter::GET);
        self.place(app, path, filter, endpoint)
    }

    /// Adds a page.
    #[must_use]
    pub(crate) fn get(self, app: &App, path: &'static str, endpoint: Endpoint) -> Self {
        self.page(app, "GET", path, MethodFilter::GET, endpoint)
    }

    /// Adds what a form of a page is sent to.
    #[must_use]
    pub(crate) fn post(self, app: &App, path: &'static str, endpoint: Endpoint) -> Self {
        self.page(app, "POST", path, MethodFilter::POST, endpoint)
    }

    fn page(
        mut self,
        app: &App,
        method: &'static str,
        path: &'static str,
        filter: MethodFilter,
        endpoint: Endpoint,
    ) -> Self {
        self.pages.push(Page { method, path, is_personal: endpoint.access == Access::Person });
        self.place(app, path.to_owned(), filter, endpoint)
    }

    /// Routes to a handler, with the bounds that its body has.
    fn place(mut self, app: &App, path: String, filter: MethodFilter, endpoint: Endpoint) -> Self {
        let limits = &app.config.limits;
        let (most, pace) = match endpoint.body {
            BodyClass::Small => (MAX_REQUEST_BODY, body::Pace::whole_within(limits)),
            BodyClass::Upload => {
                (usize::try_from(limits.upload_bytes).unwrap_or(usize::MAX), body::Pace::no_slower_than(limits))
            }
        };
        let router = (endpoint.handler)(filter)
            .layer::<_, Infallible>(from_fn_with_state(pace, body::in_time))
            .layer::<_, Infallible>(DefaultBodyLimit::max(most));
        let router = match self.routers.remove(&path) {
            Some(others) => others.merge(router),
            None => router,
        };
        self.routers.insert(path, router);
        self
    }

    /// The routes, to be served.
    pub(crate) fn into_router(self) -> Router<App> {
        self.routers.into_iter().fold(Router::new(), |router, (path, methods)| router.route(&path, methods))
    }
}

fn filter(method: &HttpMethod) -> MethodFilter {
    match method {
        HttpMethod::Get => MethodFilter::GET,
        HttpMethod::Post => MethodFilter::POST,
        HttpMethod::Put => MethodFilter::PUT,
        HttpMethod::Delete => MethodFilter::DELETE,
        HttpMethod::Options => MethodFilter::OPTIONS,
        HttpMethod::Head => MethodFilter::HEAD,
        HttpMethod::Patch => MethodFilter::PATCH,
        HttpMethod::Trace => MethodFilter::TRACE,
    }
}
