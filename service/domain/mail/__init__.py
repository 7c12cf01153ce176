"""How mails leave: claimed, written, sent once, and what became of them."""
