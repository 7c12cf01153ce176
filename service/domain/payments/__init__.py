"""Payment events, refunds and reconciliation with the payment gateway."""
