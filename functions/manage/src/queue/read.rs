//! Reading the interface's XML, hardened: no document types, no entities but the five of XML and character references,
//! bounded depth and number of elements. The gate bounds the size.

use crate::error::Refused;
use quick_xml::Reader;
use quick_xml::events::Event;

/// Deepest nesting; the deepest sound document (`Messages/Message/UserProperties/PropertyValue/Name`) has five.
const DEEPEST: usize = 8;
/// Most elements; sixteen messages with fifty properties each have some 3 300.
const MOST: usize = 4096;

/// An element: its name without namespace prefix, its text, its children in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) children: Vec<Element>,
}

impl Element {
    /// The text of the child of that name. One that holds elements, or stands there twice, is refused: the rest of it
    /// would be lost.
    pub(super) fn child(&self, name: &str) -> Result<Option<&str>, Refused> {
        let mut named = self.children.iter().filter(|child| child.name == name);
        let Some(child) = named.next() else {
            return Ok(None);
        };
        let schema = |detail: String| Refused::new(400, "InvalidArgument", detail);
        if named.next().is_some() {
            return Err(schema(format!(
                "{name} stands in {} more than once: give it once",
                self.name
            )));
        }
        match child.children.first() {
            None => Ok(Some(&child.text)),
            Some(inner) => Err(schema(format!(
                "{name} holds the element {:?} and takes text alone: write < as &lt; and & as &amp;, or encode the text \
                 as Base64",
                inner.name
            ))),
        }
    }
}

/// Whether XML 1.0 has no form for this character (XML 1.0, 2.2): a consumer could not be given it back.
pub(super) fn is_forbidden(c: char) -> bool {
    matches!(c, '\u{0}'..='\u{8}' | '\u{B}' | '\u{C}' | '\u{E}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}')
}

fn forbidden(c: char) -> Refused {
    malformed(format!(
        "XML has no form for the character U+{:04X}; leave it out, or encode the text as Base64",
        u32::from(c)
    ))
}

fn malformed(detail: impl std::fmt::Display) -> Refused {
    Refused::new(
        400,
        "MalformedXML",
        format!("the body is not XML as the queue API has it: {detail}"),
    )
}

/// Reads a document; gives its root.
pub(super) fn document(body: &[u8]) -> Result<Element, Refused> {
    let text =
        std::str::from_utf8(body).map_err(|error| malformed(format!("{error}; send UTF-8")))?;
    let text = text.trim_start_matches('\u{FEFF}');
    if let Some(c) = text.chars().find(|&c| is_forbidden(c)) {
        return Err(forbidden(c));
    }
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    let mut root = None;
    let mut count = 0;
    loop {
        match reader.read_event().map_err(malformed)? {
            Event::Start(start) => {
                count += 1;
                if open.len() >= DEEPEST || count > MOST {
                    return Err(malformed(
                        "it nests deeper, or has more elements, than any request needs",
                    ));
                }
                open.push(named(start.local_name().as_ref()));
            }
            Event::Empty(start) => {
                count += 1;
                if count > MOST {
                    return Err(malformed("it has more elements than any request needs"));
                }
                let element = named(start.local_name().as_ref());
                close(element, &mut open, &mut root)?;
            }
            Event::End(_) => {
                // The reader has checked that the names match.
                let element = open
                    .pop()
                    .ok_or_else(|| malformed("an element ends that never began"))?;
                close(element, &mut open, &mut root)?;
            }
            Event::Text(text) => {
                let text = text.xml10_content();
                add(&text, &mut open)?;
            }
            Event::CData(data) => {
                let text = data.xml10_content();
                add(&text, &mut open)?;
            }
            Event::GeneralRef(reference) => {
                if let Some(c) = reference.resolve_char_ref().map_err(malformed)? {
                    if is_forbidden(c) {
                        return Err(forbidden(c));
                    }
                    add(c.encode_utf8(&mut [0; 4]), &mut open)?;
                } else {
                    let name: &str = &reference;
                    let text = quick_xml::escape::resolve_xml_entity(name).ok_or_else(|| {
                        malformed(format!("entity {name:?} is not one of XML's own five"))
                    })?;
                    add(text, &mut open)?;
                }
            }
            Event::DocType(_) => {
                return Err(malformed(
                    "document types are refused: leave the DOCTYPE out",
                ));
            }
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof => break,
        }
    }
    if !open.is_empty() {
        return Err(malformed("it ends before its elements do"));
    }
    root.ok_or_else(|| malformed("it has no element"))
}

fn named(name: &str) -> Element {
    Element {
        name: name.to_owned(),
        ..Element::default()
    }
}

fn close(
    element: Element,
    open: &mut [Element],
    root: &mut Option<Element>,
) -> Result<(), Refused> {
    match open.last_mut() {
        Some(parent) => parent.children.push(element),
        None if root.is_none() => *root = Some(element),
        None => return Err(malformed("it has more than one root")),
    }
    Ok(())
}

fn add(text: &str, open: &mut [Element]) -> Result<(), Refused> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return Err(malformed("there is text outside of its elements")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_exactly() {
        let root =
            document(br#"<?xml version="1.0"?><m:Message xmlns:m="x"><MessageBody>a&lt;b&amp;c&#65;&#x42;<![CDATA[<&>]]></MessageBody><Empty/></m:Message>"#)
                .unwrap();
        assert_eq!(root.name, "Message");
        assert_eq!(root.child("MessageBody").unwrap(), Some("a<b&cAB<&>"));
        assert_eq!(root.child("Empty").unwrap(), Some(""));
        assert_eq!(root.child("Missing").unwrap(), None);
    }

    #[test]
    fn hostile_documents_are_refused() {
        let deep = format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000));
        let wide = format!("<a>{}</a>", "<b/>".repeat(100_000));
        let bomb = r#"<!DOCTYPE l [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><Message><MessageBody>&b;</MessageBody></Message>"#;
        let outside =
            r#"<!DOCTYPE m [<!ENTITY x SYSTEM "file:///etc/passwd">]><Message>&x;</Message>"#;
        for text in [
            &deep,
            &wide,
            bomb,
            outside,
            "<Message>&b;</Message>",
            "",
            "no xml",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "<a/>text",
            "<a>&#0;</a>",
            "<a>&#1;</a>",
            "<a>&#xFFFE;</a>",
            "<a>\u{8}</a>",
            "<a>\u{FFFF}</a>",
            "<a>&#xFFFFFFFF;</a>",
        ] {
            let refused = document(text.as_bytes()).unwrap_err();
            assert_eq!(
                (refused.status, refused.code),
                (400, "MalformedXML"),
                "{}",
                &text[..text.len().min(60)]
            );
        }
        assert!(document(&[b'<', 0xFF, b'>']).is_err());
    }
}
