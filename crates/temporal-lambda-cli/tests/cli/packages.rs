//! The packages of this workspace, as they would be published.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{run, text, without_package_variables};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Makes all packages and unpacks them into a folder, whose other folders then get them in the place of those in the
/// registry. What they have in them is what is tested here.
pub(crate) fn patched_into(folder: &Path) {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let names = std::fs::read_dir(crates).unwrap().map(|it| it.unwrap().file_name());
    let names: Vec<String> = names.map(|it| it.into_string().unwrap()).collect();
    let made = folder.join("packages");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    without_package_variables(&mut cargo)
        .args(["package", "--locked", "--allow-dirty", "--no-verify", "--quiet", "--target-dir"])
        .arg(&made)
        .args(names.iter().flat_map(|name| ["--package", name]))
        .current_dir(crates);
    let output = run(&mut cargo);
    assert!(output.status.success(), "{}", text(&output));
    let mut config = "[patch.crates-io]\n".to_owned();
    for name in &names {
        let package = made.join(format!("package/{name}-{VERSION}.crate"));
        let unpacked = run(Command::new("tar").arg("xzf").arg(package).arg("-C").arg(folder));
        assert!(unpacked.status.success(), "{}", text(&unpacked));
        let packaged = folder.join(format!("{name}-{VERSION}"));
        let (ours, theirs) = (sources(&crates.join(name)), sources(&packaged));
        assert!(ours == theirs, "{name}: {:?}, but packaged {:?}", ours.keys(), theirs.keys());
        writeln!(config, "{name}.path = \"{name}-{VERSION}\"").unwrap();
    }
    // As here, so that what is compiled already is used.
    config += "[profile.dev]\ndebug = \"line-tables-only\"\n";
    config += "[profile.dev.build-override]\ndebug = \"line-tables-only\"\n";
    std::fs::create_dir(folder.join(".cargo")).unwrap();
    std::fs::write(folder.join(".cargo/config.toml"), config).unwrap();
}

/// The sources of a package, by their path in it.
fn sources(package: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut sources = BTreeMap::new();
    let mut folders = vec![package.join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(package).unwrap().to_owned();
                sources.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    assert!(!sources.is_empty(), "{} has no sources", package.display());
    sources
}
