"""The exceptions of the fleet. All are operator mistakes or an unreachable collector: one line, exit code 2."""

from fuel_stat.errors import OperatorError


class FleetError(OperatorError):
    """Root of everything that the fleet raises: a machine-readable code and a sentence."""


class CollectorUnreachableError(FleetError):
    """No answer came from the collector within the fleet's patience."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__("collector_unreachable", f"the collector at {url} does not answer: {reason}")


class RecordedTrafficError(FleetError):
    """The folder with recorded exchanges is missing or holds something else."""

    def __init__(self, sentence: str) -> None:
        super().__init__("recorded_traffic", sentence)
