//! Which top-level module of a crate imports which: paths that begin with
//! `crate`, `self` or `super`, in `use` and elsewhere. Tests do not count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, UseTree};

/// What each module imports, and from which of its files.
pub type Graph = BTreeMap<String, BTreeSet<(String, String)>>;

/// The modules of a crate. A module is a file of `src` or a folder of it.
pub fn of_crate(src: &Path) -> Graph {
    let root = ["lib.rs", "main.rs"].map(|name| src.join(name));
    let root = root.into_iter().find(|file| file.is_file());
    let root = parse(&root.expect("a crate has a root"));
    let exported = exports(&root);
    let mut graph: Graph = modules(&root)
        .into_iter()
        .map(|module| (module, BTreeSet::new()))
        .collect();
    let names: Vec<String> = graph.keys().cloned().collect();
    for (file, place) in files(src, &[]) {
        let Some(module) = place.first().cloned() else {
            continue;
        };
        let mut paths = Paths {
            place,
            found: Vec::new(),
        };
        paths.visit_file(&parse(&file));
        let label = file
            .strip_prefix(src)
            .unwrap_or(&file)
            .display()
            .to_string();
        for first in paths.found {
            let to = match exported.get(&first) {
                Some(module) => module.clone(),
                None => first,
            };
            if to != module && names.contains(&to) {
                let edges = graph.entry(module.clone()).or_default();
                edges.insert((to, label.clone()));
            }
        }
    }
    graph
}

fn parse(file: &Path) -> syn::File {
    let text = fs::read_to_string(file).expect("a source file is read");
    syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// Source files and the modules that they are. Files of tests are left out.
fn files(folder: &Path, place: &[String]) -> Vec<(PathBuf, Vec<String>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder is read").flatten() {
        let path = entry.path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        if stem == "tests" || stem.ends_with("_tests") {
            continue;
        }
        let mut inner = place.to_vec();
        if path.is_dir() {
            inner.push(stem.into_owned());
            found.extend(files(&path, &inner));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            if !["mod", "lib", "main"].contains(&stem.as_ref()) {
                inner.push(stem.into_owned());
            }
            found.push((path, inner));
        }
    }
    found
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Ident>()
                .is_ok_and(|what| what == "test")
    })
}

fn modules(root: &syn::File) -> Vec<String> {
    let module = |item: &Item| match item {
        Item::Mod(module) if !is_test(&module.attrs) => Some(module.ident.to_string()),
        _ => None,
    };
    root.items.iter().filter_map(module).collect()
}

/// Names that the root exports, and the module that each comes from.
fn exports(root: &syn::File) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for item in &root.items {
        if let Item::Use(import) = item
            && let UseTree::Path(path) = &import.tree
        {
            let mut path = path;
            while ["crate", "self"].contains(&path.ident.to_string().as_str())
                && let UseTree::Path(next) = path.tree.as_ref()
            {
                path = next;
            }
            for name in leaves(&path.tree) {
                all.insert(name, path.ident.to_string());
            }
        }
    }
    all
}

/// The names that a tree brings in.
fn leaves(tree: &UseTree) -> Vec<String> {
    match tree {
        UseTree::Path(path) => leaves(&path.tree),
        UseTree::Name(name) => vec![name.ident.to_string()],
        UseTree::Rename(rename) => vec![rename.rename.to_string()],
        UseTree::Glob(_) => Vec::new(),
        UseTree::Group(group) => group.items.iter().flat_map(leaves).collect(),
    }
}

/// Collects the first name, seen from the crate's root, of each path of a file.
struct Paths {
    place: Vec<String>,
    found: Vec<String>,
}

impl Paths {
    /// Follows `words` from this file's place.
    fn note(&mut self, words: &[String]) {
        let mut at = self.place.clone();
        let mut rest = words;
        match words.first().map(String::as_str) {
            Some("crate") => at.clear(),
            Some("self" | "super") => {}
            _ => return,
        }
        while let Some((first, after)) = rest.split_first() {
            match first.as_str() {
                "crate" | "self" => {}
                "super" => {
                    at.pop();
                }
                name => {
                    at.push(name.to_owned());
                    self.found.push(at.remove(0));
                    return;
                }
            }
            rest = after;
        }
    }

    fn tree(&mut self, before: &[String], tree: &UseTree) {
        let mut words = before.to_vec();
        match tree {
            UseTree::Path(path) => {
                words.push(path.ident.to_string());
                self.tree(&words, &path.tree);
            }
            UseTree::Name(name) => {
                words.push(name.ident.to_string());
                self.note(&words);
            }
            UseTree::Rename(rename) => {
                words.push(rename.ident.to_string());
                self.note(&words);
            }
            UseTree::Glob(_) => self.note(&words),
            UseTree::Group(group) => {
                for item in &group.items {
                    self.tree(before, item);
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if is_test(&module.attrs) {
            return;
        }
        // What an inline module calls `super` is this file.
        self.place.push(module.ident.to_string());
        visit::visit_item_mod(self, module);
        self.place.pop();
    }

    fn visit_item_use(&mut self, import: &'ast syn::ItemUse) {
        if !is_test(&import.attrs) {
            self.tree(&[], &import.tree);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let words: Vec<String> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        self.note(&words);
        visit::visit_path(self, path);
    }
}
