"""One room for each kind of object that Stripe's events tell of."""
