//! What a side runs, how it is built or brought, and what of it would be uploaded.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::record::Side;

/// Temporal's package for Python and AWS's client of the Runtime API.
const PYTHON: [&str; 2] = ["temporalio==1.35.0", "awslambdaric==4.2.2"];
/// Files of the TypeScript side, of which a change makes it be brought anew.
const TYPESCRIPT: [(&str, &str); 6] = [
    ("package.json", include_str!("../../peers/package.json")),
    ("package-lock.json", include_str!("../../peers/package-lock.json")),
    ("bundle.js", include_str!("../../peers/bundle.js")),
    ("workflows.js", include_str!("../../peers/workflows.js")),
    ("function.js", include_str!("../../peers/function.js")),
    ("runtime.js", include_str!("../../peers/runtime.js")),
];

/// A side that can be run.
#[derive(Clone, Debug)]
pub struct Program {
    /// Whose it is.
    pub side: Side,
    /// The program.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Where it runs.
    pub folder: PathBuf,
    /// What is uploaded: files and folders.
    pub package: Vec<PathBuf>,
}

impl Program {
    /// A side that is one binary.
    pub fn binary(side: Side, path: &Path) -> Self {
        Self {
            side,
            path: path.to_owned(),
            arguments: Vec::new(),
            folder: env::temp_dir(),
            package: vec![path.to_owned()],
        }
    }
}

/// What the names of variables begin with by which `cargo run` tells about a package.
const PACKAGE: [&str; 2] = ["CARGO_PKG_", "CARGO_MANIFEST_"];

/// Builds the example `hello` and the bare function, in release mode, with the same SDK in both.
pub fn ours_and_bare() -> Result<[Program; 2]> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    // `cargo run` tells this program about its package. Handed on, that would make `ring` build itself anew, and all that
    // is built on it, each time somebody builds with and without.
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|it| PACKAGE.iter().any(|start| it.starts_with(start))) {
            build.env_remove(name);
        }
    }
    build.current_dir(root()).args([
        "build",
        "--release",
        "--locked",
        "--bin",
        "hello",
        "--bin",
        "bare",
    ]);
    build.args([
        "--package",
        "temporal-lambda-examples",
        "--package",
        "temporal-lambda-bench-bare",
    ]);
    let status = build.status().context("cargo cannot be run")?;
    ensure!(status.success(), "{build:?} failed");
    let built = |name: &str| target().join("release").join(name);
    Ok([Program::binary(Side::Ours, &built("hello")), Program::binary(Side::Bare, &built("bare"))])
}

/// Brings what the Python side needs into a virtual environment under the target folder.
pub fn python() -> Result<Program> {
    let folder = target().join("peers").join(format!("bench-python-{}", PYTHON.join("-")));
    let python = folder.join("bin/python");
    once(&folder, || {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(PYTHON);
        run(&mut pip)
    })?;
    let purelib = said(
        Command::new(&python)
            .args(["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]),
    )?;
    Ok(Program {
        side: Side::Python,
        path: python,
        arguments: ["-m", "awslambdaric", "function.handler"].map(ToOwned::to_owned).to_vec(),
        folder: sources(),
        package: vec![purelib.into(), sources().join("function.py")],
    })
}

/// Brings what the TypeScript side needs into a folder under the target folder, and bundles its workflow.
pub fn typescript() -> Result<Program> {
    let folder = target().join("peers/bench-typescript");
    let old = TYPESCRIPT.iter().any(|(name, text)| {
        std::fs::read_to_string(folder.join(name)).ok().as_deref() != Some(*text)
    });
    if old && folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    once(&folder, || {
        std::fs::create_dir_all(&folder)?;
        for (name, text) in TYPESCRIPT {
            std::fs::write(folder.join(name), text)?;
        }
        let mut npm = Command::new("npm");
        run(npm.args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(&folder))?;
        run(Command::new("node").arg("bundle.js").current_dir(&folder))
    })?;
    Ok(Program {
        side: Side::TypeScript,
        path: "node".into(),
        arguments: vec!["runtime.js".to_owned()],
        package: ["node_modules", "bundle.out.js", "function.js"]
            .map(|it| folder.join(it))
            .to_vec(),
        folder,
    })
}

/// Versions of the peers' parts, by name.
pub fn versions(programs: &[Program]) -> Vec<(String, String)> {
    let mut versions = Vec::new();
    for program in programs {
        let version = |arguments: &[&str]| {
            said(Command::new(&program.path).args(arguments)).unwrap_or_else(|it| it.to_string())
        };
        match program.side {
            Side::Ours => {
                versions.push(("this library".to_owned(), env!("CARGO_PKG_VERSION").to_owned()));
                let rustc = said(Command::new("rustc").arg("--version")).unwrap_or_default();
                versions.push(("Rust".to_owned(), rustc));
            }
            Side::Bare => {}
            Side::Python => {
                versions.push(("Python".to_owned(), version(&["--version"])));
                versions.push(("Python packages".to_owned(), PYTHON.join(", ")));
            }
            Side::TypeScript => {
                versions.push(("node".to_owned(), version(&["--version"])));
                let package: serde_json::Value =
                    serde_json::from_str(TYPESCRIPT[0].1).unwrap_or_default();
                let worker = package["dependencies"]["@temporalio/lambda-worker"].as_str();
                let packages = format!("@temporalio/lambda-worker {}", worker.unwrap_or("unknown"));
                versions.push(("npm packages".to_owned(), packages));
            }
        }
    }
    versions
}

/// The folder of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

fn target() -> PathBuf {
    let told = env::var_os("CARGO_TARGET_DIR").filter(|it: &OsString| !it.is_empty());
    told.map_or_else(|| root().join("target"), PathBuf::from)
}

/// Does something that makes a folder, unless it was done before. What an interrupted run left is removed.
fn once(folder: &Path, bring: impl FnOnce() -> Result<()>) -> Result<()> {
    let complete = folder.join("complete");
    if complete.exists() {
        return Ok(());
    }
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    eprintln!("bringing {} ...", folder.file_name().unwrap_or_default().display());
    bring()?;
    Ok(std::fs::write(complete, "")?)
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("{command:?} cannot be run"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn said(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?} cannot be run"))?;
    ensure!(output.status.success(), "{command:?} failed");
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
