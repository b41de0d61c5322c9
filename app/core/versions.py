"""Which versions of a thing a caller is willing to change."""

Expected = int | frozenset[int] | None
"""One version, one of several, or any."""


def is_expected(version: int, expected: Expected) -> bool:
    """Whether a thing at this version is one that the caller meant."""
    if expected is None:
        return True
    return version in expected if isinstance(expected, frozenset) else version == expected
