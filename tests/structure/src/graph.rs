//! Files and the arrows between them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::source::{Module, Named, sources};

/// From a file to one that defines something that it names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrow {
    /// The file that names something.
    pub from: PathBuf,
    /// The file that defines it.
    pub to: PathBuf,
    /// What is named.
    pub name: String,
}

/// The module graph of one crate.
pub struct Graph {
    modules: BTreeMap<Vec<String>, Module>,
    arrows: BTreeSet<Arrow>,
}

impl Graph {
    /// The graph of the crate whose sources are in this folder.
    pub fn of(src: &Path) -> Self {
        let modules = sources(src);
        let mut arrows = BTreeSet::new();
        for module in modules.values() {
            for Named { path, .. } in module.names.iter().filter(|it| !it.path.is_empty()) {
                let Some(to) = definition(&modules, path, 0) else { continue };
                let (from, to) = (module.file.clone(), modules[&to].file.clone());
                if from != to {
                    arrows.insert(Arrow { from, to, name: path.join("::") });
                }
            }
        }
        Self { modules, arrows }
    }

    /// The files of the crate.
    pub fn files(&self) -> impl Iterator<Item = &Module> {
        self.modules.values()
    }

    /// Every arrow between two files.
    pub fn arrows(&self) -> impl Iterator<Item = &Arrow> {
        self.arrows.iter()
    }

    /// The sets of files that lead to each other. A folder's `mod.rs` is the folder's face: between it
    /// and the files of its folder there is no circle.
    pub fn circles(&self) -> Vec<BTreeSet<PathBuf>> {
        let counted =
            self.arrows().filter(|it| !is_face(&it.from, &it.to) && !is_face(&it.to, &it.from));
        circles(counted.map(|it| (it.from.clone(), it.to.clone())))
    }

    /// The rooms of the crate, files and folders of its `src`, with the arrows between them.
    pub fn rooms(&self) -> BTreeSet<(String, String)> {
        let between = self.arrows().map(|it| (room(&it.from), room(&it.to)));
        between.filter(|(from, to)| from != to).collect()
    }
}

/// The file or folder of `src` that a file is in.
pub(crate) fn room(file: &Path) -> String {
    let first = file.components().next().expect("a file");
    let name = first.as_os_str().to_string_lossy();
    name.strip_suffix(".rs").unwrap_or(&name).to_owned()
}

/// Whether `face` is the `mod.rs` (or the file of the same name) of a folder that `file` is in.
fn is_face(face: &Path, file: &Path) -> bool {
    let folder = match face.file_name().and_then(|it| it.to_str()) {
        Some("mod.rs" | "lib.rs" | "main.rs") => face.with_file_name(""),
        _ => face.with_extension(""),
    };
    file != face && file.starts_with(folder)
}

/// The module that defines what this path leads to.
fn definition(
    modules: &BTreeMap<Vec<String>, Module>,
    path: &[String],
    depth: usize,
) -> Option<Vec<String>> {
    let known = (0..=path.len()).rev().find(|it| modules.contains_key(&path[..*it]))?;
    let (module, rest) = path.split_at(known);
    let Some(name) = rest.first().filter(|_| depth < 16) else { return Some(module.to_vec()) };
    let is_it = |named: &&Named| named.alias.as_ref() == Some(name) && named.path != path;
    match modules[module].names.iter().find(is_it) {
        None => Some(module.to_vec()),
        Some(named) if named.path.is_empty() => None,
        Some(named) => {
            let path = [&named.path, &rest[1..]].concat();
            definition(modules, &path, depth + 1)
        }
    }
}

/// The strongly connected parts of a graph that have more than one node.
pub fn circles<T: Ord + Clone>(arrows: impl Iterator<Item = (T, T)>) -> Vec<BTreeSet<T>> {
    let mut next: BTreeMap<T, BTreeSet<T>> = BTreeMap::new();
    for (from, to) in arrows {
        next.entry(to.clone()).or_default();
        next.entry(from).or_default().insert(to);
    }
    let reach: BTreeMap<_, _> = next.keys().map(|it| (it.clone(), reached(&next, it))).collect();
    let mut circles: Vec<BTreeSet<T>> = Vec::new();
    for node in next.keys() {
        if circles.iter().any(|circle| circle.contains(node)) {
            continue;
        }
        let circle: BTreeSet<T> =
            reach[node].iter().filter(|it| reach[*it].contains(node)).cloned().collect();
        if circle.len() > 1 {
            circles.push(circle);
        }
    }
    circles
}

fn reached<T: Ord + Clone>(next: &BTreeMap<T, BTreeSet<T>>, from: &T) -> BTreeSet<T> {
    let (mut reached, mut to_do) = (BTreeSet::new(), vec![from.clone()]);
    while let Some(node) = to_do.pop() {
        for to in &next[&node] {
            if reached.insert(to.clone()) {
                to_do.push(to.clone());
            }
        }
    }
    reached
}
