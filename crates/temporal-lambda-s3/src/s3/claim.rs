//! What a reference of the S3 driver holds.
//!
//! Python and Go name the hash `hash_algorithm` and `hash_value`; TypeScript names it
//! `hashAlgorithm` and `hashValue`, and each demands its own spelling. Written are both, read is
//! either, so that all of them can read these claims and these drivers can read all of theirs.

use std::collections::HashMap;

use crate::driver::StorageDriverClaim;
use crate::s3::error::{Location, S3StorageError};

const BUCKET: &str = "bucket";
const KEY: &str = "key";
const ALGORITHM: [&str; 2] = ["hash_algorithm", "hashAlgorithm"];
const VALUE: [&str; 2] = ["hash_value", "hashValue"];
const SHA256: &str = "sha256";

/// Where the object lies.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    pub(crate) bucket: String,
    pub(crate) key: String,
}

/// The claim for an object whose content has this SHA-256.
pub(crate) fn claim(address: &Address, digest: &str) -> StorageDriverClaim {
    let mut data = HashMap::from([
        (BUCKET.to_owned(), address.bucket.clone()),
        (KEY.to_owned(), address.key.clone()),
    ]);
    for (names, value) in [(ALGORITHM, SHA256), (VALUE, digest)] {
        data.extend(names.map(|name| (name.to_owned(), value.to_owned())));
    }
    StorageDriverClaim::new(data)
}

/// The address in a claim.
pub(crate) fn address(claim: &StorageDriverClaim) -> Result<Address, S3StorageError> {
    let field = |field| find(claim, &[field]).ok_or(S3StorageError::ClaimIncomplete { field });
    Ok(Address { bucket: field(BUCKET)?.to_owned(), key: field(KEY)?.to_owned() })
}

/// The SHA-256 in a claim, in lower-case hex digits. Asked for after the download, so that a
/// missing object is called missing whatever the claim lacks.
pub(crate) fn digest(
    claim: &StorageDriverClaim,
    location: &Location,
) -> Result<String, S3StorageError> {
    let missing = |field| S3StorageError::ClaimWithoutHash { location: location.clone(), field };
    let algorithm = find(claim, &ALGORITHM).ok_or_else(|| missing(ALGORITHM[0]))?;
    if algorithm != SHA256 {
        return Err(S3StorageError::UnsupportedHashAlgorithm {
            location: location.clone(),
            algorithm: algorithm.to_owned(),
        });
    }
    Ok(find(claim, &VALUE).ok_or_else(|| missing(VALUE[0]))?.to_owned())
}

fn find<'a>(claim: &'a StorageDriverClaim, names: &[&str]) -> Option<&'a str> {
    let values = names.iter().filter_map(|name| claim.claim_data.get(*name));
    values.map(String::as_str).find(|value| !value.is_empty())
}
