"""Receipts, dunning, renewal, cancellation and sign-in emails: content, queue and delivery."""
