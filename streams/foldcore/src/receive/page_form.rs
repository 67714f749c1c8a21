//! The page's two notifications, to the letter, in printable ASCII that needs no escape: well-formed by their shape alone.

/// The values, without the blanks around them; empty where there is none.
pub struct Page<'a> {
    pub id: &'a [u8],
    pub created: &'a [u8],
    pub origin: &'a [u8],
    pub code: &'a [u8],
    pub history: &'a [u8],
    pub to: &'a [u8],
    pub tracking: &'a [u8],
    pub protocol: &'a [u8],
    pub status: &'a [u8],
    pub timestamp: &'a [u8],
}

/// The values of a body, if it has this form and none of them needs an escape; None for any other bytes.
pub fn read(body: &[u8]) -> Option<Page<'_>> {
    let mut at = Cursor(body);
    at.blanks();
    at.word(b"<NOTIFICATION")?;
    let id = at.attribute(&[b"ID=\"", b"id=\""])?;
    let created = at.attribute(&[b"CREATED=\"", b"created=\""])?;
    at.tag(b">")?;
    let origin = at.leaf(b"<ORIGIN>", b"</ORIGIN>")?;
    let code = at.leaf(b"<CODE>", b"</CODE>")?;
    at.tag(b"<BODY>")?;
    let history = at.leaf(b"<HISTORYID>", b"</HISTORYID>")?;
    let to = at.leaf(b"<TO>", b"</TO>")?;
    let tracking = at.leaf(b"<TRACKINGID>", b"</TRACKINGID>")?;
    let (mut protocol, mut status) = (&b""[..], &b""[..]);
    if at.word(b"<STATUS").is_some() {
        protocol = at.attribute(&[b"PROTOCOL=\""])?;
        status = at.attribute(&[b"STATUS=\""])?;
        at.tag(b"/>")?;
    }
    let timestamp = at.leaf(b"<TIMESTAMP>", b"</TIMESTAMP>")?;
    at.tag(b"</BODY>")?;
    at.tag(b"</NOTIFICATION>")?;
    at.0.is_empty().then_some(Page { id, created, origin, code, history, to, tracking, protocol, status, timestamp })
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(word)?;
        Some(())
    }

    /// How many blanks of XML there were.
    fn blanks(&mut self) -> usize {
        let count = self.0.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count();
        self.0 = &self.0[count..];
        count
    }

    /// Blanks, a word, blanks.
    fn tag(&mut self, word: &[u8]) -> Option<()> {
        self.blanks();
        self.word(word)?;
        self.blanks();
        Some(())
    }

    fn leaf(&mut self, opening: &[u8], closing: &[u8]) -> Option<&'a [u8]> {
        self.word(opening)?;
        let value = self.value();
        self.word(closing)?;
        self.blanks();
        Some(value)
    }

    /// At least one blank, one of these openings, the value, a quote.
    fn attribute(&mut self, openings: &[&[u8]]) -> Option<&'a [u8]> {
        if self.blanks() == 0 {
            return None;
        }
        openings.iter().find_map(|opening| self.word(opening))?;
        let value = self.value();
        self.word(b"\"")?;
        Some(value)
    }

    /// All that follows of printable ASCII that needs no escape, neither in XML nor in JSON; trimmed.
    fn value(&mut self) -> &'a [u8] {
        let all = self.0;
        let is_value = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'&' | b'<' | b'>' | b'\\');
        let length = all.iter().take_while(|byte| is_value(byte)).count();
        self.0 = &all[length..];
        let mut value = &all[..length];
        while let Some((b' ', rest)) = value.split_first() {
            value = rest;
        }
        while let Some((b' ', rest)) = value.split_last() {
            value = rest;
        }
        value
    }
}
