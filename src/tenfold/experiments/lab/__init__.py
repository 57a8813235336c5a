"""The lab from one command: its parts, what fits the time, the runs, and the page."""
