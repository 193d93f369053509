//! The outcome of every kind of result that carries a status, or may carry one.

use super::*;

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
    #[allow(clippy::elidable_lifetime_names, reason = "the shape to test")]
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
    #[allow(clippy::too_many_arguments, reason = "one of each kind")]
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
