"""The CBOR codec: against botocore's, against the examples of RFC 8949, and against what is no document."""

from __future__ import annotations

import math
import struct
from contextlib import suppress
from typing import Any

import pytest
from botocore import parsers
from hypothesis import given
from hypothesis import strategies as st

from hostmaker.domain.errors import SerializationException, ValidationException
from hostmaker.wire.cbor import MAX_DEPTH, MAX_ITEMS, Cbor, CborError, Moment, decode, encode
from hostmaker.wire.rpc_cbor import read_body, write_body, write_error
from hostmaker.wire.service_model import load_service

SIMPLE = (
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=30)
    | st.binary(max_size=30)
    | st.builds(Moment, st.integers(-(2**40), 2**40) | st.floats(-1e12, 1e12))
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SIMPLE, lambda inner: st.lists(inner, max_size=30) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
)


@given(VALUES)
def test_what_is_written_is_read(value: Cbor) -> None:
    assert decode(encode(value)) == value


def as_botocore(value: Any) -> Any:
    """Give what botocore's parser makes of a value: times as they are made, members that are null left out."""
    match value:
        case Moment(seconds):
            return ("time", seconds)
        case list():
            return [as_botocore(each) for each in value]
        case dict():
            return {key: as_botocore(each) for key, each in value.items() if each is not None}
    return value


@given(VALUES)
def test_what_is_written_is_read_by_botocore(value: Any) -> None:
    parser = parsers.RpcV2CBORParser(timestamp_parser=lambda seconds: ("time", seconds))
    found = parser.parse_data_item(parser.get_peekable_stream_from_bytes(encode(value)))
    assert found == as_botocore(value)


@pytest.mark.parametrize(
    ("given_hex", "value"),
    [
        ("00", 0),
        ("17", 23),
        ("1818", 24),
        ("1903e8", 1000),
        ("1b000000e8d4a51000", 1000000000000),
        ("1bffffffffffffffff", 18446744073709551615),
        ("3bffffffffffffffff", -18446744073709551616),
        ("3903e7", -1000),
        ("f90000", 0.0),
        ("f93e00", 1.5),
        ("f97bff", 65504.0),
        ("f90001", 5.960464477539063e-8),
        ("fa47c35000", 100000.0),
        ("fb3ff199999999999a", 1.1),
        ("f97c00", math.inf),
        ("f9fc00", -math.inf),
        ("f6", None),
        ("f7", None),
        ("c11a514b67b0", Moment(1363896240)),
        ("c1fb41d452d9ec200000", Moment(1363896240.5)),
        ("4401020304", b"\x01\x02\x03\x04"),
        ("62c3bc", "ü"),
        ("83010203", [1, 2, 3]),
        ("5f42010243030405ff", b"\x01\x02\x03\x04\x05"),
        ("7f657374726561646d696e67ff", "streaming"),
        ("9fff", []),
        ("9f018202039f0405ffff", [1, [2, 3], [4, 5]]),
        ("83018202039f0405ff", [1, [2, 3], [4, 5]]),
        ("bf61610161629f0203ffff", {"a": 1, "b": [2, 3]}),
        ("826161bf61626163ff", ["a", {"b": "c"}]),
    ],
)
def test_examples_of_the_standard(given_hex: str, value: Cbor) -> None:
    found = decode(bytes.fromhex(given_hex))
    assert found == value
    assert type(found) is type(value)


def test_not_a_number_is_read_as_such() -> None:
    found = decode(bytes.fromhex("f97e00"))
    assert isinstance(found, float)
    assert math.isnan(found)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "1 bytes are announced at byte 0, 0 are there"),
        (b"\x18", "announced"),
        (b"\x62a", "2 bytes are announced"),
        (b"\x00\x00", "1 bytes follow the value"),
        (b"\x1c", "no meaning"),
        (b"\x1f", "no meaning"),
        (b"\xff", "simple value 31"),
        (b"\xf8\x20", "simple value 24"),
        (b"\xe0", "simple value 0"),
        (b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff", "items are announced"),
        (b"\xbb\x7f\xff\xff\xff\xff\xff\xff\xff", "items are announced"),
        (b"\x5b\x7f\xff\xff\xff\xff\xff\xff\xff", "bytes are announced"),
        (b"\x9f\x01", "announced"),
        (b"\xbf\x61a\xff", "simple value 31"),
        (b"\xa1\x01\x02", "not text"),
        (b"\xa1\x41a\x02", "not text"),
        (b"\xa2\x61a\x01\x61a\x02", "there twice"),
        (b"\x61\xff", "not UTF-8"),
        (b"\x63\xed\xa0\x80", "not UTF-8"),
        (b"\x7f\x41a\xff", "not a string of told length"),
        (b"\x7f\x7f\xff\xff", "not a string of told length"),
        (b"\xc0\x61a", "tag 0"),
        (b"\xc2\x41\x01", "tag 2"),
        (b"\xc1\x61a", "not a number"),
        (b"\xc1\xf5", "not a number"),
        (b"\x81" * (MAX_DEPTH + 1) + b"\x00", "nested"),
        (b"\xc1" * 100_000, "nested"),
        (b"\x9f" * 100_000, "nested"),
        (b"\x9f" + b"\x80" * MAX_ITEMS + b"\xff", "more than"),
        (b"\x5f" + b"\x40" * MAX_ITEMS + b"\xff", "more than"),
    ],
)
def test_what_is_not_read(body: bytes, why: str) -> None:
    with pytest.raises(CborError, match=why):
        decode(body)


