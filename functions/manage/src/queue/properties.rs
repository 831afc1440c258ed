//! `UserProperties` of a message: what its sender put beside the body (HELP: Message properties; aliyun-mns-sdk 1.3.0 for
//! the elements' names).
//!
//! ```xml
//! <UserProperties>
//!   <PropertyValue><Name>city</Name><Type>STRING</Type><Value>hangzhou</Value></PropertyValue>
//! </UserProperties>
//! ```

use super::read::Element;
use super::write::Xml;
use crate::error::Refused;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carillon_core::ports::{PropertyType, UserProperty};

fn refused(detail: impl std::fmt::Display) -> Refused {
    Refused::new(400, "InvalidArgument", format!("UserProperties: {detail}"))
}

/// The properties of a `Message` element; none when it says nothing of them.
pub(super) fn read(message: &Element) -> Result<Vec<UserProperty>, Refused> {
    let mut properties = Vec::new();
    let given = message.children.iter();
    for held in given.filter(|child| child.name == "UserProperties") {
        if !held.text.trim().is_empty() {
            return Err(refused("there is text in it: send PropertyValue elements"));
        }
        for element in &held.children {
            if element.name != "PropertyValue" {
                return Err(refused(format!(
                    "{:?} is not known in it: send PropertyValue elements",
                    element.name
                )));
            }
            properties.push(property(element)?);
        }
    }
    UserProperty::check_all(&properties).map_err(refused)?;
    Ok(properties)
}

fn property(element: &Element) -> Result<UserProperty, Refused> {
    let member = |name: &str| {
        element
            .child(name)?
            .ok_or_else(|| refused(format!("a PropertyValue without {name}")))
    };
    let (name, kind, value) = (member("Name")?, member("Type")?, member("Value")?);
    let kind = PropertyType::parse(kind).ok_or_else(|| {
        refused(format!(
            "property {name}: Type {kind:?}: send STRING, NUMBER, BOOLEAN or BINARY"
        ))
    })?;
    if kind == PropertyType::Binary && STANDARD.decode(value).is_err() {
        // Its consumer could not read the message at all.
        return Err(refused(format!(
            "property {name}: its value is not Base64, as a BINARY's must be"
        )));
    }
    UserProperty::new(name.to_owned(), kind, value.to_owned()).map_err(refused)
}

/// Writes them, if there are any.
pub(super) fn write(xml: &mut Xml, properties: &[UserProperty]) {
    if properties.is_empty() {
        return;
    }
    xml.element("UserProperties", |xml| {
        for property in properties {
            xml.element("PropertyValue", |xml| {
                xml.text("Name", property.name());
                xml.text("Value", property.value());
                xml.value("Type", property.kind());
            });
        }
    });
}
