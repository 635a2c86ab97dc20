//! SVG as text: escaping, and the frame of a file of its own.

use std::fmt::Write as _;

/// The styles of all drawings. The page has them once; each file of its own brings
/// them along.
pub(crate) const STYLE: &str = include_str!("assets/svg.css");

/// The colours as custom properties, for light and for dark paper.
pub(crate) const LIGHT: &str = include_str!("assets/light.txt");
pub(crate) const DARK: &str = include_str!("assets/dark.txt");

/// A drawing without its outer element.
pub(crate) struct Drawing {
    pub(crate) width: f64,
    pub(crate) height: f64,
    /// Elements, escaped.
    pub(crate) body: String,
    /// What it shows, for screen readers.
    pub(crate) title: String,
}

impl Drawing {
    /// As an element of the page, which has the styles.
    pub(crate) fn inline(&self, class: &str) -> String {
        format!(
            "<svg class=\"{class}\" role=\"img\" aria-label=\"{}\" viewBox=\"0 0 {:.0} {:.0}\" \
             width=\"{:.0}\" height=\"{:.0}\">{}</svg>",
            escaped(&self.title),
            self.width,
            self.height,
            self.width,
            self.height,
            self.body
        )
    }

    /// As a file of its own.
    pub(crate) fn file(&self) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" viewBox=\"0 0 {w:.0} {h:.0}\" \
             width=\"{w:.0}\" height=\"{h:.0}\">\n<title>{}</title>\n<style>\nsvg {{ {LIGHT}}}\n\
             @media (prefers-color-scheme: dark) {{ svg {{ {DARK}}} }}\n{STYLE}</style>\n\
             <rect class=\"paper\" width=\"{w:.0}\" height=\"{h:.0}\"/>\n{}\n</svg>\n",
            escaped(&self.title),
            self.body.replace("><", ">\n<"),
            w = self.width,
            h = self.height,
        )
    }
}

/// Text as the content of an element or an attribute. Control characters, which XML
/// has no way to write, become U+FFFD.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() && !matches!(c, '\t' | '\n') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Adds a text element. `rest` are further attributes.
pub(crate) fn text(out: &mut String, x: f64, y: f64, class: &str, rest: &str, content: &str) {
    let _ = write!(
        out,
        "<text x=\"{x:.0}\" y=\"{y:.0}\" class=\"{class}\"{rest}>{}</text>",
        escaped(content)
    );
}

/// The first `most` characters, with an ellipsis when there are more.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_its_element() {
        assert_eq!(
            escaped("a<b> & \"c\"\u{1b}"),
            "a&lt;b&gt; &amp; &quot;c&quot;\u{fffd}"
        );
        assert_eq!(shortened("abcdef", 4), "abc…");
        assert_eq!(shortened("abcd", 4), "abcd");
    }
}
