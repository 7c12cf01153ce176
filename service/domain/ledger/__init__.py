"""The ledger: payments, refunds, disputes and balance transactions as the gateway reports them, and their sums."""
