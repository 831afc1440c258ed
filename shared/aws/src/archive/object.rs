//! What an object holds: packs, one a line, as gzip.

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};

/// Most bytes that are read out of one object: several times what is ever written into one.
const MOST: u64 = 64 << 20;

/// How many of the bodies, from the first on, fit one object of `largest` bytes; at least one.
pub(super) fn fitting(sizes: impl Iterator<Item = usize>, largest: usize) -> usize {
    let mut total = 0;
    let fit = sizes.take_while(|size| {
        total += size + 1;
        total <= largest
    });
    fit.count().max(1)
}

/// Packs as an object. A pack is compact JSON and holds no line break.
pub(super) fn write<'a>(packs: impl Iterator<Item = &'a str>) -> std::io::Result<Vec<u8>> {
    // Fast: packs repeat themselves so much that more effort gains little.
    let mut object = GzEncoder::new(Vec::new(), Compression::fast());
    for pack in packs {
        if pack.contains('\n') {
            // Not written by our packer (a message redriven by hand may be laid out): a blank means the same to JSON.
            object.write_all(pack.replace(['\n', '\r'], " ").as_bytes())?;
        } else {
            object.write_all(pack.as_bytes())?;
        }
        object.write_all(b"\n")?;
    }
    object.finish()
}

/// The packs of an object.
pub(super) fn read(object: &[u8]) -> std::io::Result<Vec<String>> {
    let text = MultiGzDecoder::new(object).take(MOST);
    BufReader::new(text)
        .lines()
        .filter(|line| !line.as_ref().is_ok_and(String::is_empty))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packs_come_out_as_they_went_in() {
        let packs = [r#"{"v":1,"items":[]}"#, r#"{"v":1,"items":["é\n"]}"#];
        let object = write(packs.into_iter()).unwrap();
        assert_eq!(read(&object).unwrap(), packs);
        assert_eq!(read(&write(std::iter::empty()).unwrap()).unwrap(), [""; 0]);
        let laid_out = write(["{\n\"v\": 1\n}"].into_iter()).unwrap();
        assert_eq!(read(&laid_out).unwrap(), ["{ \"v\": 1 }"]);
        assert!(read(&object[..object.len() / 2]).is_err());
        assert!(read(b"no gzip").is_err());
    }

    #[test]
    fn objects_are_bounded_and_each_takes_at_least_one() {
        assert_eq!(fitting([4, 4, 4].into_iter(), 10), 2);
        assert_eq!(fitting([40, 4].into_iter(), 10), 1);
        assert_eq!(fitting([4].into_iter(), 100), 1);
    }
}
