"""Schedules and wiring; the work is in the package warehouse."""
