//! What a function's package weighs, unpacked and zipped.

use std::fs;
use std::io::{self, Seek as _, SeekFrom};
use std::path::Path;

use anyhow::Result;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::programs::Program;
use super::record::Record;
use super::rows::Batch;

/// What pip brings for itself, what the bench leaves, and compiled modules that Python makes of others.
const NOT_UPLOADED: [&str; 5] = ["pip", "setuptools", "_distutils_hack", "__pycache__", ".bin"];

/// Takes it.
pub(super) fn take(programs: &[Program], batch: Batch, record: &mut Record) {
    for program in programs {
        eprintln!("size: {}", program.side.name());
        let weighed = weigh(program);
        let values = weighed.map(|(unpacked, zipped)| [("package", unpacked), ("zip", zipped)]);
        record.keep(batch, program.side, values);
    }
}

/// In megabytes. Deflate at its default level, which is what `cargo lambda` and `zip` use.
#[allow(clippy::cast_precision_loss, reason = "one digit is shown")]
fn weigh(program: &Program) -> Result<(f64, f64)> {
    let mut zip = ZipWriter::new(tempfile::tempfile()?);
    let mut unpacked = 0;
    for path in &program.package {
        unpacked += add(&mut zip, path, path.parent().unwrap_or(path))?;
    }
    let zipped = zip.finish()?.seek(SeekFrom::End(0))?;
    Ok((unpacked as f64 / 1e6, zipped as f64 / 1e6))
}

fn add(zip: &mut ZipWriter<fs::File>, path: &Path, root: &Path) -> Result<u64> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if NOT_UPLOADED.contains(&name.as_str()) || is_for_another_platform(path) {
        return Ok(0);
    }
    if path.is_dir() {
        let mut entries = fs::read_dir(path)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        return entries.iter().map(|entry| add(zip, &entry.path(), root)).sum();
    }
    let options = SimpleFileOptions::default().large_file(false);
    zip.start_file(path.strip_prefix(root)?.to_string_lossy(), options)?;
    Ok(io::copy(&mut fs::File::open(path)?, zip)?)
}

/// npm brings the SDK's core for all platforms; a careful user uploads one.
fn is_for_another_platform(path: &Path) -> bool {
    let in_releases = path.parent().and_then(Path::file_name).is_some_and(|it| it == "releases");
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    in_releases && name.contains('-') && name != platform
}