def test_the_deepest_and_the_largest_are_read() -> None:
    assert decode(b"\x81" * MAX_DEPTH + b"\x00") is not None
    found = decode(b"\x9f" + b"\x00" * (MAX_ITEMS - 1) + b"\xff")
    assert isinstance(found, list)
    assert len(found) == MAX_ITEMS - 1


@given(
    st.binary(max_size=40) | st.lists(st.sampled_from(b"\x00\x18\x40\x5f\x60\x7f\x80\x9f\xa0\xa1\xbf\xc1\xf6\xff\xfb"))
)
def test_any_bytes_are_read_or_refused(body: bytes | list[int]) -> None:
    with suppress(CborError):
        decode(bytes(body))


def test_numbers_beyond_64_bits_are_not_written() -> None:
    with pytest.raises(OverflowError):
        encode(2**64)


STATISTICS = load_service("cloudwatch").operations["GetMetricStatistics"]
PUT = load_service("cloudwatch").operations["PutMetricData"]


def read_put(datum: Cbor) -> Any:
    return read_body(PUT.input, encode({"Namespace": "n", "MetricData": [datum]}))["MetricData"]


@pytest.mark.parametrize("seconds", [5, 5.25])
def test_times_are_tagged(seconds: float) -> None:
    assert read_put({"MetricName": "m", "Timestamp": Moment(seconds)}) == [{"MetricName": "m", "Timestamp": seconds}]


@pytest.mark.parametrize(
    ("datum", "why"),
    [
        ({"MetricName": "m", "Timestamp": 5}, "A number without tag 1 .* 'metricData.1.member.timestamp'"),
        ({"MetricName": "m", "Timestamp": "2024-01-01T00:00:00Z"}, "A text can not"),
        ({"MetricName": "m", "Value": Moment(5)}, r"A time \(tag 1\) can not be converted to a double"),
        ({"MetricName": b"m"}, "A byte string can not be converted to a string"),
        ({"MetricName": 5}, "NUMBER_VALUE can not be converted to a String"),
        ({"MetricName": "m", "Value": math.nan}, "is not finite"),
        ({"MetricName": "m", "Value": True}, "TRUE_VALUE can not be converted to a Double"),
        ({"MetricName": "m", "Values": {"a": 1}}, "can not be converted to a list"),
        ({"MetricName": "m", "Timestamp": Moment(math.inf)}, "is not finite"),
        (["m"], "Start of list can not be converted to a structure"),
        (None, "A null value is not allowed"),
    ],
)
def test_values_of_another_type(datum: Cbor, why: str) -> None:
    with pytest.raises(SerializationException, match=why):
        read_put(datum)


def test_null_members_are_absent_and_unknown_ones_refused() -> None:
    assert read_put({"MetricName": "m", "Value": None}) == [{"MetricName": "m"}]
    with pytest.raises(ValidationException, match=r"'X' of 'metricData\.1\.member' is not known"):
        read_put({"MetricName": "m", "X": Moment(1)})


@pytest.mark.parametrize("body", [b"\x80", b"\x00", b"\xf6", b"\xa1"])
def test_bodies_that_are_no_maps(body: bytes) -> None:
    with pytest.raises(SerializationException):
        read_body(PUT.input, body)


def test_answers_have_tagged_times_and_doubles_of_64_bits() -> None:
    assert STATISTICS.output is not None
    body = write_body(STATISTICS.output, {"Datapoints": [{"Timestamp": 60, "Sum": 2}, {"Timestamp": 60.5}]})
    assert decode(body) == {"Datapoints": [{"Timestamp": Moment(60), "Sum": 2.0}, {"Timestamp": Moment(60.5)}]}
    assert b"\xfb" + struct.pack(">d", 2.0) in body


def test_errors() -> None:
    body = write_error("ResourceNotFound", "no", {"ResourceId": "x", "Count": 1})
    assert decode(body) == {"__type": "ResourceNotFound", "message": "no", "ResourceId": "x", "Count": 1}
