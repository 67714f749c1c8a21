//! Strict JSON, read in one pass: what anybody could doubt is `None`, and then Python's decoder decides.
//!
//! The text is UTF-8 from the start (`Reader::new`). A string without an escape is borrowed. Each method stands
//! before what it reads, white space included, and ends behind it; after a `None` the reader is of no more use.

mod skip;

use std::borrow::Cow;

/// A string of the input: borrowed where it has no escape.
pub type Text<'a> = Cow<'a, str>;

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// A place in a JSON text.
pub struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// At the beginning of `raw`; `None` if that is not UTF-8.
    pub fn new(raw: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(raw).ok()?;
        Some(Reader { text, bytes: raw, at: 0 })
    }

    /// The same text from byte `at` on, which was a place of this reader.
    pub fn from(&self, at: usize) -> Self {
        Reader { text: self.text, bytes: self.bytes, at }
    }

    /// Where the reader stands, in bytes.
    pub fn place(&self) -> usize {
        self.at
    }

    /// Whether nothing but white space is left.
    pub fn ended(&mut self) -> bool {
        self.peek().is_none()
    }

    /// The next byte that is no white space, not yet read.
    #[inline]
    pub fn peek(&mut self) -> Option<u8> {
        loop {
            match *self.bytes.get(self.at)? {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                other => return Some(other),
            }
        }
    }

    #[inline]
    fn expect(&mut self, wanted: u8) -> Option<()> {
        if self.peek()? != wanted {
            return None;
        }
        self.at += 1;
        Some(())
    }

    /// Begins an object. `Some(true)` if it has a first field, which `key` then reads.
    pub fn open(&mut self) -> Option<bool> {
        self.expect(b'{')?;
        let filled = self.peek()? != b'}';
        self.at += usize::from(!filled);
        Some(filled)
    }

    /// After a field: whether there is another. `close` is the bracket that would end the list of them.
    #[inline]
    fn another(&mut self, close: u8) -> Option<bool> {
        let next = self.peek()?;
        self.at += 1;
        match next {
            b',' => Some(true),
            _ if next == close => Some(false),
            _ => None,
        }
    }

    /// After a field of an object: whether there is another; if not, the object is over.
    #[inline]
    pub fn more(&mut self) -> Option<bool> {
        self.another(b'}')
    }

    /// The name of a field, with its colon. `None` also for one with an escape, which might be a known one in disguise.
    #[inline]
    pub fn key(&mut self) -> Option<&'a [u8]> {
        let name = self.plain()?.as_bytes();
        self.expect(b':')?;
        Some(name)
    }

    /// A string without escapes.
    #[inline]
    pub fn plain(&mut self) -> Option<&'a str> {
        self.expect(b'"')?;
        let start = self.at;
        if self.run()? != b'"' {
            return None;
        }
        self.text.get(start..self.at - 1)
    }

    /// Any string.
    #[inline]
    pub fn string(&mut self) -> Option<Text<'a>> {
        self.expect(b'"')?;
        let start = self.at;
        match self.run()? {
            b'"' => self.text.get(start..self.at - 1).map(Cow::Borrowed),
            _ => self.escaped(start),
        }
    }

    /// `null`, if it stands here.
    #[inline]
    pub fn null(&mut self) -> Option<bool> {
        if self.peek()? != b'n' {
            return Some(false);
        }
        self.word(b"null").map(|()| true)
    }

    /// A whole number from 1 to 2³¹ − 1, as plain digits.
    #[inline]
    pub fn number(&mut self) -> Option<u32> {
        if !matches!(self.peek()?, b'1'..=b'9') {
            return None;
        }
        let mut value = 0_u32;
        while let Some(digit @ b'0'..=b'9') = self.bytes.get(self.at) {
            value = value.checked_mul(10)?.checked_add(u32::from(digit - b'0'))?;
            self.at += 1;
        }
        // A fraction or an exponent fails as something other than a comma or a bracket.
        i32::try_from(value).ok().map(|_| value)
    }

    /// This literal, as the next bytes.
    fn word(&mut self, word: &[u8]) -> Option<()> {
        let found = self.bytes.get(self.at..)?.starts_with(word);
        self.at += word.len();
        found.then_some(())
    }

    /// Inside a string: to behind the next quote or backslash, and which of them it is. `None` at a control character.
    #[inline]
    fn run(&mut self) -> Option<u8> {
        while let Some(chunk) = self.bytes.get(self.at..self.at + 8) {
            let word = u64::from_le_bytes(chunk.try_into().ok()?);
            let (quote, slash) = (word ^ (LOW * b'"' as u64), word ^ (LOW * b'\\' as u64));
            // A byte's high bit stays where the byte is zero, or below 0x20. A borrow can only set one too many
            // above the first that is right, and only the first counts.
            let ends = (quote.wrapping_sub(LOW) & !quote) | (slash.wrapping_sub(LOW) & !slash);
            let found = (ends | (word.wrapping_sub(LOW * 0x20) & !word)) & HIGH;
            if found != 0 {
                self.at += found.trailing_zeros() as usize / 8;
                return self.stop();
            }
            self.at += 8;
        }
        while !matches!(*self.bytes.get(self.at)?, b'"' | b'\\' | 0..=0x1f) {
            self.at += 1;
        }
        self.stop()
    }

    #[inline]
    fn stop(&mut self) -> Option<u8> {
        let last = *self.bytes.get(self.at)?;
        self.at += 1;
        (last >= 0x20).then_some(last)
    }

    /// The string that began at `start`; the reader stands behind its first backslash.
    #[cold]
    fn escaped(&mut self, start: usize) -> Option<Text<'a>> {
        let mut text = self.text.get(start..self.at - 1)?.to_owned();
        loop {
            let unit = self.escape_unit()?;
            text.push(self.character(unit)?);
            let start = self.at;
            let last = self.run()?;
            text.push_str(self.text.get(start..self.at - 1)?);
            if last == b'"' {
                return Some(Cow::Owned(text));
            }
        }
    }

    /// The character that begins with this UTF-16 unit; reads the second half of a pair.
    fn character(&mut self, unit: u32) -> Option<char> {
        if !matches!(unit, 0xd800..=0xdbff) {
            return char::from_u32(unit); // none for a low half alone
        }
        if self.bytes.get(self.at) != Some(&b'\\') {
            return None;
        }
        self.at += 1;
        let low = self.escape_unit()?;
        if !matches!(low, 0xdc00..=0xdfff) {
            return None;
        }
        char::from_u32(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00))
    }

    /// What an escape stands for, as a UTF-16 unit; the reader stands behind its backslash.
    #[inline]
    fn escape_unit(&mut self) -> Option<u32> {
        let letter = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(match letter {
            b'"' | b'\\' | b'/' => u32::from(letter),
            b'n' => 0x0a,
            b't' => 0x09,
            b'r' => 0x0d,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'u' => {
                let mut unit = 0;
                for digit in self.bytes.get(self.at..self.at + 4)? {
                    unit = unit << 4 | (*digit as char).to_digit(16)?;
                }
                self.at += 4;
                unit
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Cow, Reader};

    #[test]
    fn a_string_ends_at_its_first_quote_wherever_it_stands() {
        for before in 0..24 {
            for byte in 0..0x80_u8 {
                let json = [&b"\""[..], &b"x".repeat(before), &[byte], b"yyyyyyyyyyyy\""].concat();
                let wanted = match byte {
                    0..=0x1f | b'\\' => None, // \y is no escape
                    b'"' => Some(before),
                    _ => Some(before + 13),
                };
                let read = Reader::new(&json).and_then(|mut reader| reader.string().map(|text| text.len()));
                assert_eq!(read, wanted, "{} after {}", byte, before);
            }
        }
    }

    #[test]
    fn escapes_are_read_and_halves_of_pairs_are_not() {
        let read = |json: &'static str| Reader::new(json.as_bytes()).and_then(|mut reader| reader.string());
        assert!(matches!(read("\"\u{e9}\""), Some(Cow::Borrowed("\u{e9}"))));
        assert_eq!(
            read(r#""a\"\\\/\b\f\n\r\t\u00e9\ud83d\uDE00z""#).as_deref(),
            Some("a\"\\/\u{8}\u{c}\n\r\t\u{e9}\u{1f600}z")
        );
        for json in [
            r#""\ud83d""#,
            r#""\ude00""#,
            r#""\ude00\ud83d""#,
            r#""\ud83d\ud83d""#,
            r#""\ud83dx""#,
            r#""\u+123""#,
            r#""\""#,
        ] {
            assert_eq!(read(json), None, "{}", json);
        }
    }

    #[test]
    fn numbers_are_plain_digits_from_one_to_the_greatest_of_31_bits() {
        let read = |json: &'static str| {
            let mut reader = Reader::new(json.as_bytes())?;
            reader.number().filter(|_| reader.ended())
        };
        assert_eq!((read(" 1"), read("2147483647")), (Some(1), Some(2_147_483_647)));
        for json in ["0", "01", "-1", "1.0", "1e3", "+1", "2147483648", "4294967297", "99999999999999999999", ""] {
            assert_eq!(read(json), None, "{}", json);
        }
    }
}
