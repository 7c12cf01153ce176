"""Payments: processing the gateway's events, refunding, reconciling with the gateway, and the sandbox."""
