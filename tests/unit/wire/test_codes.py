"""Error codes: one table, whose classes say what follows."""

from __future__ import annotations

from typing import get_args

import pytest

from sendledger.wire.codes import ACCOUNT, BUG, CAMPAIGN, ERROR_CODES, MESSAGE, THROTTLE, UNKNOWN, ErrorClass, classify
from sendledger_schemas.responses import ErrorClass as ErrorClassName

PROVIDER_TABLE = {
    MESSAGE: "E110 E201 E628 E712 E715",
    CAMPAIGN: "E111 E714",
    ACCOUNT: "E102 E103 E104 E105 E107 E109 E713",
    THROTTLE: "E106 E120",
    BUG: "E100 E101 E108",
}
ALL = (*PROVIDER_TABLE, UNKNOWN)


def test_the_table_is_the_providers() -> None:
    """Every code of PROVIDER.md is in the table under its class, and no other."""
    expected = {code: error_class for error_class, codes in PROVIDER_TABLE.items() for code in codes.split()}
    assert {code: row.error_class for code, row in ERROR_CODES.items()} == expected
    assert all(row.code == code and row.meaning for code, row in ERROR_CODES.items())


@pytest.mark.parametrize("code", ["E999", "", "713", "N201", "nonsense"])
def test_any_other_code_is_unknown(code: str) -> None:
    """A code that the provider never announced is data with the class `unknown`."""
    assert classify(code) is UNKNOWN


def test_blanks_and_case_do_not_hide_a_code() -> None:
    """A code is recognised with blanks around it and in lower case."""
    assert classify(" e106\n") is THROTTLE


def attributes(error_class: ErrorClass) -> tuple[bool, bool, bool, bool]:
    """What follows, as four flags."""
    return error_class.retry, error_class.pauses_campaign, error_class.stops_account, error_class.alerts


def test_each_class_has_its_one_consequence() -> None:
    """Only a throttle is tried again; only its own class pauses a campaign, stops the account or alerts."""
    assert attributes(THROTTLE) == (True, False, False, False)
    assert attributes(CAMPAIGN) == (False, True, False, False)
    assert attributes(ACCOUNT) == (False, False, True, False)
    assert attributes(BUG) == (False, False, False, True)
    assert attributes(MESSAGE) == attributes(UNKNOWN) == (False, False, False, False)


def test_the_classes_are_those_of_the_log() -> None:
    """The names of the classes are exactly those that SendRejected may carry, each with a sentence for people."""
    assert {error_class.name for error_class in ALL} == set(get_args(ErrorClassName))
    assert all(error_class.follows for error_class in ALL)
