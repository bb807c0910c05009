"""What nodes measure becomes a value of each metric for each instance."""

from __future__ import annotations

from hostmaker.domain.messages import InstanceUsage, NodeUsage
from hostmaker.kit.codec import decode_tagged, encode_tagged
from hostmaker.telemetry.series import SeriesStore
from hostmaker.telemetry.usage import usage_data

T0 = 1_800_000_000
USAGE = NodeUsage(T0, (InstanceUsage("r", "e", "v", 150.0, 20.0, 1.5), InstanceUsage("r", "e", "v", 50.0, 40.0, 2.5)))


def test_a_minute_has_a_value_for_each_instance() -> None:
    store = SeriesStore(None, lambda: float(T0))
    store.put(usage_data(USAGE))
    found = sorted(store.find("r", "/aws/sagemaker/Endpoints"))
    assert [series.name for series in found] == ["CPUUtilization", "DiskUtilization", "MemoryUtilization"]
    assert {series.dimensions for series in found} == {(("EndpointName", "e"), ("VariantName", "v"))}
    (bucket,) = store.buckets(found[0], T0, T0 + 60, 60)
    assert (bucket.unit, bucket.summary.count, bucket.summary.least, bucket.summary.greatest) == ("Percent", 2, 50, 150)


def test_it_comes_over_the_link_as_it_was_sent() -> None:
    assert decode_tagged((NodeUsage,), encode_tagged(USAGE)) == USAGE
