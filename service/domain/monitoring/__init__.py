"""Heartbeats, job runs and status counts."""
