"""Pledges: creating, paying, changing, listing and exporting them."""
