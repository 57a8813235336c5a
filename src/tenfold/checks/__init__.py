"""Diagnosing a training before it wastes time."""
