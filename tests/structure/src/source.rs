//! The files of a crate, and what each of them names.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit_mut::{self, VisitMut};
use syn::{Attribute, Item, ItemUse, UseTree, Visibility};

/// One file of a crate.
#[derive(Debug)]
pub struct Module {
    /// Its path below the crate's `src`.
    pub file: PathBuf,
    /// The paths that it names, from the crate's root; with the name by which it knows them.
    pub(crate) names: Vec<Named>,
}

/// A path that a file names.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    /// From the crate's root; empty if it is another crate's.
    pub(crate) path: Vec<String>,
    /// The name under which it is known in the file; `None`: it is named in passing, or it is a glob.
    pub(crate) alias: Option<String>,
}

/// The modules of the crate whose sources are in this folder, by path from the crate's root.
///
/// # Panics
/// When a file cannot be read or is no Rust.
pub(crate) fn sources(src: &Path) -> BTreeMap<Vec<String>, Module> {
    let mut modules = BTreeMap::new();
    let root = ["lib.rs", "main.rs"].map(|name| src.join(name)).into_iter().find(|it| it.exists());
    read(src, &root.expect("a crate has a root"), Vec::new(), &mut modules);
    modules
}

fn read(src: &Path, file: &Path, path: Vec<String>, modules: &mut BTreeMap<Vec<String>, Module>) {
    let text = fs::read_to_string(file).unwrap_or_else(|it| panic!("{}: {it}", file.display()));
    let mut parsed =
        syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut reader = Reader { at: path.clone(), names: Vec::new(), children: Vec::new() };
    reader.visit_file_mut(&mut parsed);
    let below = file.strip_prefix(src).expect("a file of the crate").to_owned();
    modules.insert(path.clone(), Module { file: below, names: reader.names });
    let is_face =
        file.file_name().is_some_and(|it| it == "mod.rs" || it == "lib.rs" || it == "main.rs");
    let folder = if is_face { file.with_file_name("") } else { file.with_extension("") };
    for child in reader.children {
        let candidates = [folder.join(format!("{child}.rs")), folder.join(&child).join("mod.rs")];
        let Some(file) = candidates.iter().find(|it| it.exists()) else { continue };
        let mut path = path.clone();
        path.push(child);
        read(src, file, path, modules);
    }
}

/// Walks through one file.
struct Reader {
    /// The module that it is in, from the crate's root.
    at: Vec<String>,
    names: Vec<Named>,
    children: Vec<String>,
}

impl Reader {
    /// A path from the crate's root, if it is one of this crate.
    fn resolve(&self, segments: &[String]) -> Option<Vec<String>> {
        let mut path = match segments.first()?.as_str() {
            "crate" => Vec::new(),
            "self" => self.at.clone(),
            "super" => self.at[..self.at.len().checked_sub(1)?].to_vec(),
            // A module that this file declares, or nothing of this crate.
            name if self.children.iter().any(|child| child == name) => {
                let mut path = self.at.clone();
                path.push(name.to_owned());
                path
            }
            _ => return None,
        };
        for segment in &segments[1..] {
            if segment == "super" {
                path.pop();
            } else {
                path.push(segment.clone());
            }
        }
        Some(path)
    }

    fn import(&mut self, tree: &UseTree, mut before: Vec<String>) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.import(&path.tree, before);
            }
            UseTree::Name(name) => {
                let alias = name.ident.to_string();
                if alias != "self" {
                    before.push(alias.clone());
                }
                self.note(&before, Some(before.last().cloned().unwrap_or(alias)));
            }
            UseTree::Rename(rename) => {
                before.push(rename.ident.to_string());
                self.note(&before, Some(rename.rename.to_string()));
            }
            UseTree::Glob(_) => self.note(&before, None),
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.import(tree, before.clone()));
            }
        }
    }

    fn note(&mut self, segments: &[String], alias: Option<String>) {
        // What is another crate's is known as such where it is handed on.
        let foreign = || alias.is_some().then(Vec::new);
        if let Some(path) = self.resolve(segments).or_else(foreign) {
            self.names.push(Named { path, alias });
        }
    }
}

/// Whether this is there for tests only.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|it| {
        let syn::Meta::List(list) = &it.meta else { return false };
        let condition = list.tokens.to_string();
        list.path.is_ident("cfg")
            && (condition.starts_with("test") || condition.starts_with("doctest"))
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(it) => &it.attrs,
        Item::Enum(it) => &it.attrs,
        Item::Fn(it) => &it.attrs,
        Item::Impl(it) => &it.attrs,
        Item::Macro(it) => &it.attrs,
        Item::Mod(it) => &it.attrs,
        Item::Static(it) => &it.attrs,
        Item::Struct(it) => &it.attrs,
        Item::Trait(it) => &it.attrs,
        Item::Type(it) => &it.attrs,
        Item::Use(it) => &it.attrs,
        _ => &[],
    }
}

impl VisitMut for Reader {
    fn visit_file_mut(&mut self, file: &mut syn::File) {
        file.items.retain(|item| !is_for_tests(attributes(item)));
        // First, so that paths into them are known as such.
        for item in &file.items {
            if let Item::Mod(module) = item
                && module.content.is_none()
            {
                self.children.push(module.ident.to_string());
            }
        }
        visit_mut::visit_file_mut(self, file);
    }

    fn visit_impl_item_fn_mut(&mut self, function: &mut syn::ImplItemFn) {
        if !is_for_tests(&function.attrs) {
            visit_mut::visit_impl_item_fn_mut(self, function);
        }
    }

    fn visit_item_use_mut(&mut self, item: &mut ItemUse) {
        let tree = item.tree.clone();
        self.import(&tree, Vec::new());
    }

    fn visit_path_mut(&mut self, path: &mut syn::Path) {
        let segments: Vec<_> = path.segments.iter().map(|it| it.ident.to_string()).collect();
        if segments.len() > 1 {
            self.note(&segments, None);
        }
        visit_mut::visit_path_mut(self, path);
    }

    // `pub(in crate::temporal)` is no use of it.
    fn visit_visibility_mut(&mut self, _: &mut Visibility) {}
}
