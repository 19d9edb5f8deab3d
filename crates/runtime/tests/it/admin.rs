//! Probes and metrics.

use std::net::Ipv4Addr;

use http::StatusCode;
use peral_runtime::{
    Ports, Shutdown,
    admin::{Checks, serve_admin},
    serve::Listener,
};
use prometheus::{IntCounter, Registry};

use crate::support::{Answer, PATIENCE, connect, fetch};

#[tokio::test]
async fn probes_name_what_fails_and_answer_until_the_end() {
    let listener = Listener::bind(Ipv4Addr::LOCALHOST.into(), Ports::one(0)).unwrap();
    let (address, shutdown, checks, registry) =
        (listener.local_addr(), Shutdown::new(), Checks::new(), Registry::new());
    let counter = IntCounter::new("peral_pears_total", "Pears picked").unwrap();
    registry.register(Box::new(counter.clone())).unwrap();
    counter.inc_by(3);
    let admin = tokio::spawn(serve_admin(listener, checks.clone(), registry, shutdown.clone()));
    let get = async |path: &str| fetch(connect(address).await, path).await.unwrap();
    let readyz = async || {
        let Answer { status, text } = get("/readyz").await;
        (status, serde_json::from_str::<serde_json::Value>(&text).unwrap())
    };

    let (database, disk) = (checks.register("database"), checks.register("disk"));
    disk.ok();
    let (status, body) = readyz().await;
    assert_eq!(
        (status, &body["checks"]["database"]["text"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"starting".into())
    );
    database.err("connection refused");
    let (status, body) = readyz().await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let expected = serde_json::json!({
        "ready": false,
        "checks": {
            "database": {"ok": false, "text": "connection refused"},
            "disk": {"ok": true},
        },
    });
    assert_eq!(body, expected);
    assert_eq!(
        get("/livez").await.status,
        StatusCode::OK,
        "a failing check does not call for a restart"
    );
    database.ok();
    assert!(checks.ready());
    assert_eq!(get("/readyz").await.status, StatusCode::OK);

    let page = get("/metrics").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("peral_pears_total 3"), "{page:?}");
    assert_eq!(get("/other").await.status, StatusCode::NOT_FOUND);

    shutdown.drain();
    let (status, body) = readyz().await;
    assert_eq!(
        (status, &body["checks"]["shutdown"]["text"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"draining".into())
    );
    assert_eq!(get("/livez").await.status, StatusCode::OK);
    shutdown.kill();
    tokio::time::timeout(PATIENCE, admin).await.expect("it outlives the kill").unwrap();
}
