//! Every route, with who may use it. Both the router and the OpenAPI document are built from this
//! one table: all routes but those marked *Public* or *Proof* require a bearer token, and a route
//! that is not here does not exist.

use std::sync::Arc;

use axum::{Extension, Router, extract::DefaultBodyLimit, middleware, response::Response};
use peral_runtime::propagate::RouteClass;
use utoipa::openapi::{OpenApi, PathItem, path::Operation, security::SecurityRequirement};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use super::{access::RouteAccess, accounts, auth, docs, files, holdings, peers, sessions, tokens};
use crate::service::App;

/// Maximum body of most requests, in bytes.
const BODY: usize = 1 << 20;
/// Maximum body of requests that carry a thousand rows, in bytes.
const ROWS: usize = 4 << 20;

/// A route of the REST interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Such as `GET`.
    pub method: &'static str,
    /// Such as `/v1/peers/{id}`; `{*name}` is the rest of the path.
    pub path: String,
    /// Who may use it.
    pub access: RouteAccess,
}

struct TableRow {
    access: RouteAccess,
    /// The store checks the caller in the same transaction, so that the token suffices: for what
    /// each peer does every ten seconds.
    light: bool,
    body: usize,
    handler: UtoipaMethodRouter<Arc<App>>,
}

macro_rules! table {
    (@ body rows) => { ROWS };
    (@ body $($other:ident)?) => { BODY };
    (@ light light) => { true };
    (@ light $($other:ident)?) => { false };
    ($($access:ident $module:ident::$handler:ident $($how:ident)?;)*) => {
        fn rows() -> Vec<TableRow> {
            vec![$(TableRow {
                access: RouteAccess::$access,
                light: table!(@ light $($how)?),
                body: table!(@ body $($how)?),
                handler: utoipa_axum::routes!($module::$handler),
            }),*]
        }
    };
}

table! {
    Public sessions::ca;
    Public sessions::jwks;
    Public sessions::nonce;
    Proof  sessions::login;
    User   sessions::logout;
    Proof  sessions::renew;
    Member sessions::whoami;
    User   sessions::change_password;
    User   sessions::sessions;
    User   sessions::end_session;

    Proof  peers::register;
    Peer   peers::heartbeat light;
    Member peers::peers;
    Peer   peers::log_out_peer;
    Admin  peers::revoke_peer;

    Peer   holdings::index rows;
    Peer   holdings::digest;
    Peer   holdings::bucket rows;

    Peer   files::publish rows;
    Member files::file;
    Member files::change_file;
    Member files::delete_file;
    Member files::upload;
    Member files::sources;
    Member files::search;
    Member files::locate;

    Admin  accounts::accounts;
    Admin  accounts::create_account;
    Admin  accounts::change_account;
    Admin  accounts::groups;
    Admin  accounts::create_group;
    Admin  accounts::delete_group;
    Admin  accounts::add_member;
    Admin  accounts::remove_member;
    User   tokens::api_tokens;
    User   tokens::create_api_token;
    User   tokens::revoke_api_token;
    Admin  tokens::join_tokens;
    Admin  tokens::create_join_token;
    Admin  tokens::revoke_join_token;

    Public docs::openapi;
    Public docs::page;
    Public docs::asset;
}

/// All routes of the REST interface.
pub fn routes() -> Vec<Route> {
    let of = |row: TableRow| {
        let (_, paths, _) = row.handler;
        paths.paths.into_iter().flat_map(move |(path, mut item)| {
            operations(&mut item)
                .map(|(method, _)| Route { method, path: path.clone(), access: row.access })
                .collect::<Vec<_>>()
        })
    };
    rows().into_iter().flat_map(of).collect()
}

/// The OpenAPI document.
pub fn document() -> OpenApi {
    let merged = rows()
        .into_iter()
        .fold(OpenApiRouter::<Arc<App>>::with_openapi(docs::header()), |router, row| {
            router.routes(described(row))
        });
    let mut api = merged.into_openapi();
    // OpenAPI does not have axum's notation for the rest of the path.
    api.paths.paths = std::mem::take(&mut api.paths.paths)
        .into_iter()
        .map(|(path, item)| (path.replace("{*", "{"), item))
        .collect();
    api
}

/// The router of all routes.
pub(super) fn router(app: &Arc<App>) -> Router {
    let add = |router: Router<Arc<App>>, row: TableRow| {
        let (access, light, body) = (row.access, row.light, row.body);
        let (_, paths, handler) = row.handler;
        let handler = handler.layer(DefaultBodyLimit::max(body));
        let handler = match access.needs_token() {
            false => handler,
            true => handler.route_layer(middleware::from_fn_with_state(
                auth::RouteAuth { app: Arc::clone(app), access, light },
                auth::authenticate,
            )),
        };
        let handler = handler.layer(middleware::map_response(move |answer: Response| async move {
            (Extension(RouteClass(access.as_str())), answer)
        }));
        paths.paths.keys().fold(router, |router, path| router.route(path, handler.clone()))
    };
    let document: docs::OpenApiDocument = Arc::new(document());
    rows()
        .into_iter()
        .fold(Router::new(), add)
        .layer(Extension(document))
        .with_state(Arc::clone(app))
}

/// Adds to the document who may use the route.
fn described(mut row: TableRow) -> UtoipaMethodRouter<Arc<App>> {
    let who = match row.access {
        RouteAccess::Public => "Everybody.",
        RouteAccess::Proof => "Everybody; the signature in the request proves who sends it.",
        RouteAccess::User => "Users.",
        RouteAccess::Peer => "Peers.",
        RouteAccess::Member => "Users and peers.",
        RouteAccess::Admin => "Administrators.",
    };
    let (_, paths, _) = &mut row.handler;
    for item in paths.paths.values_mut() {
        for (_, operation) in operations(item) {
            let description = operation.description.take().unwrap_or_default();
            operation.description =
                Some(format!("{description}\n\nFor: {who}").trim_start().to_owned());
            if row.access.needs_token() {
                operation.security =
                    Some(vec![SecurityRequirement::new("bearer", Vec::<String>::new())]);
            }
            docs::complete(operation);
        }
    }
    row.handler
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let all = [
        ("GET", item.get.as_mut()),
        ("POST", item.post.as_mut()),
        ("PUT", item.put.as_mut()),
        ("PATCH", item.patch.as_mut()),
        ("DELETE", item.delete.as_mut()),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation?)))
}
