"""Metrics from a declared registry.

A service declares what it measures once; using an undeclared name raises, and the metrics page is made from
the declarations. The instruments are prometheus_client's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from fuel_stat.errors import FuelStatError


@dataclass(frozen=True)
class Metric:
    """A declaration: ``name`` in Prometheus form with its unit, ``doc`` for the page, label names, buckets."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    doc: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
    multiprocess_mode: Literal["all", "liveall", "livesum", "livemax", "max", "sum", "mostrecent"] = "livesum"


class UndeclaredMetricError(FuelStatError):
    """A metric was used that its service does not declare."""


class Registry:
    """The instruments of one service.

    Args:
        declarations: every metric the service may use.
        registry: where the instruments register; a new one by default.
    """

    def __init__(self, declarations: Iterable[Metric], registry: CollectorRegistry | None = None) -> None:
        self.declarations = {metric.name: metric for metric in declarations}
        self.prometheus = registry or CollectorRegistry()
        self._instruments = {name: self._make(metric) for name, metric in self.declarations.items()}
        self._labelled: dict[tuple[object, ...], Any] = {}

    def _make(self, metric: Metric) -> Any:
        if metric.kind == "counter":
            return Counter(metric.name, metric.doc, metric.labels, registry=self.prometheus)
        if metric.kind == "gauge":
            return Gauge(
                metric.name,
                metric.doc,
                metric.labels,
                registry=self.prometheus,
                multiprocess_mode=metric.multiprocess_mode,
            )
        return Histogram(
            metric.name, metric.doc, metric.labels, registry=self.prometheus, buckets=metric.buckets
        )

    def __getitem__(self, name: str) -> Any:
        """The instrument of that name.

        Raises:
            UndeclaredMetricError: ``undeclared_metric``.
        """
        try:
            return self._instruments[name]
        except KeyError:
            raise UndeclaredMetricError(
                "undeclared_metric", f"The metric {name!r} is not declared."
            ) from None

    def labelled(self, name: str, *labels: object) -> Any:
        """The instrument of that name with these label values: ``registry[name].labels(...)``, found faster.

        Raises:
            UndeclaredMetricError: ``undeclared_metric``.
        """
        key = (name, *labels)
        child = self._labelled.get(key)
        if child is None:
            child = self._labelled[key] = self[name].labels(*labels)
        return child
