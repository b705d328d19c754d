//! The bytes that stand for a payload in storage.
//!
//! The serialized message, with its metadata sorted by key: a payload's digest names its object, so
//! equal payloads must have equal bytes. `prost` writes a map in the order of its hash table.

use bytes::Bytes;
use prost::Message as _;
use temporalio_common::protos::temporal::api::common::v1::Payload;

/// `metadata = 1`, `data = 2` and `external_payloads = 3`, all length-delimited.
const METADATA: u8 = 0x0a;
const DATA: u8 = 0x12;
const EXTERNAL_PAYLOADS: u8 = 0x1a;

/// The payload's serialized form: the same bytes for equal payloads.
pub(crate) fn serialize(payload: &Payload) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(serialized_size(payload));
    let mut metadata: Vec<_> = payload.metadata.iter().collect();
    metadata.sort_unstable();
    for (key, value) in metadata {
        // An entry has both fields, even if they are empty: that is how the other languages write
        // maps.
        put_header(&mut bytes, METADATA, field_size(key.len()) + field_size(value.len()));
        put_field(&mut bytes, 0x0a, key.as_bytes());
        put_field(&mut bytes, 0x12, value);
    }
    if !payload.data.is_empty() {
        put_field(&mut bytes, DATA, &payload.data);
    }
    for external in &payload.external_payloads {
        put_field(&mut bytes, EXTERNAL_PAYLOADS, &external.encode_to_vec());
    }
    bytes
}

/// The length of [`serialize`]'s bytes.
pub(crate) fn serialized_size(payload: &Payload) -> usize {
    let metadata: usize = payload
        .metadata
        .iter()
        .map(|(key, value)| field_size(field_size(key.len()) + field_size(value.len())))
        .sum();
    let data = if payload.data.is_empty() { 0 } else { field_size(payload.data.len()) };
    let external: usize =
        payload.external_payloads.iter().map(|external| field_size(external.encoded_len())).sum();
    metadata + data + external
}

/// The payload that [`serialize`], or another SDK, made `bytes` of. From [`Bytes`], `prost` copies the
/// data once; from a slice it copies it twice.
pub(crate) fn deserialize(bytes: Bytes) -> Result<Payload, prost::DecodeError> {
    Payload::decode(bytes)
}

fn put_field(into: &mut Vec<u8>, tag: u8, value: &[u8]) {
    put_header(into, tag, value.len());
    into.extend_from_slice(value);
}

fn put_header(into: &mut Vec<u8>, tag: u8, length: usize) {
    into.push(tag);
    prost::encode_length_delimiter(length, into).expect("a vector grows as it must");
}

fn field_size(length: usize) -> usize {
    1 + prost::length_delimiter_len(length) + length
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use temporalio_common::protos::temporal::api::common::v1::payload::ExternalPayloadDetails;

    use super::*;

    fn payload(metadata: &[(&str, &str)], data: &[u8]) -> Payload {
        Payload {
            metadata: metadata.iter().map(|(k, v)| ((*k).into(), v.as_bytes().to_vec())).collect(),
            data: data.to_vec(),
            external_payloads: vec![],
        }
    }

    #[test]
    fn a_serialized_payload_has_its_metadata_in_order_whatever_the_hash_tables_order_is() {
        let names = ["encoding", "messageType", "a", "zz", "encryption-key-id", "m", "b", "c"];
        let metadata: Vec<_> = names.iter().map(|name| (*name, "value")).collect();
        let first = serialize(&payload(&metadata, b"data"));
        // Each hash table has a seed of its own, so 50 tables have many orders.
        for _ in 0..50 {
            assert_eq!(serialize(&payload(&metadata, b"data")), first);
        }
        let mut sorted = names;
        sorted.sort_unstable();
        let text = String::from_utf8_lossy(&first);
        let positions: Vec<_> = sorted.iter().map(|name| text.find(name).unwrap()).collect();
        assert!(positions.is_sorted(), "{positions:?}");
    }

    #[test]
    fn a_serialized_payload_reads_back_as_it_was() {
        let mut whole = payload(&[("encoding", "json/plain"), ("empty", ""), ("", "x")], b"\0\xff");
        whole.external_payloads = vec![ExternalPayloadDetails { size_bytes: 385 }];
        for payload in [whole, payload(&[], b""), payload(&[("k", "v")], b"")] {
            let bytes = serialize(&payload);
            assert_eq!(bytes.len(), serialized_size(&payload));
            assert_eq!(deserialize(bytes.into()).unwrap(), payload);
        }
    }

    #[test]
    fn a_serialized_payload_is_byte_for_byte_what_protobuf_says() {
        let bytes = serialize(&payload(&[("encoding", "binary/null")], b"x"));
        assert_eq!(bytes, b"\x0a\x17\x0a\x08encoding\x12\x0bbinary/null\x12\x01x");
    }
}
