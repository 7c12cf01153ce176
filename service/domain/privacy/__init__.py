"""Retention and key rotation."""
