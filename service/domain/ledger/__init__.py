"""The ledger: what moved, by the gateway's own names for it, and what it adds up to."""
