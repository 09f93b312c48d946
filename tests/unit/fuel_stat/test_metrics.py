"""Instruments are found by name and label values."""

from __future__ import annotations

import pytest

from fuel_stat.metrics import Metric, Registry, UndeclaredMetricError


def test_an_instrument_found_by_its_labels_is_the_declared_one() -> None:
    """However it is found, one set of labels is one series; what is not declared raises either way."""
    registry = Registry([Metric("things_total", "counter", "Things.", ("kind", "status"))])
    registry["things_total"].labels("a", "200").inc()
    registry.labelled("things_total", "a", 200).inc(2)
    registry.labelled("things_total", "a", 200).inc(3)
    registry.labelled("things_total", "b", 200).inc()
    assert registry.prometheus.get_sample_value("things_total", {"kind": "a", "status": "200"}) == 6
    assert registry.prometheus.get_sample_value("things_total", {"kind": "b", "status": "200"}) == 1
    with pytest.raises(UndeclaredMetricError):
        registry.labelled("others_total", "a")
