"""From what people write to the digits that go to the provider, are hashed, and compared with every TO (DESIGN §8)."""

from __future__ import annotations

import re
from dataclasses import dataclass

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat, ValidationResult

NOT_A_NUMBER = "not a phone number"
NATIONAL = "national number, but no default region is set"
COUNTRY = "unknown country code"
TOO_SHORT = "too short"
TOO_LONG = "too long"
IMPOSSIBLE = "impossible length"

_LONGEST = 40  # characters with all separators; no number needs more
_WRITTEN = re.compile(r"(?P<prefix>\+|00)?(?P<rest>[0-9 ().\-/\u00a0\u2010\u2011]+)", re.ASCII)
# A spreadsheet that took the column for numbers writes 15551234888.0: its last 0 is no digit of the number.
_DECIMAL = re.compile(r"[0-9]\.0*$")
_REASONS = {
    ValidationResult.INVALID_COUNTRY_CODE: COUNTRY,
    ValidationResult.TOO_SHORT: TOO_SHORT,
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: TOO_SHORT,
    ValidationResult.TOO_LONG: TOO_LONG,
}


@dataclass(frozen=True)
class Refusal:
    """Why a number is refused; the reason never quotes the number (P7)."""

    reason: str


def canonical(raw: str, region: str | None = None) -> str | Refusal:
    """International digits without `+` or `00`.

    Digits alone are international, never national. `region` (ISO 3166, two letters) serves only numbers in national
    form with one leading 0. A number has to be possible, not valid: the provider's own 15551234888 must go.
    """
    match = _WRITTEN.fullmatch(raw.strip()) if len(raw) <= _LONGEST else None
    if match is None or not any(c.isdigit() for c in match["rest"]) or _DECIMAL.search(raw.strip()):
        return Refusal(NOT_A_NUMBER)
    national = match["prefix"] is None and match["rest"].lstrip(" (").startswith("0")
    if national and not region:
        return Refusal(NATIONAL)
    # +44 (0)20 …: the 0 in brackets is for callers inside the country
    written = raw.strip() if national else "+" + match["rest"].replace("(0)", "")
    return _possible(written, region if national else None)


def _possible(written: str, region: str | None) -> str | Refusal:
    try:
        number = phonenumbers.parse(written, region)
    except NumberParseException as error:
        return Refusal(_unparsed(error))
    digits = str(phonenumbers.format_number(number, PhoneNumberFormat.E164))[1:]
    if region is None and (as_written := "".join(filter(str.isdigit, written))) != digits:
        # The library dropped a trunk prefix. Where the number is possible with it, nobody may change what was written.
        literal = _literal(as_written, len(str(number.country_code)))
        if phonenumbers.is_possible_number_with_reason(literal) == ValidationResult.IS_POSSIBLE:
            return as_written
    result = phonenumbers.is_possible_number_with_reason(number)
    return digits if result == ValidationResult.IS_POSSIBLE else Refusal(_REASONS.get(result, IMPOSSIBLE))


def _literal(digits: str, country_digits: int) -> PhoneNumber:
    national = digits[country_digits:]
    return PhoneNumber(
        country_code=int(digits[:country_digits]),
        national_number=int(national),
        italian_leading_zero=national.startswith("0"),
        number_of_leading_zeros=len(national) - len(national.lstrip("0")),
    )


def _unparsed(error: NumberParseException) -> str:
    if error.error_type == NumberParseException.INVALID_COUNTRY_CODE:
        return COUNTRY
    if error.error_type == NumberParseException.TOO_LONG:
        return TOO_LONG
    return TOO_SHORT if error.error_type == NumberParseException.TOO_SHORT_NSN else NOT_A_NUMBER
