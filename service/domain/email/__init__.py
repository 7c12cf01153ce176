"""What every email shares: the queue, delivery results, suppression and counters."""
