//! `when:` and `exclude:`: conditions on the axes of the matrix.

use super::decoder::Decoder;
use super::error::{Problem, Span};
use super::fields::Fields;
use super::name;
use super::tree::{Key, Node, Value};

impl<'a, 'f> Decoder<'a, 'f> {
    /// Whether `when: { axis: value or [values] }` holds in this case; true without one.
    pub fn when(&self, fields: &Fields<'a>) -> bool {
        fields
            .get("when")
            .is_none_or(|node| self.holds(node, fields.span))
    }

    /// Whether the conditions of a mapping from axis to value(s) hold in this case.
    /// `owner` is the place of the step, event or sign that has them.
    fn holds(&self, node: &'a Node, owner: Span) -> bool {
        let Some(entries) = self.map(node, "a mapping from axis to value") else {
            return false;
        };
        let mut holds = true;
        for (axis, wanted) in entries {
            self.axis(&axis.name);
            holds &= self.condition(axis, wanted);
        }
        self.findings.when(owner, holds);
        holds
    }

    /// Whether an axis has one of the wanted values. This does not count as a use of
    /// the axis: one that only `exclude` mentions changes nothing in a case.
    pub fn condition(&self, axis: &Key, wanted: &'a Node) -> bool {
        let Some(values) = self.axes.get(axis.name.as_str()) else {
            self.problem(
                Problem::new(axis.span, format!("unknown axis `{}`", axis.name))
                    .expected(self.axis_names())
                    .maybe_help(name::did_you_mean(&axis.name, self.axes.keys().copied())),
            );
            return false;
        };
        let here = self.point.get(axis.name.as_str()).map(|node| &node.value);
        let wanted = match &wanted.value {
            Value::List(list) => list.as_slice(),
            _ => std::slice::from_ref(wanted),
        };
        let mut holds = false;
        for node in wanted {
            let texts = values.iter().filter_map(|value| match &value.value {
                Value::Scalar(text) => Some(text.as_str()),
                _ => None,
            });
            if self
                .known(node, &format!("value of the axis `{}`", axis.name), texts)
                .is_some()
            {
                holds |= here == Some(&node.value);
            }
        }
        holds
    }
}
