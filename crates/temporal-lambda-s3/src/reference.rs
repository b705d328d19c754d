//! The reference that stands in history in a stored payload's place.
//!
//! A payload whose data is the JSON form of `temporal.api.sdk.v1.ExternalStorageReference`. All SDKs
//! with external storage write this form; the older one is read, too.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use temporalio_common::protos::temporal::api::common::v1::Payload;
use temporalio_common::protos::temporal::api::common::v1::payload::ExternalPayloadDetails;

use crate::driver::StorageDriverClaim;
use crate::error::ExternalStorageError;

const ENCODING: &str = "encoding";
const MESSAGE_TYPE: &str = "messageType";
const JSON_PROTOBUF: &[u8] = b"json/protobuf";
const REFERENCE: &[u8] = b"temporal.api.sdk.v1.ExternalStorageReference";
const OLD_ENCODING: &[u8] = b"json/external-storage-reference";

/// Who stored a payload, and what it needs to find it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) driver_name: String,
    pub(crate) claim: StorageDriverClaim,
    /// The size of the stored payload; zero if the reference does not say.
    pub(crate) size: u64,
}

/// The JSON form of the message. Protobuf's JSON may have either spelling, in any order.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    #[serde(alias = "driver_name", default)]
    driver_name: String,
    #[serde(alias = "claim_data", default)]
    claim_data: HashMap<String, String>,
}

#[derive(Deserialize)]
struct Old {
    driver_name: String,
    driver_claim: OldClaim,
}

#[derive(Deserialize)]
struct OldClaim {
    claim_data: HashMap<String, String>,
}

impl Reference {
    /// The payload for the history.
    pub(crate) fn into_payload(self) -> Payload {
        let written = Written { driver_name: self.driver_name, claim_data: self.claim.claim_data };
        Payload {
            metadata: HashMap::from([
                (ENCODING.to_owned(), JSON_PROTOBUF.to_vec()),
                (MESSAGE_TYPE.to_owned(), REFERENCE.to_vec()),
            ]),
            data: serde_json::to_vec(&written).expect("strings can be written as JSON"),
            external_payloads: vec![ExternalPayloadDetails {
                size_bytes: i64::try_from(self.size).unwrap_or(i64::MAX),
            }],
        }
    }

    /// The reference that `payload` is; `None` if it is an ordinary payload.
    pub(crate) fn of(payload: &Payload) -> Result<Option<Self>, ExternalStorageError> {
        let invalid = |error| ExternalStorageError::InvalidReference(Box::new(error));
        let metadata = |key| payload.metadata.get(key).map(Vec::as_slice);
        let (driver_name, claim_data) = match (metadata(ENCODING), metadata(MESSAGE_TYPE)) {
            (Some(JSON_PROTOBUF), Some(REFERENCE)) => {
                let written: Written = serde_json::from_slice(&payload.data).map_err(invalid)?;
                (written.driver_name, written.claim_data)
            }
            (Some(OLD_ENCODING), _) => {
                let old: Old = serde_json::from_slice(&payload.data).map_err(invalid)?;
                (old.driver_name, old.driver_claim.claim_data)
            }
            _ => return Ok(None),
        };
        if driver_name.is_empty() {
            return Err(ExternalStorageError::InvalidReference("it names no driver".into()));
        }
        let size = payload.external_payloads.first().map_or(0, |details| details.size_bytes);
        Ok(Some(Self {
            driver_name,
            claim: StorageDriverClaim::new(claim_data),
            size: u64::try_from(size).unwrap_or(0),
        }))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn reference() -> Reference {
        let claim = HashMap::from([("some_key".to_owned(), "value".to_owned())]);
        Reference {
            driver_name: "aws.s3driver".into(),
            claim: StorageDriverClaim::new(claim),
            size: 4096,
        }
    }

    fn payload(encoding: &str, message_type: Option<&str>, data: &str) -> Payload {
        let mut metadata = HashMap::from([(ENCODING.to_owned(), encoding.into())]);
        if let Some(message_type) = message_type {
            metadata.insert(MESSAGE_TYPE.to_owned(), message_type.into());
        }
        Payload { metadata, data: data.into(), external_payloads: vec![] }
    }

    const TYPE: &str = "temporal.api.sdk.v1.ExternalStorageReference";

    #[test]
    fn a_reference_has_the_form_that_all_sdks_write() {
        let payload = reference().into_payload();
        assert_eq!(payload.metadata[ENCODING], b"json/protobuf");
        assert_eq!(payload.metadata[MESSAGE_TYPE], TYPE.as_bytes());
        assert_eq!(payload.metadata.len(), 2);
        let json: serde_json::Value = serde_json::from_slice(&payload.data).unwrap();
        let expected = serde_json::json!({
            "driverName": "aws.s3driver", "claimData": {"some_key": "value"},
        });
        assert_eq!(json, expected);
        assert_eq!(payload.external_payloads, [ExternalPayloadDetails { size_bytes: 4096 }]);
        assert_eq!(Reference::of(&payload).unwrap(), Some(reference()));
    }

    #[test]
    fn a_reference_is_recognised_by_encoding_and_message_type_alone() {
        let json = r#"{"driverName":"d","claimData":{}}"#;
        let of = |payload| Reference::of(&payload).unwrap();
        // Without its size, too.
        assert_eq!(of(payload("json/protobuf", Some(TYPE), json)).unwrap().size, 0);
        assert_eq!(of(payload("json/plain", Some(TYPE), json)), None);
        assert_eq!(of(payload("json/protobuf", Some("other.Message"), json)), None);
        assert_eq!(of(payload("json/protobuf", None, json)), None);
        // An ordinary payload whose size stands beside it is still an ordinary payload.
        let mut ordinary = payload("json/plain", None, json);
        ordinary.external_payloads = vec![ExternalPayloadDetails { size_bytes: 1 }];
        assert_eq!(of(ordinary), None);
    }

    #[test]
    fn a_reference_is_read_in_either_spelling_in_any_order_and_with_unknown_fields() {
        for json in [
            r#"{"driver_name":"d","claim_data":{"k_k":"v"}}"#,
            r#"{"claimData":{"k_k":"v"},"driverName":"d"}"#,
            r#"{"field_added_later":{"a":[1]},"driverName":"d","claim_data":{"k_k":"v"}}"#,
        ] {
            let reference = Reference::of(&payload("json/protobuf", Some(TYPE), json));
            let reference = reference.unwrap().unwrap();
            assert_eq!(reference.driver_name, "d", "{json}");
            assert_eq!(reference.claim.claim_data["k_k"], "v", "{json}");
        }
    }

    #[test]
    fn a_reference_of_the_older_form_is_read() {
        let json =
            r#"{"driver_name":"temporalio:driver:s3","driver_claim":{"claim_data":{"k":"v"}}}"#;
        let old = Reference::of(&payload("json/external-storage-reference", None, json));
        let old = old.unwrap().unwrap();
        assert_eq!(old.driver_name, "temporalio:driver:s3");
        assert_eq!(old.claim.claim_data["k"], "v");
    }

    #[test]
    fn a_reference_that_cannot_be_read_is_an_error_and_not_data() {
        for json in ["", "[]", "{}", r#"{"driverName":5}"#, r#"{"driverName":""}"#] {
            let error = Reference::of(&payload("json/protobuf", Some(TYPE), json)).unwrap_err();
            assert!(matches!(error, ExternalStorageError::InvalidReference(_)), "{error}");
        }
    }
}
