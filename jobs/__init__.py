"""The worker process: what runs when."""
