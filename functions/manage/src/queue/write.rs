//! Writing the interface's XML: one document, no white space between elements.

use super::NAMESPACE;
use super::read::is_forbidden;
use std::borrow::Cow;
use std::fmt::Write as _;

/// A document being written.
pub(super) struct Xml {
    text: String,
}

impl Xml {
    /// A document with this root, in the interface's namespace.
    pub(super) fn document(root: &str, fill: impl FnOnce(&mut Xml)) -> Xml {
        let mut xml = Xml {
            text: String::from(r#"<?xml version="1.0" encoding="utf-8"?>"#),
        };
        let _ = write!(xml.text, "<{root} xmlns=\"{NAMESPACE}\">");
        fill(&mut xml);
        let _ = write!(xml.text, "</{root}>");
        xml
    }

    /// An element that holds others.
    pub(super) fn element(&mut self, name: &str, fill: impl FnOnce(&mut Xml)) {
        let _ = write!(self.text, "<{name}>");
        fill(self);
        let _ = write!(self.text, "</{name}>");
    }

    /// An element that holds a text.
    pub(super) fn text(&mut self, name: &str, text: &str) {
        let _ = write!(self.text, "<{name}>");
        escape(text, &mut self.text);
        let _ = write!(self.text, "</{name}>");
    }

    /// An element that holds a number or a name.
    pub(super) fn value(&mut self, name: &str, value: impl std::fmt::Display) {
        self.text(name, &value.to_string());
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

/// `text` as a reader gets it back. XML 1.0 has no form at all for most control characters, which pushes to a queue may
/// hold: those become U+FFFD, since a document no reader takes would be worse.
pub(super) fn carried(text: &str) -> Cow<'_, str> {
    if text.contains(is_forbidden) {
        text.replace(is_forbidden, "\u{FFFD}").into()
    } else {
        text.into()
    }
}

/// Escapes so that a reader gets [`carried`]`(text)` back.
fn escape(text: &str, out: &mut String) {
    // Most bodies need nothing done at all: Base64 is copied whole.
    let special = |c: char| {
        matches!(
            c,
            '&' | '<' | '>' | '"' | '\u{0}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}'
        )
    };
    let plain = text.find(special).unwrap_or(text.len());
    out.push_str(&text[..plain]);
    for c in text[plain..].chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // A bare one would be read as a line feed.
            '\r' => out.push_str("&#xD;"),
            c if is_forbidden(c) => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
}
