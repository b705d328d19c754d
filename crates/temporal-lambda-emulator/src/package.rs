//! A deployment package: a zip of which each upload is unpacked into a folder of its own.

use std::{
    io::{self, Cursor},
    path::Path,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ring::digest::{SHA256, digest};
use tempfile::TempDir;

/// An unpacked zip. The folder lives as long as a version of a function has it.
#[derive(Debug)]
pub(crate) struct Package {
    folder: TempDir,
    sha256: String,
    size: usize,
}

impl Package {
    /// Unpacks `zip`, with the permissions and links that are in it. Blocks.
    pub(crate) fn unpack(zip: &[u8]) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("lambda-task-").tempdir()?;
        let mut archive = zip::ZipArchive::new(Cursor::new(zip)).map_err(io::Error::other)?;
        archive.extract(folder.path()).map_err(io::Error::other)?;
        Ok(Self { folder, sha256: BASE64_STANDARD.encode(digest(&SHA256, zip)), size: zip.len() })
    }

    /// What `/var/task` is in Lambda.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The zip's SHA-256, in base64.
    pub(crate) fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The zip's size in bytes.
    pub(crate) fn size(&self) -> usize {
        self.size
    }
}
