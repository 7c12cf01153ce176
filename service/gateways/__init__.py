"""Adapters to the outside world: payment processors, email and rate limit stores."""
