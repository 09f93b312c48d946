"""The running server against its own description."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi import checks

from analytics_api.openapi import document
from tests.integration.analytics.server import Server

pytestmark = pytest.mark.slow

CHECKED = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]
OPERATIONS = [(path, method) for path, methods in document()["paths"].items() for method in methods]


@pytest.fixture(scope="module")
def described(api: Server) -> schemathesis.BaseSchema:
    """The description as the server gives it."""
    return schemathesis.openapi.from_url(f"{api.url}/api/v1/openapi.json")


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_answer_is_as_described(described: schemathesis.BaseSchema, path: str, method: str) -> None:
    """Whatever is sent, status, type and shape of the answer are in the description, and it is no server error."""
    operation = described[path][method.upper()]

    @given(case=operation.as_strategy())
    @settings(
        max_examples=12,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def conforms(case: schemathesis.Case) -> None:
        answer = case.call()
        if answer.status_code == 503:
            assert answer.json()["code"] == "exports_busy"
            return
        case.validate_response(answer, checks=CHECKED)

    conforms()
