"""Adapters to the outside world: payment providers, email and rate limit stores."""
