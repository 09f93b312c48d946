"""Great Expectations at the borders: what comes in raw, and the marts that go out. The suites are data.

``raw`` and ``marts`` declare their measures, ``checkpoint`` turns them into Great Expectations' suites and runs them.
"""
