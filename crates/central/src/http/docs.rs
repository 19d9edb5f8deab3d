//! The OpenAPI document, and the page that shows it without fetching anything from elsewhere.

use std::sync::{Arc, LazyLock};

use axum::{
    Extension, Json,
    extract::Path,
    response::{IntoResponse, Redirect, Response},
};
use http::{HeaderValue, header};
use peral_wire::{
    failure::Problem,
    rest::{
        peers::RegisterRequest,
        sessions::{LoginRequest, RenewRequest},
    },
};
use utoipa::{
    OpenApi,
    openapi::{
        ContentBuilder, Ref, RefOr, ResponseBuilder,
        path::Operation,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_swagger_ui::Config;

use super::problem::{self, ProblemResponse};

const DOCUMENT: &str = "/v1/openapi.json";

/// The document of all routes, which the table hands in: it describes this route too.
pub(super) type OpenApiDocument = Arc<utoipa::openapi::OpenApi>;

#[derive(OpenApi)]
#[openapi(
    components(schemas(Problem, LoginRequest, RegisterRequest, RenewRequest)),
    info(
        title = "Peral central",
        description = "Catalogue, accounts and rights of a Peral network. Errors are problem \
            documents (RFC 9457) with a stable `code`. Times are milliseconds since 1970, sizes \
            bytes.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    )
)]
struct Header;

/// The document without its routes. The requests inside proofs are listed here, because no route
/// has them as its body.
pub(super) fn header() -> utoipa::openapi::OpenApi {
    let mut api = Header::openapi();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    api.components
        .get_or_insert_default()
        .add_security_scheme("bearer", SecurityScheme::Http(bearer));
    api
}

/// Completes an operation: every route may answer with a problem document, and every answer has a
/// description.
pub(super) fn complete(operation: &mut Operation) {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let problem = ResponseBuilder::new()
        .description("The request failed; `code` and `detail` say why.")
        .content("application/problem+json", content)
        .build();
    let answers = &mut operation.responses.responses;
    answers.insert("default".into(), RefOr::T(problem));
    for answer in answers.values_mut() {
        if let RefOr::T(answer) = answer
            && answer.description.is_empty()
        {
            answer.description = "The request succeeded.".into();
        }
    }
}

/// The OpenAPI document.
#[utoipa::path(
    get, path = "/v1/openapi.json", tag = "about", operation_id = "openapi",
    responses((status = 200, content_type = "application/json"))
)]
pub async fn openapi(Extension(document): Extension<OpenApiDocument>) -> Json<OpenApiDocument> {
    Json(document)
}

/// Redirects to the page that documents the interface.
#[utoipa::path(
    get, path = "/docs", tag = "about", operation_id = "docs", responses((status = 303))
)]
pub async fn page() -> Redirect {
    Redirect::to("/docs/index.html")
}

/// The page that documents the interface, and its assets.
#[utoipa::path(
    get, path = "/docs/{*file}", tag = "about", operation_id = "docs_file",
    params(("file" = String, Path)), responses((status = 200, content_type = "text/html"))
)]
pub async fn asset(Path(file): Path<String>) -> Result<Response, ProblemResponse> {
    static CONFIG: LazyLock<Arc<Config<'static>>> =
        LazyLock::new(|| Arc::new(Config::from(DOCUMENT).validator_url("none")));
    let found = utoipa_swagger_ui::serve(&file, Arc::clone(&CONFIG));
    let found =
        found.map_err(|error| peral_wire::fail!(Internal, "cannot render the page: {error}"))?;
    let Some(found) = found else { return Err(problem::no_route().await) };
    let mut response = found.bytes.into_owned().into_response();
    let kind = HeaderValue::from_str(&found.content_type)
        .unwrap_or(HeaderValue::from_static("application/octet-stream"));
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    if found.gzpipped {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}
