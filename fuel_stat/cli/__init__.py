"""The operator's door: the ``fuel-stat`` command."""
