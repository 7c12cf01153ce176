"""Reminders: requesting, confirming, snoozing, repeating and cancelling them, and sending their emails."""
