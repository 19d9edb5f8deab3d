//! The OpenAPI document: whole, stable, and shown by a page that fetches nothing from elsewhere.

use std::collections::BTreeSet;

use peral_central::{RouteAccess, document, routes};

use crate::support::Net;

#[test]
fn the_document_and_the_routes_are_the_same() {
    let document = serde_json::to_value(document()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let locked = operation.get("security").is_some();
            described.insert((method.to_uppercase(), path.clone(), locked));
            assert!(
                operation["description"].as_str().unwrap().contains("For: "),
                "{method} {path}"
            );
            assert!(operation["responses"].get("default").is_some(), "{method} {path}");
        }
    }
    let locked = |access| !matches!(access, RouteAccess::Public | RouteAccess::Proof);
    let served = routes().into_iter().map(|route| {
        (route.method.to_owned(), route.path.replace("{*", "{"), locked(route.access))
    });
    assert_eq!(described, served.collect());
}

#[test]
fn every_reference_leads_somewhere() {
    let document = serde_json::to_value(document()).unwrap();
    fn references(value: &serde_json::Value, found: &mut BTreeSet<String>) {
        match value {
            serde_json::Value::Object(fields) => {
                found.extend(
                    fields.get("$ref").and_then(|target| target.as_str()).map(str::to_owned),
                );
                fields.values().for_each(|value| references(value, found));
            }
            serde_json::Value::Array(items) => {
                items.iter().for_each(|value| references(value, found));
            }
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 20);
    for target in found {
        assert!(document.pointer(target.trim_start_matches('#')).is_some(), "{target}");
    }
}

#[test]
fn the_document_changes_only_on_purpose() {
    let mut document = document();
    // A release changes nothing here.
    document.info.version = "any".into();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_json_snapshot!("openapi", document));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_brings_all_it_needs() {
    let net = Net::start().await;
    let page = reqwest::get(format!("{}/docs", net.base)).await.unwrap();
    assert_eq!((page.status().as_u16(), page.url().path()), (200, "/docs/index.html"));
    assert!(
        page.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'self'")
    );
    let page = page.text().await.unwrap();
    assert!(!page.contains("https://"), "{page}");
    for asset in ["swagger-ui.css", "swagger-ui-bundle.js", "swagger-initializer.js"] {
        assert!(page.contains(asset), "{page}");
        let answer = reqwest::get(format!("{}/docs/{asset}", net.base)).await.unwrap();
        assert_eq!(answer.status(), 200, "{asset}");
    }
    let served: serde_json::Value =
        reqwest::get(format!("{}/v1/openapi.json", net.base)).await.unwrap().json().await.unwrap();
    assert_eq!(served, serde_json::to_value(document()).unwrap());
}
