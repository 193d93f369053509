//! Handlers of `axum`: their outcome by the status, and what is recorded of extractors and
//! responses.
#![cfg(feature = "axum")]
#![allow(clippy::result_large_err, clippy::unused_unit, reason = "handlers have such results")]

#[path = "shapes/record_access.rs"]
mod record_access;

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

macro_rules! handlers {
    ($( $name:ident -> $ty:ty $body:block )*) => {
        $( #[audit_method] fn $name() -> $ty $body )*
    };
}

handlers! {
    status -> StatusCode { StatusCode::NOT_FOUND }
    response -> http::Response<u8> { http::Response::builder().status(404).body(1).unwrap() }
    pair -> (StatusCode, u8) { (StatusCode::NOT_FOUND, 1) }
    triple -> (StatusCode, HeaderMap, Json<u8>) {
        (StatusCode::NOT_FOUND, HeaderMap::new(), Json(1))
    }
    parts -> (http::response::Parts, String) {
        let (mut parts, ()) = http::Response::new(()).into_parts();
        parts.status = StatusCode::NOT_FOUND;
        (parts, "gone".into())
    }
    last -> (HeaderMap, StatusCode) { (HeaderMap::new(), StatusCode::NOT_FOUND) }
    optional -> Option<Response> { Some(StatusCode::NOT_FOUND.into_response()) }
    boxed -> Box<http::Response<()>> {
        Box::new(http::Response::builder().status(404).body(()).unwrap())
    }
    ok_status -> Result<StatusCode, String> { Ok(StatusCode::NOT_FOUND) }
    ok_pair -> Result<(StatusCode, Json<u8>), String> { Ok((StatusCode::NOT_FOUND, Json(1))) }
    ok_opaque -> Result<impl IntoResponse, ShopError> { Ok((StatusCode::NOT_FOUND, "gone")) }
    pair_opaque -> (StatusCode, impl IntoResponse) { (StatusCode::NOT_FOUND, Html("gone")) }
    opaque -> impl IntoResponse { StatusCode::NOT_FOUND }
    opaque_result -> impl IntoResponse {
        if true { Ok((StatusCode::NOT_FOUND, "gone")) } else { Err(ShopError::NoOrder(1)) }
    }
}

#[test]
fn every_value_that_carries_a_status_is_seen() {
    let headers = json!({"status": 404, "headers": {}});
    let cases: [(Record, Value); 14] = [
        (single_record(status), json!(404)),
        (single_record(response), headers.clone()),
        (single_record(pair), json!(1)),
        (single_record(triple), json!(1)),
        (single_record(parts), json!("gone")),
        (single_record(last), json!("({}, 404)")),
        (single_record(optional), Value::Null),
        (single_record(boxed), Value::Null),
        (single_record(ok_status), json!(404)),
        (single_record(ok_pair), json!(1)),
        (single_record(ok_opaque), json!("gone")),
        (single_record(pair_opaque), json!("gone")),
        (single_record(opaque), json!(404)),
        (single_record(opaque_result), json!("gone")),
    ];
    for (record, body) in cases {
        let action = &record.action;
        assert_eq!(ending(&record), (Outcome::Failure, NOT_FOUND, json!(404)), "{action}");
        if !body.is_null() {
            assert_eq!(output(&record), body, "{action}");
        }
    }
}

handlers! {
    err_status -> Result<u8, StatusCode> { Err(StatusCode::BAD_GATEWAY) }
    err_response -> Result<u8, Response> { Err(StatusCode::BAD_GATEWAY.into_response()) }
    err_json -> Result<u8, (StatusCode, Json<Value>)> {
        Err((StatusCode::BAD_GATEWAY, Json(json!({"error": "down", "token": "x"}))))
    }
    err_error -> Result<u8, (StatusCode, std::fmt::Error)> {
        Err((StatusCode::BAD_GATEWAY, std::fmt::Error))
    }
    err_ok_status -> Result<u8, StatusCode> { Err(StatusCode::OK) }
    err_only_json -> Result<u8, Json<Value>> { Err(Json(json!({"error": "down"}))) }
}

#[test]
fn an_err_is_a_failure_with_any_status() {
    let down = "an error occurred when formatting an argument";
    for (record, message) in [
        (single_record(|| err_status().is_err()), "Bad Gateway"),
        (single_record(|| err_response().is_err()), "Bad Gateway"),
        (single_record(|| err_json().is_err()), r#"{"error":"down","token":"[redacted]"}"#),
        (single_record(|| err_error().is_err()), down),
    ] {
        let error = Some(("502 Bad Gateway", message));
        assert_eq!(ending(&record), (Outcome::Failure, error, json!(502)), "{}", record.action);
    }
    let record = single_record(|| err_ok_status().is_err());
    assert_eq!(ending(&record), (Outcome::Failure, Some(("200 OK", "OK")), json!(200)));
    let record = single_record(|| err_only_json().is_err());
    let error = Some(("axum::json::Json<serde_json::value::Value>", r#"{"error":"down"}"#));
    assert_eq!(ending(&record), (Outcome::Failure, error, Value::Null));
}

/// A reply that decides its status when it becomes a response.
#[derive(Serialize)]
struct OwnReply(u8);

impl IntoResponse for OwnReply {
    fn into_response(self) -> Response {
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}

handlers! {
    own -> OwnReply { OwnReply(1) }
    own_opaque -> impl IntoResponse { OwnReply(1) }
    own_result -> Result<OwnReply, String> { Ok(OwnReply(1)) }
    nested -> impl IntoResponse { opaque() }
}

#[test]
fn the_status_of_a_future_is_seen() {
    #[audit_method]
    fn opaque() -> impl Future<Output = impl IntoResponse> + Send {
        async { (StatusCode::NOT_FOUND, "gone") }
    }
    #[audit_method]
    fn own() -> impl Future<Output = impl IntoResponse> {
        std::future::ready(OwnReply(1))
    }
    #[audit_method]
    fn named() -> impl Future<Output = Result<Response, ShopError>> {
        async { Ok(StatusCode::NOT_FOUND.into_response()) }
    }
    #[audit_method]
    fn boxed() -> std::pin::Pin<Box<dyn Future<Output = (StatusCode, Json<u8>)> + Send>> {
        Box::pin(async { (StatusCode::NOT_FOUND, Json(1)) })
    }
    #[audit_method]
    async fn result() -> Result<impl IntoResponse, ShopError> {
        Ok((StatusCode::NOT_FOUND, "gone"))
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let records = runtime.block_on(testing::capture_async(async {
        let _ = (opaque().await, own().await, named().await.is_ok());
        let _ = (boxed().await, result().await.is_ok());
    }));
    let unknown = records.iter().position(|record| record.action.ends_with("own"));
    for (n, record) in records.iter().enumerate() {
        let expected = if Some(n) == unknown {
            (Outcome::Unknown, None, Value::Null)
        } else {
            (Outcome::Failure, NOT_FOUND, json!(404))
        };
        assert_eq!(ending(record), expected, "{}", record.action);
    }
    assert_eq!(records.len(), 5);
}

#[deny(warnings, clippy::all, clippy::pedantic)]
#[test]
fn functions_that_return_impl_into_response_stay_what_they_are() {
    trait Page {
        #[audit_method]
        fn show(&self) -> impl IntoResponse {
            "trait"
        }
    }
    struct Shown(String);
    impl Page for Shown {
        #[audit_method(skip(self))]
        fn show(&self) -> impl IntoResponse {
            if self.0.is_empty() {
                return StatusCode::NOT_FOUND.into_response();
            }
            self.0.clone().into_response()
        }
    }
    impl Page for () {}
    #[audit_method]
    fn borrowed<'t>(text: &'t str, _unused: u8) -> impl IntoResponse + use<'t> {
        let tail = text.trim();
        (StatusCode::NOT_FOUND, tail.to_owned())
    }
    #[audit_method]
    fn generic<T: IntoResponse>(value: T) -> impl IntoResponse {
        value
    }
    #[audit_method]
    async fn local(text: std::rc::Rc<str>) -> impl IntoResponse {
        tokio::task::yield_now().await;
        (StatusCode::NOT_FOUND, text.len().to_string())
    }
    #[audit_method]
    async fn early(n: u8) -> impl IntoResponse {
        if n == 0 {
            return Err((StatusCode::NOT_FOUND, "zero"));
        }
        Ok(Json(n))
    }
    #[audit_method]
    #[track_caller]
    fn in_place() -> impl IntoResponse {
        StatusCode::NOT_FOUND
    }
    fn assert_send<T: Send>(value: T) -> T {
        value
    }
    let records = testing::capture(|| {
        let _ = (Shown(String::new()).show(), Shown("x".into()).show(), ().show());
        let _ = (borrowed(" x ", 1), generic("x"), in_place());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let _ = (local("ab".into()).await, assert_send(early(0)).await, early(1).await);
        });
    });
    let outcomes: Vec<&str> = records.iter().map(|record| record.outcome.as_str()).collect();
    assert_eq!(
        outcomes,
        [
            "failure", "success", "success", "failure",
            // A type parameter, and a body that stays in place.
            "unknown", "unknown", "failure", "failure", "success"
        ]
    );
}

#[test]
fn a_status_that_cannot_be_known_makes_the_outcome_unknown() {
    for record in
        [single_record(own), single_record(own_opaque), single_record(|| own_result().is_ok())]
    {
        assert_eq!(ending(&record), (Outcome::Unknown, None, Value::Null), "{}", record.action);
        assert_eq!(output(&record), json!(1));
    }
    // Of a type that is opaque inside the function, too, only the bounds are known.
    let records = testing::capture(nested);
    assert_eq!(records[1].outcome, Outcome::Unknown);

    #[audit_method(failed_if = |reply| reply.0 > 1)]
    fn tested(n: u8) -> OwnReply {
        OwnReply(n)
    }
    assert_eq!(single_record(|| tested(1)).outcome, Outcome::Success);
    assert_eq!(single_record(|| tested(2)).outcome, Outcome::Failure);
    #[audit_method]
    fn declared() -> OwnReply {
        audited::outcome(Outcome::Success);
        OwnReply(1)
    }
    assert_eq!(single_record(declared).outcome, Outcome::Success);
}

handlers! {
    text -> &'static str { "x" }
    owned -> String { "x".into() }
    bytes -> Vec<u8> { vec![1] }
    array -> [u8; 2] { [1, 2] }
    unit -> () { () }
    list -> Vec<(String, u8)> { vec![("a".into(), 1)] }
    pair_of_values -> (u32, String) { (1, "x".into()) }
    html -> Html<&'static str> { Html("<p>") }
    redirect -> Redirect { Redirect::to("/login") }
    no_content -> NoContent { NoContent }
    with_headers -> ([(&'static str, &'static str); 1], Json<u8>) { ([("x-a", "b")], Json(1)) }
}

#[test]
fn responses_without_a_failing_status_are_successes() {
    for (record, body, status) in [
        (single_record(text), json!("x"), Value::Null),
        (single_record(owned), json!("x"), Value::Null),
        (single_record(bytes), json!([1]), Value::Null),
        (single_record(array), json!([1, 2]), Value::Null),
        (single_record(unit), Value::Null, Value::Null),
        (single_record(list), json!([["a", 1]]), Value::Null),
        (single_record(pair_of_values), json!([1, "x"]), Value::Null),
        (single_record(html), json!("<p>"), Value::Null),
        (single_record(no_content), json!("NoContent"), json!(204)),
        (single_record(with_headers), json!(1), Value::Null),
    ] {
        assert_eq!(ending(&record), (Outcome::Success, None, status), "{}", record.action);
        assert_eq!(output(&record), body, "{}", record.action);
    }
    assert_eq!(ending(&single_record(redirect)), (Outcome::Success, None, json!(303)));
}

#[test]
fn content_that_is_not_serialize_falls_back_like_any_value() {
    #[derive(Clone, Debug)]
    #[allow(dead_code)]
    struct OnlyDebug {
        token: u8,
        n: u8,
    }
    #[audit_method]
    fn take(
        debug: Extension<OnlyDebug>,
        nothing: Extension<Tenant>,
        absent: Option<Json<u8>>,
        present: Option<Json<u8>>,
        rejected: Result<Json<u8>, String>,
        password: Json<u8>,
        Json(OnlyDebug { n, .. }): Json<OnlyDebug>,
        State(Tenant(state)): State<Tenant>,
    ) -> Json<OnlyDebug> {
        let _ = (nothing, absent, present, rejected, password, n, state);
        Json(debug.0)
    }
    let debug = OnlyDebug { token: 1, n: 2 };
    let record = single_record(|| {
        take(
            Extension(debug.clone()),
            Extension(Tenant(1)),
            None,
            Some(Json(4)),
            Err("no body".into()),
            Json(5),
            Json(debug),
            State(Tenant(9)),
        )
    });
    let text = "OnlyDebug { token: [redacted], n: 2 }";
    assert_eq!(
        input(&record),
        json!({
            "debug": text,
            "nothing": "<axum_handlers::Tenant>",
            "absent": null,
            "present": 4,
            "rejected": {"Err": "no body"},
            "password": "[redacted]",
            "n": 2,
            "state": "<u8>",
        })
    );
    assert_eq!((record.outcome, output(&record)), (Outcome::Success, json!(text)));
}

#[cfg(feature = "sqlite")]
#[test]
fn the_failing_statuses_are_set_by_the_builder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.db");
    let store = audited::SqliteStore::open(&path).unwrap();
    let audit = audited::Audit::builder().store(store).http_failure_from(500).build().unwrap();
    #[audit_method]
    fn answer(status: u16) -> StatusCode {
        StatusCode::from_u16(status).unwrap()
    }
    audited::Context::new().recorder(&audit).scope(|| {
        for status in [404, 499, 500, 503] {
            answer(status);
        }
        err_status().unwrap_err();
    });
    audit.flush().unwrap();
    let trail = rusqlite::Connection::open(&path).unwrap();
    let mut rows = trail
        .prepare(
            "SELECT outcome, error ->> 'type', context -> 'extra' ->> 'http_status'
             FROM audit_log ORDER BY seq",
        )
        .unwrap();
    let rows: Vec<(String, Option<String>, u16)> = rows
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let row = |outcome: &str, error: Option<&str>, status| {
        (outcome.to_owned(), error.map(str::to_owned), status)
    };
    assert_eq!(
        rows,
        [
            row("success", None, 404),
            row("success", None, 499),
            row("failure", Some("500 Internal Server Error"), 500),
            row("failure", Some("503 Service Unavailable"), 503),
            row("failure", Some("502 Bad Gateway"), 502),
        ]
    );
}

#[test]
fn failed_if_decides_instead_of_the_status() {
    #[audit_method(failed_if = |response| response.status().is_server_error())]
    async fn answer(status: u16) -> Result<Response, String> {
        Ok(StatusCode::from_u16(status).unwrap().into_response())
    }
    let ends = |status| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let record = only_record(runtime.block_on(testing::capture_async(answer(status))));
        let (outcome, error, status) = ending(&record);
        (outcome, error.map(|(ty, _)| ty.to_owned()), status)
    };
    assert_eq!(ends(404), (Outcome::Success, None, json!(404)));
    assert_eq!(ends(500), (Outcome::Failure, Some("failed_if".to_owned()), json!(500)));
}

#[test]
fn a_value_that_is_returned_unseen_has_an_unknown_outcome() {
    #[audit_method]
    #[track_caller]
    fn early(found: Option<StatusCode>) -> StatusCode {
        macro_rules! give_up {
            () => {
                return StatusCode::NOT_FOUND
            };
        }
        let Some(found) = found else { give_up!() };
        found
    }
    assert_eq!(single_record(|| early(None)).outcome, Outcome::Unknown);
    assert_eq!(single_record(|| early(Some(StatusCode::OK))).outcome, Outcome::Success);
}

#[test]
fn the_macro_execute_sees_the_status_too() {
    let record = single_record(|| {
        audited::execute!("find", "shop::find", (), || (StatusCode::NOT_FOUND, Json(1)))
    });
    assert_eq!(ending(&record), (Outcome::Failure, NOT_FOUND, json!(404)));
    assert_eq!(output(&record), json!(1));
}

#[test]
fn a_status_without_a_name_is_recorded_by_its_number() {
    let record = single_record(|| {
        audited::execute!("odd", "shop::odd", (), || StatusCode::from_u16(599).unwrap())
    });
    assert_eq!(ending(&record), (Outcome::Failure, Some(("599", "")), json!(599)));
}
