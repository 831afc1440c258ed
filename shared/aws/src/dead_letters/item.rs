//! A dead letter as items of the table, and the names of both.

use crate::store::Item;
use aws_sdk_dynamodb::types::AttributeValue;
use carillon_core::delivery::DeadLetter;
use carillon_core::event::{IdentityHasher, Timestamp};

/// Partitions: one takes about fifteen letters of 64 KiB a second (DynamoDB: 1 000 write units a second).
pub(super) const SHARDS: &str = "0123456789abcdef";
/// Most bytes of a letter in one item: DynamoDB takes items of 400 KB. A record of a megabyte, which SQS takes, is kept in
/// pieces: were it refused here, the letters beside it would be too.
const MAX_BYTES: usize = 380 * 1024;

/// The item that tells of a letter, and its pieces where it is larger than an item.
pub(super) fn items(letter: &DeadLetter, expires: Timestamp) -> (Item, Vec<Item>) {
    let doc = serde_json::to_string(letter).expect("a dead letter has only string keys");
    let id = id_of(letter, &doc);
    let expires = expires.as_millis() / 1000;
    let item = |pk: String, sk: String| {
        Item::from([
            ("pk".to_owned(), AttributeValue::S(pk)),
            ("sk".to_owned(), AttributeValue::S(sk)),
            ("expires".to_owned(), AttributeValue::N(expires.to_string())),
        ])
    };
    let mut head = item(partition(shard_of(&id)), id.clone());
    if doc.len() <= MAX_BYTES {
        head.insert("doc".to_owned(), AttributeValue::S(doc));
        return (head, Vec::new());
    }
    let cut: Vec<Item> = pieces(&doc, MAX_BYTES)
        .enumerate()
        .map(|(index, piece)| {
            let mut held = item(pieces_of(&id), piece_key(index));
            held.insert("doc".to_owned(), AttributeValue::S(piece.to_owned()));
            held
        })
        .collect();
    let count = AttributeValue::N(cut.len().to_string());
    head.insert("pieces".to_owned(), count);
    (head, cut)
}

/// Of how many pieces a letter consists; 0 when it stands in the item itself.
pub(super) fn piece_count(item: &Item) -> usize {
    let count = item.get("pieces").and_then(|count| count.as_n().ok());
    count.and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// The name of a piece in its partition.
pub(super) fn piece_key(index: usize) -> String {
    format!("{index:04}")
}

/// What names an item in the table.
pub(super) fn key(item: &Item) -> (&str, &str) {
    (text(item, "pk"), text(item, "sk"))
}

pub(super) fn text<'a>(item: &'a Item, name: &str) -> &'a str {
    item.get(name)
        .and_then(|value| value.as_s().ok())
        .map_or("", String::as_str)
}

/// Time first, so that ids sort by it; then what tells letters of one millisecond apart. The same letter kept twice has
/// the same id.
fn id_of(letter: &DeadLetter, doc: &str) -> String {
    let hash = IdentityHasher::new("dead letter").part(doc).finish();
    let hash = hash.message_id("").to_string().to_ascii_lowercase();
    format!("{}-{}", time_of(letter.at.as_millis()), &hash[..16])
}

pub(super) fn time_of(millis: i64) -> String {
    format!("{:014}", millis.clamp(0, 99_999_999_999_999))
}

/// Whether this has the form of an id: a time, a hyphen, and a part of a hash.
pub(super) fn is_id(id: &str) -> bool {
    id.split_once('-').is_some_and(|(time, hash)| {
        time.len() == 14
            && time.bytes().all(|byte| byte.is_ascii_digit())
            && hash.len() == 16
            && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// The shard is the id's last digit, a digit of the hash.
pub(super) fn shard_of(id: &str) -> char {
    id.chars().next_back().unwrap_or('0')
}

pub(super) fn partition(shard: char) -> String {
    format!("dead#{shard}")
}

/// The partition of a letter's pieces.
pub(super) fn pieces_of(id: &str) -> String {
    format!("dead#{id}")
}

/// A text in pieces of at most `most` bytes, cut between characters.
fn pieces(mut text: &str, most: usize) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let (piece, rest) = text.split_at(text.floor_char_boundary(most));
        text = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use carillon_core::delivery::DeadLetterContent;

    fn record(at: i64, body: &str) -> DeadLetter {
        DeadLetter {
            at: Timestamp::from_millis(at),
            reason: "why".to_owned(),
            content: DeadLetterContent::Record {
                stage: "match".to_owned(),
                body: body.to_owned(),
            },
        }
    }

    fn id(at: i64, body: &str) -> String {
        let letter = record(at, body);
        id_of(&letter, &serde_json::to_string(&letter).unwrap())
    }

    #[test]
    fn ids_sort_by_time_are_equal_for_equal_letters_and_name_their_shard() {
        assert!(id(999, "z") < id(1_000, "a"));
        assert!(id(9_999_999_999_999, "z") < id(10_000_000_000_000, "a"));
        assert_eq!(id(5, "a"), id(5, "a"));
        assert_ne!(id(5, "a"), id(5, "b"));
        let one = id(5, "a");
        assert!(one.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'));
        assert!(SHARDS.contains(shard_of(&one)));
        assert!(is_id(&one) && is_id(&id(99_999_999_999_999, "b")));
        for other in ["", "-", &one[1..], &one[..30], &format!("{one}0")] {
            assert!(!is_id(other), "{other:?}");
        }
    }

    #[test]
    fn pieces_are_cut_between_characters_and_make_the_whole() {
        for (whole, most) in [("", 4), ("abcd", 4), ("abcde", 4), ("日本語日本語", 4)] {
            let cut: Vec<&str> = pieces(whole, most).collect();
            assert_eq!(cut.concat(), whole);
            assert!(
                cut.iter()
                    .all(|piece| !piece.is_empty() && piece.len() <= most)
            );
        }
    }
}
