"""Training: optimisers, schedules, the loop, checkpoints, the backend."""
