//! Every route, with who may use it. The router and the OpenAPI document are both made from this
//! one table: whatever is in neither column *public* nor *proof* asks for a bearer token, and a
//! route that is not here does not exist.

use std::sync::Arc;

use axum::{Extension, Router, extract::DefaultBodyLimit, middleware, response::Response};
use peral_runtime::propagate::RouteClass;
use utoipa::openapi::{OpenApi, PathItem, path::Operation, security::SecurityRequirement};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use super::{accounts, auth, class::Class, docs, files, holdings, peers, sessions, tokens};
use crate::service::App;

/// Largest body of most requests, in bytes.
const BODY: usize = 1 << 20;
/// Largest body of the requests that carry a thousand rows, in bytes.
const ROWS: usize = 4 << 20;

/// A route of the REST interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Such as `GET`.
    pub method: &'static str,
    /// Such as `/v1/peers/{id}`; `{*name}` is the rest of the path.
    pub path: String,
    /// Who may use it.
    pub class: Class,
}

struct TableRow {
    class: Class,
    /// The store checks the caller with what it writes, so that nobody else needs to: for what each
    /// peer does every ten seconds.
    light: bool,
    body: usize,
    handler: UtoipaMethodRouter<Arc<App>>,
}

macro_rules! table {
    (@ body rows) => { ROWS };
    (@ body $($other:ident)?) => { BODY };
    (@ light light) => { true };
    (@ light $($other:ident)?) => { false };
    ($($class:ident $module:ident::$handler:ident $($how:ident)?;)*) => {
        fn rows() -> Vec<TableRow> {
            vec![$(TableRow {
                class: Class::$class,
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
    Admin  peers::change_peer;

    Peer   holdings::index rows;
    Peer   holdings::digest;
    Peer   holdings::bucket rows;

    Peer   files::publish rows;
    Member files::file;
    Member files::change_file;
    Member files::remove_file;
    Member files::upload;
    Member files::sources;
    Member files::search;
    Member files::locate;

    Admin  accounts::accounts;
    Admin  accounts::add_account;
    Admin  accounts::change_account;
    Admin  accounts::groups;
    Admin  accounts::add_group;
    Admin  accounts::remove_group;
    Admin  accounts::add_member;
    Admin  accounts::remove_member;
    User   tokens::api_tokens;
    User   tokens::add_api_token;
    User   tokens::remove_api_token;
    Admin  tokens::join_tokens;
    Admin  tokens::add_join_token;
    Admin  tokens::remove_join_token;

    Public docs::openapi;
    Public docs::page;
    Public docs::asset;
}

/// All routes of the REST interface.
pub fn routes() -> Vec<Route> {
    let of = |row: TableRow| {
        let paths = row.handler.1.paths.into_iter();
        paths.flat_map(move |(path, mut item)| {
            operations(&mut item)
                .map(|(method, _)| Route { method, path: path.clone(), class: row.class })
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
    // axum's way of writing "the rest of the path" is none of OpenAPI.
    api.paths.paths = std::mem::take(&mut api.paths.paths)
        .into_iter()
        .map(|(path, item)| (path.replace("{*", "{"), item))
        .collect();
    api
}

/// The router of all routes.
pub(super) fn router(app: &Arc<App>) -> Router {
    let add = |router: Router<Arc<App>>, row: TableRow| {
        let (class, light, body) = (row.class, row.light, row.body);
        let (_, paths, handler) = row.handler;
        let handler = handler.layer(DefaultBodyLimit::max(body));
        let handler = match class.needs_token() {
            false => handler,
            true => handler.route_layer(middleware::from_fn_with_state(
                auth::RouteAuth { app: Arc::clone(app), class, light },
                auth::authenticate,
            )),
        };
        let handler = handler.layer(middleware::map_response(move |answer: Response| async move {
            (Extension(RouteClass(class.as_str())), answer)
        }));
        paths.paths.keys().fold(router, |router, path| router.route(path, handler.clone()))
    };
    let document: docs::Document = Arc::new(document());
    rows()
        .into_iter()
        .fold(Router::new(), add)
        .layer(Extension(document))
        .with_state(Arc::clone(app))
}

/// Says in the document what the class means.
fn described(mut row: TableRow) -> UtoipaMethodRouter<Arc<App>> {
    let who = match row.class {
        Class::Public => "Whoever can connect.",
        Class::Proof => "Whoever can connect; the signature in the request proves who sends it.",
        Class::User => "Users.",
        Class::Peer => "Peers.",
        Class::Member => "Users and peers.",
        Class::Admin => "Administrators.",
    };
    for item in row.handler.1.paths.values_mut() {
        for (_, operation) in operations(item) {
            let said = operation.description.take().unwrap_or_default();
            operation.description = Some(format!("{said}\n\nFor: {who}").trim_start().to_owned());
            if row.class.needs_token() {
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
