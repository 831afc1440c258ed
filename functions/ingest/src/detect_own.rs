//! Bodies for products of the user's own, and the one form in which any product can be published.

use crate::decoder::{Decoder, SourceKind};
use crate::detect::elements;
use crate::error::DecodeError;
use crate::lenient::Text;
use crate::source::{envelope, own};
use carillon_core::event::Product;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The members by which the form is known.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Form<'a> {
    #[serde(borrow)]
    specversion: Option<&'a RawValue>,
    #[serde(borrow)]
    product: Option<&'a RawValue>,
    #[serde(borrow)]
    events: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    own_type: Option<&'a RawValue>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

impl Decoder<'_> {
    /// A body for a product of the user's own: the form of [`own`], a CloudEvent, or any JSON at all.
    pub(crate) fn own_object(
        &mut self,
        text: &str,
        product: &Product,
        depth: usize,
    ) -> Result<(), DecodeError> {
        let Ok(shape) = serde_json::from_str::<Form<'_>>(text) else {
            self.own_bare(text, product);
            return Ok(());
        };
        let own_form = shape.own_type.is_some() && shape.body.is_some();
        if shape.specversion.is_some() {
            envelope::cloud_event(text, self, depth)
        } else if shape.product.is_some() || shape.events.is_some() || own_form {
            self.own(text, shape.product, shape.events, Some(product), depth)
        } else {
            self.own_bare(text, product);
            Ok(())
        }
    }

    /// The form of own products; the three of the seeds may come in it too, their bodies inside.
    pub(crate) fn own(
        &mut self,
        text: &str,
        product: Option<&RawValue>,
        events: Option<&RawValue>,
        asked: Option<&Product>,
        depth: usize,
    ) -> Result<(), DecodeError> {
        let named = match product {
            Some(product) => {
                let name: Text<'_> = serde_json::from_str(product.get()).map_err(|_| {
                    DecodeError::value(own::KIND, "product", product.get(), "a name")
                })?;
                Some(own::product(name.as_str())?)
            }
            None => asked.cloned(),
        };
        let Some(product) = named else {
            return Err(DecodeError::missing(
                own::KIND,
                "product",
                "the product's name",
            ));
        };
        match (&product, events) {
            (Product::Oss, Some(events)) => self.oss_events(events),
            (Product::Own(_), Some(events)) => {
                for (index, raw) in elements(own::KIND, events)?.into_iter().enumerate() {
                    let verdict =
                        own::decode(raw.get(), &format!("events[{index}]"), &product, self);
                    self.take(SourceKind::Own, verdict, || {
                        format!("{{\"product\":\"{product}\",\"events\":[{raw}]}}")
                    });
                }
                Ok(())
            }
            (Product::Own(_), None) => {
                let verdict = own::decode(text, "", &product, self);
                self.take(SourceKind::Own, verdict, || text.to_owned());
                Ok(())
            }
            // A product of the seeds: its own body stands in `body`.
            _ => self.inner_body(text, &product, depth),
        }
    }

    /// `{"product": "viapi", "type": "SuperResolveVideo", "body": {...}}`.
    fn inner_body(
        &mut self,
        text: &str,
        product: &Product,
        depth: usize,
    ) -> Result<(), DecodeError> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Inner<'a> {
            #[serde(borrow, rename = "type", alias = "eventType")]
            event_type: Text<'a>,
            #[serde(borrow)]
            body: Option<&'a RawValue>,
        }
        let inner: Inner<'_> = serde_json::from_str(text)
            .map_err(|error| DecodeError::json::<Inner<'_>>(own::KIND, "", text, &error))?;
        let Some(body) = inner.body else {
            return Err(DecodeError::missing(
                own::KIND,
                "body",
                &format!("the body of product `{product}`"),
            ));
        };
        let attributes = inner
            .event_type
            .known()
            .map(|name| ("x-carillon-event-type", name.to_owned()));
        let before = std::mem::replace(
            &mut self.context.attributes,
            attributes.into_iter().collect(),
        );
        let from = self.out.events.len();
        let result = if body.get().starts_with('"') {
            serde_json::from_str::<String>(body.get())
                .map_err(|error| DecodeError::syntax(body.get(), &error))
                .and_then(|body| self.text(&body, depth + 1))
        } else {
            self.text(body.get(), depth + 1)
        };
        self.context.attributes = before;
        result?;
        match self.out.events[from..]
            .iter()
            .find(|event| event.product != *product)
        {
            Some(event) => Err(DecodeError::value(
                own::KIND,
                "product",
                product.as_str(),
                &format!("`{}`, which the body is of", event.product),
            )),
            None => Ok(()),
        }
    }

    /// The body itself, exactly: its headers say what it is.
    pub(crate) fn own_bare(&mut self, text: &str, product: &Product) {
        let verdict = own::bare(text, product, self);
        self.take(SourceKind::Own, verdict, || text.to_owned());
    }
}
