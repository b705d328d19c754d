//! Payloads in JSON, as the SDK's default data converter encodes them.

use serde::{Serialize, de::DeserializeOwned};
use temporalio_common::protos::temporal::api::common::v1::Payload;

/// # Panics
/// When the value has no JSON form.
pub(crate) fn json_payload(value: &impl Serialize) -> Payload {
    Payload {
        metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
        data: serde_json::to_vec(value).expect("a test's argument has a JSON form"),
        ..Default::default()
    }
}

/// The first of the payloads, from JSON.
pub(crate) fn first_json<T: DeserializeOwned>(payloads: &[Payload]) -> serde_json::Result<T> {
    // An SDK may leave out the payload of a unit result, and one of `binary/null` has no data.
    let data = payloads.first().map_or(&b""[..], |first| &first.data);
    serde_json::from_slice(if data.is_empty() { b"null" } else { data })
}
