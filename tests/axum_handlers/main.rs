//! Handlers of `axum`: their outcome by the status, and what is recorded of extractors and
//! responses.
#![cfg(feature = "axum")]
#![allow(clippy::result_large_err, clippy::unused_unit, reason = "handlers have such results")]

#[path = "../shapes/record_access.rs"]
mod record_access;
mod results;

use std::collections::BTreeMap;
use std::sync::Arc;

use audited::{Outcome, Record, audit_method, testing};
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::{Html, IntoResponse, NoContent, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Form, Json, Router};
use record_access::{input, only_record, output, single_record};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tower::ServiceExt;

#[derive(Clone)]
struct Shop {
    #[allow(dead_code)]
    database: Arc<str>,
}

/// Not `Debug`, and not `Serialize`.
#[derive(Clone, Copy)]
struct Tenant(u8);

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Order {
    id: u32,
    password: String,
}

/// An error as most programs define it.
#[derive(Debug)]
enum ShopError {
    NoOrder(u32),
}

impl IntoResponse for ShopError {
    fn into_response(self) -> Response {
        let Self::NoOrder(id) = self;
        (StatusCode::NOT_FOUND, format!("no order {id}")).into_response()
    }
}

#[audit_method]
async fn create(
    State(shop): State<Shop>,
    Extension(tenant): Extension<Tenant>,
    Json(order): Json<Order>,
) -> (StatusCode, Json<Order>) {
    let _ = (shop, tenant.0);
    (StatusCode::CREATED, Json(order))
}

#[audit_method]
async fn show(
    state: State<Shop>,
    path: Path<u32>,
    query: Query<BTreeMap<String, String>>,
) -> Result<Json<u32>, (StatusCode, String)> {
    let _ = (state, query);
    if path.0 == 7 { Ok(Json(7)) } else { Err((StatusCode::NOT_FOUND, "no such order".into())) }
}

#[audit_method]
async fn update(order: Form<Order>) -> Result<Response, ShopError> {
    match order.id {
        0 => Err(ShopError::NoOrder(0)),
        1 => Ok((StatusCode::CONFLICT, [("x-tries", "3")], "changed meanwhile").into_response()),
        _ => Ok(NoContent.into_response()),
    }
}

#[audit_method]
async fn teapot() -> impl IntoResponse {
    (StatusCode::IM_A_TEAPOT, [("set-cookie", "secret")], Json(json!({"short": true})))
}

fn router() -> Router {
    Router::new()
        .route("/orders", post(create).put(update))
        .route("/orders/{id}", get(show))
        .route("/teapot", get(teapot))
        .layer(Extension(Tenant(1)))
        .with_state(Shop { database: "postgres://secret".into() })
}

/// The record of the handler that answers the request, and the status of the answer.
fn request(method: &str, path: &str, kind: &str, body: &str) -> (StatusCode, Record) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", kind)
        .body(Body::from(body.to_owned()))
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut status = StatusCode::OK;
    let records = runtime.block_on(testing::capture_async(async {
        status = router().oneshot(request).await.unwrap().status();
    }));
    (status, only_record(records))
}

/// The outcome, the type and the message of the error, and the status that is recorded.
fn ending(record: &Record) -> (Outcome, Option<(&str, &str)>, Value) {
    let error = record.error.as_ref().map(|error| (&*error.type_name, &*error.message));
    let context = record.context.as_ref().map_or(Value::Null, |context| context.to_value());
    (record.outcome, error, context["extra"]["http_status"].clone())
}

const NOT_FOUND: Option<(&str, &str)> = Some(("404 Not Found", "Not Found"));

#[test]
fn extractors_are_recorded_as_their_content_and_the_state_as_its_type() {
    let body = r#"{"id": 3, "password": "hunter2"}"#;
    let (status, record) = request("POST", "/orders", "application/json", body);
    assert_eq!(status, StatusCode::CREATED);
    let order = json!({"id": 3, "password": "[redacted]"});
    assert_eq!(
        input(&record),
        json!({"shop": "<axum_handlers::Shop>", "tenant": "<axum_handlers::Tenant>", "order": order})
    );
    assert_eq!(output(&record), order);
    assert_eq!(ending(&record), (Outcome::Success, None, json!(201)));

    let (_, record) = request("GET", "/orders/7?token=abc&q=x", "", "");
    let expected = json!({
        "state": "<axum_handlers::Shop>", "path": 7, "query": {"token": "[redacted]", "q": "x"}
    });
    assert_eq!(input(&record), expected);
    assert_eq!(
        (output(&record), ending(&record)),
        (json!(7), (Outcome::Success, None, Value::Null))
    );
}

#[test]
fn the_status_of_a_response_decides_the_outcome() {
    let form = "application/x-www-form-urlencoded";
    let (status, record) = request("PUT", "/orders", form, "id=1&password=hunter2");
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(input(&record), json!({"order": {"id": 1, "password": "[redacted]"}}));
    let error = Some(("409 Conflict", "Conflict"));
    assert_eq!(ending(&record), (Outcome::Failure, error, json!(409)));
    assert_eq!(
        output(&record),
        json!({
            "status": 409,
            "headers": {"content-type": "text/plain; charset=utf-8", "x-tries": "3"},
        })
    );

    let (_, record) = request("PUT", "/orders", form, "id=2&password=x");
    assert_eq!(output(&record), json!({"status": 204, "headers": {}}));
    assert_eq!(ending(&record), (Outcome::Success, None, json!(204)));

    // An error decides its status when it becomes a response. Its own type is more precise.
    let (status, record) = request("PUT", "/orders", form, "id=0&password=x");
    assert_eq!(status, StatusCode::NOT_FOUND);
    let error = Some(("axum_handlers::ShopError", "NoOrder(0)"));
    assert_eq!(ending(&record), (Outcome::Failure, error, Value::Null));
    assert_eq!(record.error.unwrap().variant.as_deref(), Some("NoOrder"));
}

#[test]
fn an_error_with_a_status_has_the_status_as_its_type() {
    let (status, record) = request("GET", "/orders/8", "", "");
    assert_eq!(status, StatusCode::NOT_FOUND);
    let error = Some(("404 Not Found", "no such order"));
    assert_eq!(ending(&record), (Outcome::Failure, error, json!(404)));
    assert_eq!(output(&record), Value::Null);
}

#[test]
fn the_response_behind_impl_into_response_is_seen() {
    let (status, record) = request("GET", "/teapot", "", "");
    assert_eq!(status, StatusCode::IM_A_TEAPOT);
    let error = Some(("418 I'm a teapot", "I'm a teapot"));
    assert_eq!(ending(&record), (Outcome::Failure, error, json!(418)));
    assert_eq!(output(&record), json!({"short": true}));
}
