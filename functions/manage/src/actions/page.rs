//! Paging as SMQ has it: `PageNum` from 1, `PageSize` held to 10-50; `MaxResults` and `NextToken` besides.

use crate::error::Refused;
use crate::params::Params;
use serde_json::{Map, Value, json};

/// Which part of a list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Paging {
    number: usize,
    size: usize,
}

impl Paging {
    /// Reads `PageNum` (default 1) and `PageSize` (default 10; smaller becomes 10, larger 50), or the deprecated
    /// `NextToken` and `MaxResults`, which mean the same here.
    pub(crate) fn read(params: &Params) -> Result<Self, Refused> {
        let number = params.number("PageNum", 1..=100_000)?;
        let size = params.number("PageSize", 0..=u64::from(u32::MAX))?;
        let token = params.parsed("NextToken", |text| {
            text.parse::<u64>()
                .ok()
                .filter(|number| (1..=100_000).contains(number))
                .ok_or("give the NextToken of the page before, unchanged")
        })?;
        let most = params.number("MaxResults", 0..=u64::from(u32::MAX))?;
        let whole = |number: u64| usize::try_from(number).expect("bounded to 32 bits above");
        Ok(Paging {
            number: whole(number.or(token).unwrap_or(1)),
            size: whole(size.or(most).unwrap_or(10)).clamp(10, 50),
        })
    }

    /// Takes the page out of all items, and tells how many there are.
    pub(crate) fn cut<T>(self, items: impl Iterator<Item = T>) -> Cut<T> {
        let from = (self.number - 1) * self.size;
        let mut page = Vec::new();
        let mut total = 0;
        for item in items {
            if total >= from && page.len() < self.size {
                page.push(item);
            }
            total += 1;
        }
        Cut {
            paging: self,
            page,
            total,
        }
    }
}

/// A page, and of how many.
pub(crate) struct Cut<T> {
    paging: Paging,
    page: Vec<T>,
    total: usize,
}

impl<T> Cut<T> {
    /// Makes each item of the page into something else.
    pub(crate) fn map<U>(self, each: impl FnMut(T) -> U) -> Cut<U> {
        Cut {
            paging: self.paging,
            total: self.total,
            page: self.page.into_iter().map(each).collect(),
        }
    }
}

impl Cut<Value> {
    /// As `Data`.
    pub(crate) fn into_data(self) -> Value {
        let Paging { number, size } = self.paging;
        let pages = self.total.div_ceil(size);
        let mut data = Map::new();
        data.insert("PageNum".into(), json!(number));
        data.insert("PageSize".into(), json!(size));
        data.insert("Pages".into(), json!(pages));
        data.insert("Size".into(), json!(self.page.len()));
        data.insert("Total".into(), json!(self.total));
        data.insert("PageData".into(), Value::Array(self.page));
        data.insert("MaxResults".into(), json!(size));
        if number < pages {
            data.insert("NextToken".into(), json!((number + 1).to_string()));
        }
        Value::Object(data)
    }
}
