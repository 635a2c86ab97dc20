//! The entries of a mapping as the file has them, and the verb among them.

use super::error::Span;
use super::spec::MappingSpec;
use super::tree::{Key, Node};

/// A verb with its value and its modifiers.
pub struct Verb<'a> {
    /// The verb.
    pub verb: String,
    /// Its place.
    pub span: Span,
    /// Its value, if it has one.
    pub value: Option<&'a Node>,
    /// The modifiers beside it.
    pub fields: Fields<'a>,
}

/// The entries of a mapping.
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    /// Keys and values in file order.
    pub entries: &'a [(Key, Node)],
    /// The mapping's place.
    pub span: Span,
    /// The table that says which keys it may have; None: the caller gave a list.
    pub spec: Option<&'static MappingSpec>,
}

impl<'a> Fields<'a> {
    /// No entries, for a short form that leaves the mapping out.
    pub fn none(span: Span, spec: &'static MappingSpec) -> Self {
        Fields {
            entries: &[],
            span,
            spec: Some(spec),
        }
    }

    /// A key's value, if the key is there.
    pub fn get(&self, name: &str) -> Option<&'a Node> {
        debug_assert!(
            self.spec.is_none_or(|spec| spec.key(name).is_some()),
            "`{name}` is not in the table of {}",
            self.spec.map_or("", |spec| spec.name)
        );
        self.find(name)
    }

    /// As [`Fields::get`], for a key that the mapping's table may lack.
    pub fn find(&self, name: &str) -> Option<&'a Node> {
        self.entries
            .iter()
            .find(|(key, _)| key.name == name)
            .map(|(_, node)| node)
    }

    /// The value of a key that can be left out. The outer None: a problem was noted.
    #[allow(clippy::option_option)]
    pub fn optional<T>(
        &self,
        name: &str,
        read: impl FnOnce(&'a Node) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.get(name) {
            None => Some(None),
            Some(node) => read(node).map(Some),
        }
    }

    /// The place of a key, if the key is there.
    pub fn key(&self, name: &str) -> Option<Span> {
        self.entries
            .iter()
            .find(|(key, _)| key.name == name)
            .map(|(key, _)| key.span)
    }
}
