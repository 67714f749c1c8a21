"""Text that a spreadsheet shows and never calculates (OWASP: CSV injection).

A cell that begins with one of `= + - @`, a tab or a carriage return is a formula to a spreadsheet; so is what stands
behind a separator or a quote, where the reader takes another character than ours for the separator (half of Europe: a
semicolon). An apostrophe before it makes it text. Only for columns of text: the number -5 is a number.
"""

from __future__ import annotations

import re

from sendledger.domain.column_types import literal

# Full-width forms count, too: some spreadsheets fold them. Without look-ahead, so that DuckDB's RE2 reads the same.
_FORMULA = "(^|[;,|\t\r\n\"'])([ \u00a0]*)([=+@\uff0b\uff1d\uff20\uff0d-])"
_PLAIN = r"\1\2'\3"
_BLANK = "^([\t\r])"
_TEXT = r"'\1"

_formula = re.compile(_FORMULA)
_blank = re.compile(_BLANK)


def safe_text(text: str) -> str:
    """The text as it may stand in a cell."""
    return _blank.sub(_TEXT, _formula.sub(_PLAIN, text))


def safe_sql(expression: str) -> str:
    """The same as an expression of DuckDB's."""
    formula = f"regexp_replace({expression}, {literal(_FORMULA)}, {literal(_PLAIN)}, 'g')"
    return f"regexp_replace({formula}, {literal(_BLANK)}, {literal(_TEXT)})"
