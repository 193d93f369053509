//! How values of the crate `http` are recorded, as arguments, as return values and as errors.

use http::{HeaderMap, Response, StatusCode};
use serde::{Serialize, Serializer};

use crate::call::content::{AsContent, KnownType, SerializeContent, ValueByKnownType};
use crate::call::error::{ErrorByContent, RenderedError, failed};
use crate::call::lifecycle::Call;
use crate::capture;

impl KnownType for StatusCode {}

records!([] ValueByKnownType<StatusCode>, |this, writer| {
    writer.serialize(&this.value.as_u16());
});

impl<B> KnownType for Response<B> {}

// The body may be a stream, so it is not read.
records!([B] ValueByKnownType<Response<B>>, |this, writer| {
    let (status, headers) = (this.value.status().as_u16(), Headers(this.value.headers()));
    writer.serialize(&RecordedResponse { status, headers });
});

/// What is recorded of a response.
#[derive(Serialize)]
struct RecordedResponse<'r> {
    status: u16,
    headers: Headers<'r>,
}

/// Serialises headers as a map. Their names may be on the mask.
struct Headers<'r>(&'r HeaderMap);

impl Serialize for Headers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text =
            |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        serializer.collect_map(self.0.iter().map(|(name, value)| (name.as_str(), text(value))))
    }
}

impl ErrorByContent<'_, StatusCode> {
    /// Records that the call failed.
    pub fn __audited_record_error(&self, call: &mut Call) {
        failed_with_status::<StatusCode>(call, *self.error);
    }
}

impl<B> ErrorByContent<'_, Response<B>> {
    /// Records that the call failed. The body is not read.
    pub fn __audited_record_error(&self, call: &mut Call) {
        failed_with_status::<Response<B>>(call, self.error.status());
    }
}

fn failed_with_status<E>(call: &mut Call, status: StatusCode) {
    let reason = status.canonical_reason().unwrap_or_default();
    failed::<E>(call, None, |_| RenderedError::message_only(reason.to_owned()));
}

impl<E: SerializeContent> ErrorByContent<'_, E> {
    /// Records that the call failed. The message is the JSON text of the content.
    pub fn __audited_record_error(&self, call: &mut Call) {
        let Some(running) = call.running() else { return };
        let (mut json, mut cuts) = (String::new(), Vec::new());
        let rules = running.shared.rules();
        capture::ValueWriter::new(&mut json, &mut cuts, "error.message", rules)
            .serialize(&AsContent(self.error));
        running.shared.while_running(|state| cuts.into_iter().for_each(|cut| state.cut(cut)));
        failed::<E>(call, None, |_| RenderedError::message_only(json));
    }
}
