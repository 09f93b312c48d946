"""The OpenAPI document is served, is valid, and is true."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.generation import GenerationMode

from tests.integration.ingest.conftest import Collector


def test_every_documented_address_answers(collector: Collector) -> None:
    """Each documented GET is 200 and matches its schema; each POST refuses GET with 405."""
    document = collector.client.get("/api/v1/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    for path, operations in document["paths"].items():
        answer = collector.client.get(path)
        if "post" in operations:
            assert answer.status_code == 405
            continue
        assert answer.status_code == 200, path
        schema = operations["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema.Draft202012Validator(schema).validate(answer.json())


@pytest.mark.slow
def test_generated_requests_find_no_5xx_and_no_undocumented_answer(collector: Collector) -> None:
    """Schemathesis against the running collector, good and bad requests of every operation."""
    schema = schemathesis.openapi.from_url(f"{collector.server.url}/api/v1/openapi.json")
    schema.config.generation.update(modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
    checked = 0
    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def run(case: Any) -> None:
            nonlocal checked
            response = case.call()
            assert response.status_code < 500, response.text
            documented = case.operation.definition.raw["responses"]
            assert str(response.status_code) in documented, (case.path, response.status_code)
            shape = documented[str(response.status_code)]["content"]["application/json"]["schema"]
            jsonschema.Draft202012Validator(shape).validate(response.json())
            checked += 1

        run()
    assert checked > 50
