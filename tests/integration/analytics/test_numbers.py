"""The numbers of the front page."""

from __future__ import annotations

from tests.integration.analytics.server import Server


def test_totals_and_distributions_are_those_of_unfiltered_installations(api: Server) -> None:
    """Filtered installations are left out; sizes, hypervisors and systems count operable environments only."""
    assert api.get("json/report/installations").json() == {
        "installations": {"count": 3, "environments_num": {"2": 3}},
        "environments": {
            "count": 6,
            "operable_envs_count": 2,
            "statuses": {"operational": 1, "new": 1, "error": 1, "<img src=x onerror=alert(1)>": 1},
            "nodes_num": {"3": 1, "1": 1},
            "hypervisors_num": {"kvm": 1, "qemu": 1},
            "oses_num": {"ubuntu": 2},
        },
    }
