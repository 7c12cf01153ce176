"""Email content, MIME rendering and SMTP delivery."""
