//! A deployment package: a zip with a program named `bootstrap`.

use std::io::{Cursor, Read as _, Write as _};
use std::path::{Path, PathBuf};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ring::digest::{SHA256, digest};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::error::DeployError;

const PROGRAM: &str = "bootstrap";
/// Lambda's limit for a package in a request.
const LARGEST: usize = 50 << 20;
/// How many bytes of a program say which machine it is for.
const ELF_HEADER: usize = 20;

/// A package, as Lambda gets it.
pub(super) struct Package {
    pub(super) zip: Vec<u8>,
    /// In base64, as Lambda gives it.
    pub(super) sha256: String,
    /// As Lambda names it; `None` when the program is none that names a machine, such as a script.
    built_for: Option<&'static str>,
}

impl Package {
    /// A package that was made before.
    pub(super) fn read(file: &Path) -> Result<Self, DeployError> {
        let zip = read(file)?;
        let refused = |reason: String| DeployError::Package { file: file.to_owned(), reason };
        let mut archive =
            ZipArchive::new(Cursor::new(&zip)).map_err(|error| refused(error.to_string()))?;
        let program = archive.by_name(PROGRAM);
        let program =
            program.map_err(|_| refused(format!("it has no program {PROGRAM:?} at its top")))?;
        if program.unix_mode().is_some_and(|mode| mode & 0o111 == 0) {
            return Err(refused(format!("{PROGRAM:?} in it is not executable")));
        }
        let mut header = Vec::new();
        let read = program.take(ELF_HEADER as u64).read_to_end(&mut header);
        read.map_err(|error| refused(error.to_string()))?;
        Self::new(zip, machine(&header)).within_the_limit()
    }

    /// A package of a program and other files, which come to stand beside it. The same files make the same package,
    /// whenever they were written. For an emulator on this machine, which has no limit, nothing is compressed: programs
    /// for debugging are large.
    pub(super) fn of(
        program: &Path,
        others: &[PathBuf],
        is_local: bool,
    ) -> Result<Self, DeployError> {
        let content = read(program)?;
        let refused = |error: std::io::Error| DeployError::File {
            file: program.to_owned(),
            reason: error.to_string(),
        };
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let method = if is_local { CompressionMethod::Stored } else { CompressionMethod::Deflated };
        add(&mut zip, PROGRAM, 0o755, method, &content).map_err(refused)?;
        for file in others {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            add(&mut zip, &name, 0o644, method, &read(file)?).map_err(refused)?;
        }
        let zip = zip.finish().map_err(|error| refused(error.into()))?.into_inner();
        let package = Self::new(zip, machine(&content));
        if is_local { Ok(package) } else { package.within_the_limit() }
    }

    fn new(zip: Vec<u8>, built_for: Option<&'static str>) -> Self {
        let sha256 = BASE64_STANDARD.encode(digest(&SHA256, &zip));
        Self { zip, sha256, built_for }
    }

    fn within_the_limit(self) -> Result<Self, DeployError> {
        if self.zip.len() > LARGEST {
            return Err(DeployError::TooLarge { megabytes: self.zip.len().div_ceil(1 << 20) });
        }
        Ok(self)
    }

    /// The machine that it is for: what the program says, else `told`, else this one.
    pub(super) fn architecture(&self, told: Option<&str>) -> Result<String, DeployError> {
        match (self.built_for, told) {
            (Some(built), Some(told)) if built != told => {
                Err(DeployError::Architecture { built: built.to_owned(), told: told.to_owned() })
            }
            (built, told) => Ok(built.or(told).unwrap_or(this_machine()).to_owned()),
        }
    }
}

/// This machine, as Lambda names it.
pub(super) fn this_machine() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" }
}

fn add(
    zip: &mut ZipWriter<Cursor<Vec<u8>>>,
    name: &str,
    mode: u32,
    method: CompressionMethod,
    content: &[u8],
) -> std::io::Result<()> {
    let options = SimpleFileOptions::default()
        .unix_permissions(mode)
        .compression_method(method)
        .last_modified_time(zip::DateTime::default());
    zip.start_file(name, options)?;
    zip.write_all(content)
}

fn read(file: &Path) -> Result<Vec<u8>, DeployError> {
    std::fs::read(file)
        .map_err(|error| DeployError::File { file: file.to_owned(), reason: error.to_string() })
}

/// The machine in an ELF header.
fn machine(program: &[u8]) -> Option<&'static str> {
    if !program.starts_with(b"\x7fELF") {
        return None;
    }
    match program.get(18..ELF_HEADER)? {
        [0x3e, 0] => Some("x86_64"),
        [0xb7, 0] => Some("arm64"),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str, content: &[u8]) -> PathBuf {
        let file = folder.join(name);
        std::fs::write(&file, content).unwrap();
        file
    }

    #[test]
    fn the_same_files_make_the_same_package_and_other_files_another() {
        let folder = tempfile::tempdir().unwrap();
        let program = write(folder.path(), "hello", b"\x7fELF............\x02\x00\xb7\x00");
        let settings = write(folder.path(), "temporal.toml", b"");
        let first = Package::of(&program, std::slice::from_ref(&settings), false).unwrap();
        std::fs::File::open(&program).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).ok();
        let second = Package::of(&program, &[settings], false).unwrap();
        assert_eq!(first.sha256, second.sha256);
        assert_ne!(Package::of(&program, &[], false).unwrap().sha256, first.sha256);

        let zip = write(folder.path(), "package.zip", &first.zip);
        let read = Package::read(&zip).unwrap();
        assert_eq!(read.sha256, first.sha256);
        assert_eq!(read.architecture(None).unwrap(), "arm64");
        assert!(matches!(read.architecture(Some("x86_64")), Err(DeployError::Architecture { .. })));
    }

    #[test]
    fn a_zip_without_a_program_that_can_be_run_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut other = ZipWriter::new(Cursor::new(Vec::new()));
        add(&mut other, "main", 0o755, CompressionMethod::Stored, b"").unwrap();
        let other = other.finish().unwrap().into_inner();
        let mut flat = ZipWriter::new(Cursor::new(Vec::new()));
        add(&mut flat, PROGRAM, 0o644, CompressionMethod::Stored, b"").unwrap();
        let flat = flat.finish().unwrap().into_inner();
        for content in [&other[..], &flat, b"text"] {
            let zip = write(folder.path(), "package.zip", content);
            assert!(matches!(Package::read(&zip), Err(DeployError::Package { .. })));
        }
    }
}
