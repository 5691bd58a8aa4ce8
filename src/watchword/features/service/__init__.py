"""What a deployment asks of us: health, public keys, the error page."""
