"""What a mail server can say besides yes: each answer has its own consequence, and only for whom it is meant."""
