//! What guards every request: a limit on how many run at once, a deadline, and a task of its own,
//! so that a caller who disconnects cannot stop a change halfway and a panic ends only its request.

use std::{any::Any, sync::Arc, time::Duration};

use axum::{
    body::{Body, HttpBody},
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use futures::StreamExt;
use peral_wire::fail;
use tokio::sync::Semaphore;
use tracing::Instrument;

use super::problem::ProblemResponse;
use crate::config::Limits;

pub(super) struct RequestGuard {
    places: Arc<Semaphore>,
    deadline: Duration,
}

impl RequestGuard {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { places: Arc::new(Semaphore::new(limits.requests)), deadline: limits.request }
    }
}

pub(super) async fn guard(
    State(guard): State<Arc<RequestGuard>>,
    request: Request,
    next: Next,
) -> Result<Response, ProblemResponse> {
    let Ok(place) = Arc::clone(&guard.places).try_acquire_owned() else {
        return Err(fail!(Busy, "central is at its request limit; try again shortly").into());
    };
    // A body that is sent slowly must not keep its place for days.
    let over = tokio::time::sleep(guard.deadline);
    let request = request.map(|body| match body.is_end_stream() {
        true => body,
        false => Body::from_stream(body.into_data_stream().take_until(Box::pin(over))),
    });
    let work = async move {
        let _place = place;
        next.run(request).await
    };
    match tokio::time::timeout(guard.deadline, tokio::spawn(work.in_current_span())).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(ended)) if ended.is_panic() => {
            Err(fail!(Internal, "a handler panicked: {}", message_of(&*ended.into_panic())).into())
        }
        Ok(Err(_)) => Err(fail!(Unavailable, "central is stopping").into()),
        Err(_) => Err(fail!(
            DeadlineExceeded,
            "the request took longer than {} s; it may still be completed",
            guard.deadline.as_secs()
        )
        .into()),
    }
}

fn message_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use axum::{
        Router,
        body::Bytes,
        middleware,
        routing::{get, post},
    };
    use tower::ServiceExt;

    use super::*;

    async fn answer(limits: &Limits, router: Router) -> (u16, peral_wire::failure::Problem) {
        let router = router
            .layer(middleware::from_fn_with_state(Arc::new(RequestGuard::new(limits)), guard));
        let response =
            router.oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 1 << 16).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn a_panic_is_a_problem_that_tells_nothing() {
        #[expect(clippy::panic, reason = "that is the test")]
        async fn breaks() -> &'static str {
            panic!("the secret reason")
        }
        let (status, problem) =
            answer(&Limits::default(), Router::new().route("/", get(breaks))).await;
        assert_eq!((status, problem.code), (500, peral_wire::ErrorCode::Internal));
        assert!(!problem.detail.contains("secret"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_handler_meets_the_deadline() {
        let limits = Limits { request: Duration::from_millis(20), ..Limits::default() };
        let (status, problem) =
            answer(&limits, Router::new().route("/", get(std::future::pending::<&'static str>)))
                .await;
        assert_eq!((status, problem.code), (504, peral_wire::ErrorCode::DeadlineExceeded));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_in_drops_gives_its_place_back() {
        let limits =
            Limits { requests: 1, request: Duration::from_millis(20), ..Limits::default() };
        let router = Router::new()
            .route("/", post(|_: Bytes| async { "" }))
            .route("/free", get(|| async { "" }));
        let router = router
            .layer(middleware::from_fn_with_state(Arc::new(RequestGuard::new(&limits)), guard));
        let drops = futures::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Some((Ok::<_, std::io::Error>(Bytes::from_static(b" ")), ()))
        });
        drop(
            router
                .clone()
                .oneshot(Request::post("/").body(Body::from_stream(drops)).unwrap())
                .await,
        );
        let freed = tokio::time::timeout(Duration::from_secs(5), async {
            while router
                .clone()
                .oneshot(Request::get("/free").body(Body::empty()).unwrap())
                .await
                .unwrap()
                .status()
                != 200
            {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        freed.await.unwrap();
    }

    #[tokio::test]
    async fn beyond_the_places_there_is_busy() {
        let limits = Limits { requests: 0, ..Limits::default() };
        let (status, problem) =
            answer(&limits, Router::new().route("/", get(|| async { "" }))).await;
        assert_eq!((status, problem.code), (503, peral_wire::ErrorCode::Busy));
    }
}
