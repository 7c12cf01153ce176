"""The worker process and its jobs."""
