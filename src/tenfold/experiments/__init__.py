"""Experiments: several runs, what they say together."""
