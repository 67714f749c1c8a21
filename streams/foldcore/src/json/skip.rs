//! Values that nobody wants: strictly checked, so that what stands behind them is what it seems, and not kept.

use super::Reader;

/// Lists and objects may be nested this deep; Python's own bound is deeper.
const DEEPEST: u32 = 32;

impl Reader<'_> {
    /// Any value, which is not wanted.
    #[inline]
    pub fn skip(&mut self) -> Option<()> {
        self.skip_at(DEEPEST)
    }

    fn skip_at(&mut self, deeper: u32) -> Option<()> {
        match self.peek()? {
            b'"' => self.skip_string(),
            b'{' => self.skip_object(deeper.checked_sub(1)?),
            b'[' => self.skip_list(deeper.checked_sub(1)?),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.skip_number(),
        }
    }

    fn skip_object(&mut self, deeper: u32) -> Option<()> {
        let mut more = self.open()?;
        while more {
            self.peek()?;
            self.skip_string()?;
            self.expect(b':')?;
            self.skip_at(deeper)?;
            more = self.more()?;
        }
        Some(())
    }

    fn skip_list(&mut self, deeper: u32) -> Option<()> {
        self.expect(b'[')?;
        if self.peek()? == b']' {
            self.at += 1;
            return Some(());
        }
        self.skip_at(deeper)?;
        while self.another(b']')? {
            self.skip_at(deeper)?;
        }
        Some(())
    }

    #[inline]
    fn skip_string(&mut self) -> Option<()> {
        self.expect(b'"')?;
        while self.run()? != b'"' {
            let unit = self.escape_unit()?;
            self.character(unit)?; // no half of a pair
        }
        Some(())
    }

    fn skip_number(&mut self) -> Option<()> {
        self.at += usize::from(self.bytes.get(self.at) == Some(&b'-'));
        if self.bytes.get(self.at) == Some(&b'0') {
            self.at += 1; // what follows is no digit, or it fails as no comma and no bracket
        } else {
            self.digits()?;
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            self.at += usize::from(matches!(self.bytes.get(self.at), Some(b'+' | b'-')));
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.bytes.get(self.at) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::Reader;

    #[test]
    fn what_is_skipped_is_checked() {
        let read = |json: &str| {
            let mut reader = Reader::new(json.as_bytes())?;
            reader.skip()?;
            reader.ended().then_some(())
        };
        for json in [
            "-0",
            "0.5e-3",
            "1E+2",
            "[ ]",
            "{ }",
            r#"{"a":[1,{"b":null}],"a":"\u00e9"}"#,
            "true",
            "false",
            r#""\ud83d\ude00""#,
        ] {
            assert_eq!(read(json), Some(()), "{}", json);
        }
        for json in [
            "",
            "-",
            "01",
            "1.",
            ".5",
            "1e",
            "tru",
            "nullx",
            "[1,]",
            "[,]",
            "[1 2]",
            r#"{"a":1,}"#,
            r#"{"a" 1}"#,
            "{1:2}",
            r#""\ude00\ud83d""#,
            r#""\q""#,
            "[",
            "NaN",
        ] {
            assert_eq!(read(json), None, "{}", json);
        }
        assert_eq!(read(&("[".repeat(32) + &"]".repeat(32))), Some(()));
        assert_eq!(read(&("[".repeat(33) + &"]".repeat(33))), None);
    }
}
