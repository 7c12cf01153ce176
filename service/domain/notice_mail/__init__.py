"""How notices leave: claimed, written, sent once by the same carrier as reminders, and what became of them."""
