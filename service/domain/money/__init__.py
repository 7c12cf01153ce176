"""Amounts of money, as they are counted, written and typed."""
