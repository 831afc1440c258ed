//! Paging as SMQ has it: `PageNum` from 1, `PageSize` held to 10-50; or `NextToken` and `MaxResults`.
//!
//! Page numbers count from the beginning of a list that may change between two pages. A token holds its place: the next
//! page begins after the last name of this one, so what is there all along is shown exactly once.

use crate::error::Refused;
use crate::params::Params;
use serde_json::{Map, Value, json};

/// Which part of a list is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Paging {
    number: usize,
    size: usize,
    /// The last name of the page before; takes the place of `number`.
    after: Option<String>,
}

impl Paging {
    /// Reads `PageNum` (default 1) and `PageSize` (default 10; smaller becomes 10, larger 50), or `NextToken` and
    /// `MaxResults` (held to the same bounds).
    pub(crate) fn read(params: &Params) -> Result<Self, Refused> {
        let number = params.number32("PageNum", 1..=100_000)?;
        let size = params.number32("PageSize", 0..=u32::MAX)?;
        let most = params.number32("MaxResults", 0..=u32::MAX)?;
        Ok(Paging {
            number: number.unwrap_or(1) as usize,
            size: size.or(most).unwrap_or(10).clamp(10, 50) as usize,
            // Who asks for a page by number means that page.
            after: params
                .text("NextToken")
                .filter(|_| number.is_none())
                .map(str::to_owned),
        })
    }

    /// Takes the page out of all items, which come in ascending order of name, and tells how many there are.
    pub(crate) fn cut<T>(
        self,
        items: impl Iterator<Item = T>,
        name: impl Fn(&T) -> &str,
    ) -> Cut<T> {
        let mut page = Vec::new();
        let (mut total, mut passed, mut more) = (0, 0, false);
        for item in items {
            let before = match &self.after {
                Some(after) => name(&item) <= after.as_str(),
                None => passed < (self.number - 1) * self.size,
            };
            total += 1;
            if before {
                passed += 1;
            } else if page.len() < self.size {
                page.push(item);
            } else {
                more = true;
            }
        }
        let next = page
            .last()
            .filter(|_| more)
            .map(|last| name(last).to_owned());
        let number = if self.after.is_some() {
            passed / self.size + 1
        } else {
            self.number
        };
        Cut {
            number,
            size: self.size,
            page,
            total,
            next,
        }
    }
}

/// A page, and of how many.
pub(crate) struct Cut<T> {
    number: usize,
    size: usize,
    page: Vec<T>,
    total: usize,
    next: Option<String>,
}

impl<T> Cut<T> {
    /// As `Data`, each item shown by `show`.
    pub(crate) fn into_data(self, show: impl Fn(T) -> Value) -> Value {
        let mut data = Map::new();
        data.insert("PageNum".into(), json!(self.number));
        data.insert("PageSize".into(), json!(self.size));
        data.insert("Pages".into(), json!(self.total.div_ceil(self.size)));
        data.insert("Size".into(), json!(self.page.len()));
        data.insert("Total".into(), json!(self.total));
        data.insert("PageData".into(), self.page.into_iter().map(show).collect());
        data.insert("MaxResults".into(), json!(self.size));
        if let Some(next) = self.next {
            data.insert("NextToken".into(), json!(next));
        }
        Value::Object(data)
    }
}
