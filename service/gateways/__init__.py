"""What talks to the outside world: payments, mail, and the store that counts requests."""
