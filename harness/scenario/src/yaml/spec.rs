//! Tables of the mappings that a file may contain.
//!
//! The decoder takes the keys it knows from a table, and the JSON Schema is made
//! from the same table, so that neither can have a key which the other lacks. The
//! words that a key allows are one array, too: [`super::Decoder::choose`] reads
//! their values from it, the schema their spelling.

use serde_json::Value;

/// A mapping: its keys, and how messages call it.
#[derive(Clone, Copy)]
pub struct MappingSpec {
    /// With its article, for messages: "a heartbeat", "`kill`".
    pub name: &'static str,
    /// How messages about a missing key call it: "this scenario". By default the name.
    pub subject: &'static str,
    /// What it stands for, for the schema.
    pub description: &'static str,
    /// Its keys, in groups, in the order in which messages list them.
    pub groups: &'static [&'static [KeySpec]],
}

impl MappingSpec {
    /// A mapping with these keys.
    pub const fn new(
        name: &'static str,
        description: &'static str,
        groups: &'static [&'static [KeySpec]],
    ) -> Self {
        MappingSpec {
            name,
            subject: name,
            description,
            groups,
        }
    }

    /// Sets how messages about a missing key call it.
    pub const fn subject(mut self, subject: &'static str) -> Self {
        self.subject = subject;
        self
    }

    /// All keys.
    pub fn keys(&self) -> impl Iterator<Item = &'static KeySpec> + Clone + use<> {
        self.groups.iter().flat_map(|group| group.iter())
    }

    /// The names of all keys.
    pub fn names(&self) -> Vec<&'static str> {
        self.keys().map(|key| key.name).collect()
    }

    /// The verbs of a step or an event: its first group.
    pub fn verbs(&self) -> &'static [KeySpec] {
        self.groups.first().copied().unwrap_or(&[])
    }

    /// The keys that can stand beside a verb of a step or an event.
    pub fn modifiers(&self) -> impl Iterator<Item = &'static KeySpec> + Clone + use<> {
        self.groups.iter().skip(1).flat_map(|group| group.iter())
    }

    /// A key by its name.
    pub fn key(&self, name: &str) -> Option<&'static KeySpec> {
        self.keys().find(|key| key.name == name)
    }
}

/// A key of a mapping.
#[derive(Clone, Copy)]
pub struct KeySpec {
    /// The key.
    pub name: &'static str,
    /// What it means, in one line; empty when the value's own description says it.
    pub description: &'static str,
    /// What its value can be.
    pub value: ValueSpec,
    /// For a key that must be there: a value as an example, for messages.
    pub example: Option<&'static str>,
    /// For a verb: whether it can be written as a word, without a value.
    pub bare: bool,
}

impl KeySpec {
    /// A key that may be left out.
    pub const fn new(name: &'static str, value: ValueSpec, description: &'static str) -> Self {
        KeySpec {
            name,
            description,
            value,
            example: None,
            bare: false,
        }
    }

    /// The key must be there, with a value such as `example`.
    pub const fn required(mut self, example: &'static str) -> Self {
        self.example = Some(example);
        self
    }

    /// The verb can be written as a word, without a value.
    pub const fn bare(mut self) -> Self {
        self.bare = true;
        self
    }
}

/// What a value can be.
#[derive(Clone, Copy)]
pub enum ValueSpec {
    /// What the schema's definition of this name says.
    Definition(&'static str),
    /// Text.
    Text,
    /// Text or a number, which is read as text.
    TextOrNumber,
    /// Text or no value.
    TextOrNothing,
    /// No value: the key stands alone.
    Nothing,
    /// One of a few words, or the value of an axis.
    Word(&'static dyn Words),
    /// One of a few words.
    WordWithoutAxis(&'static dyn Words),
    /// A list.
    List {
        /// What its items are.
        items: &'static ValueSpec,
        /// The fewest items.
        least: usize,
        /// The most items.
        most: Option<usize>,
        /// No item may occur twice.
        unique: bool,
    },
    /// A mapping with the keys of a table.
    Mapping(&'static MappingSpec),
    /// Any of several forms.
    AnyOf(&'static [ValueSpec]),
    /// A form with a description of its own.
    Described(&'static str, &'static ValueSpec),
    /// JSON Schema of a value without a table: a pattern, a range, or a mapping
    /// whose keys the file chooses.
    Schema(fn() -> Value),
}

impl ValueSpec {
    /// A duration with its unit, or an axis.
    pub const DURATION: Self = ValueSpec::Definition("duration");
    /// A whole number, or an axis.
    pub const WHOLE: Self = ValueSpec::Definition("number");
    /// `true` or `false`, or an axis.
    pub const TRUTH: Self = ValueSpec::Definition("truth");
    /// The conditions of a `when`.
    pub const WHEN: Self = ValueSpec::Definition("when");
    /// A list of steps.
    pub const STEPS: Self = ValueSpec::Definition("steps");

    /// A list of any length.
    pub const fn list(items: &'static ValueSpec) -> Self {
        ValueSpec::List {
            items,
            least: 0,
            most: None,
            unique: false,
        }
    }

    /// A list that is not empty.
    pub const fn some(items: &'static ValueSpec) -> Self {
        ValueSpec::List {
            items,
            least: 1,
            most: None,
            unique: false,
        }
    }

    /// A list of two.
    pub const fn pair(items: &'static ValueSpec) -> Self {
        ValueSpec::List {
            items,
            least: 2,
            most: Some(2),
            unique: false,
        }
    }
}

/// Words that a value can be, with or without what each stands for.
pub trait Words: Sync {
    /// The words.
    fn spellings(&self) -> Vec<&'static str>;
}

impl<T: Sync, const N: usize> Words for [(&'static str, T); N] {
    fn spellings(&self) -> Vec<&'static str> {
        self.iter().map(|(word, _)| *word).collect()
    }
}

impl<const N: usize> Words for [&'static str; N] {
    fn spellings(&self) -> Vec<&'static str> {
        self.to_vec()
    }
}
