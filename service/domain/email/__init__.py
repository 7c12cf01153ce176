"""Email in general: addresses, queueing, pacing, delivery outcomes, counters and suppression."""
