"""One tree of errors, each with the exit code the command line ends with."""

import pytest

from dockless.model import errors
from dockless.model.errors import DocklessError, NetworkFault, NotFound, RateLimited

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]

EXIT_CODES = {
    "DocklessError": 1,
    "InvalidReference": 2,
    "InvalidDocument": 1,
    "NotFound": 3,
    "Unauthorized": 4,
    "Denied": 4,
    "VerificationFailed": 5,
    "SizeMismatch": 5,
    "ChecksumMismatch": 5,
    "RemoteFault": 6,
    "RateLimited": 6,
    "NetworkFault": 6,
    "LocalFault": 1,
    "Unsupported": 1,
    "Conflict": 1,
    "CopyFault": 1,
    "Cancelled": 130,
}


def test_every_error_hangs_on_the_one_root() -> None:
    assert {kind.__name__ for kind in KINDS if issubclass(kind, DocklessError)} == set(EXIT_CODES)
    assert len(KINDS) == len(EXIT_CODES)


@pytest.mark.parametrize(("name", "code"), EXIT_CODES.items())
def test_each_kind_has_its_exit_code(name: str, code: int) -> None:
    assert getattr(errors, name).exit_code == code


@pytest.mark.parametrize(
    ("kind", "parent"),
    [
        (errors.SizeMismatch, errors.VerificationFailed),
        (errors.ChecksumMismatch, errors.VerificationFailed),
        (errors.RateLimited, errors.RemoteFault),
    ],
)
def test_a_special_case_is_caught_with_its_kind(kind: type[DocklessError], parent: type[DocklessError]) -> None:
    assert issubclass(kind, parent)


def test_an_error_tells_nothing_it_was_not_told() -> None:
    error = DocklessError("it broke")

    assert str(error) == "it broke"
    assert (error.hint, error.status, error.causes) == ("", None, ())


def test_an_error_carries_hint_status_and_causes() -> None:
    cause = NetworkFault("refused")
    error = NotFound("nowhere", hint="look elsewhere", status=404, causes=(("http://a", cause),))

    assert (str(error), error.hint, error.status, error.causes) == (
        "nowhere",
        "look elsewhere",
        404,
        (("http://a", cause),),
    )


def test_a_rate_limit_is_a_429_with_the_pause_asked_for() -> None:
    error = RateLimited("slow down", hint="wait", status=429, retry_after=1.5)

    assert (str(error), error.hint, error.status, error.retry_after) == ("slow down", "wait", 429, 1.5)


def test_a_rate_limit_need_not_name_a_pause() -> None:
    assert RateLimited("slow down").retry_after is None


def test_a_copy_s_fault_is_that_of_its_side() -> None:
    fault = errors.CopyFault(NotFound("no such tag", hint="look elsewhere", status=404), "source", None)

    assert (str(fault), fault.side, fault.descriptor) == ("source: no such tag", "source", None)
    assert (fault.hint, fault.status, fault.exit_code) == ("look elsewhere", 404, 3)
