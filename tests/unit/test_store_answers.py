"""Documents of the object store on their way to clients."""

from __future__ import annotations

from hostmaker.gateway.store_answers import plain_answer
from hostmaker.gateway.store_deletion import with_stored_deletions


def a_list(inside: str) -> bytes:
    return f"<ListBucketResult>{inside}</ListBucketResult>".encode()


def rows(*keys: str) -> str:
    return "".join(f"<Contents><Key>{key}</Key><Size>1</Size></Contents>" for key in keys)


def test_what_names_no_changed_key_passes_as_it_is() -> None:
    for answer in (b"<Error><Code>NoSuchKey</Code><Key>a/b</Key></Error>", a_list(rows("a", "b &amp; c"))):
        assert plain_answer(answer) == answer


def test_keys_come_back_in_any_document() -> None:
    assert plain_answer(b"<Error><Key>a/!/b</Key></Error>") == b"<Error><Key>a//b</Key></Error>"
    assert plain_answer("<Deleted><Key>a\uf05cb</Key></Deleted>".encode()) == b"<Deleted><Key>a\\b</Key></Deleted>"


def test_a_list_is_in_the_order_of_its_keys_not_of_its_directories() -> None:
    groups = "<CommonPrefixes><Prefix>b/</Prefix></CommonPrefixes><CommonPrefixes><Prefix>b+/</Prefix></CommonPrefixes>"
    listed = plain_answer(a_list(f"<IsTruncated>false</IsTruncated>{rows('a/b', 'a-b')}{groups}"))
    assert listed == a_list(
        f"<IsTruncated>false</IsTruncated>{rows('a-b', 'a/b')}"
        "<CommonPrefixes><Prefix>b+/</Prefix></CommonPrefixes><CommonPrefixes><Prefix>b/</Prefix></CommonPrefixes>"
    )


def test_a_page_of_version_1_ends_with_the_key_it_goes_on_behind() -> None:
    top = "<NextMarker>a/!/</NextMarker><IsTruncated>true</IsTruncated>"
    listed = plain_answer(a_list(f"{top}{rows('a/!/c', 'a-b', 'a/!')}"))
    expected = "<NextMarker>a/</NextMarker><IsTruncated>true</IsTruncated>"
    assert listed == a_list(f"{expected}{rows('a//c', 'a-b', 'a/')}")


def test_what_stands_around_rows_is_percent_encoded_too() -> None:
    top = "<Prefix>a+b%2F</Prefix><Marker>a+/</Marker><IsTruncated>false</IsTruncated>"
    listed = plain_answer(a_list(f"{top}{rows('a%2Bb%252F/%21')}<EncodingType>url</EncodingType>"))
    expected = "<Prefix>a%2Bb%252F</Prefix><Marker>a%2B</Marker><IsTruncated>false</IsTruncated>"
    assert listed == a_list(f"{expected}{rows('a%2Bb%252F/')}<EncodingType>url</EncodingType>")


def test_a_page_that_ends_with_what_xml_lacks_has_a_token_that_can_hold_it() -> None:
    end = "<KeyCount>1</KeyCount><EncodingType>url</EncodingType>"
    top = "<IsTruncated>true</IsTruncated>"
    said = a_list(f"{top}{rows('a', '%01b')}<NextContinuationToken>\ufffdb/</NextContinuationToken>{end}")
    assert b"<NextContinuationToken>~%01b/</NextContinuationToken>" in plain_answer(said)


def test_a_list_by_a_prefix_that_ends_in_a_mark_has_no_others() -> None:
    said = a_list(f"<IsTruncated>false</IsTruncated>{rows('a/!', 'a/!!', 'a/!b')}<KeyCount>3</KeyCount>")
    expected = a_list(f"<IsTruncated>false</IsTruncated>{rows('a/!', 'a/!b')}<KeyCount>2</KeyCount>")
    assert plain_answer(said, "a/!") == expected


def test_deletions_name_keys_as_they_are_kept() -> None:
    plain = b'<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Object><Key>a/b</Key></Object></Delete>'
    assert with_stored_deletions(plain) is plain
    odd = b"<Delete><Object><Key>a//b&amp;&#13;</Key><VersionId>1</VersionId></Object><Quiet>true</Quiet></Delete>"
    expected = (
        b"<Delete><Object><Key>a/!/b&amp;&#13;</Key><VersionId>1</VersionId></Object><Quiet>true</Quiet></Delete>"
    )
    assert with_stored_deletions(odd) == expected
