"""Proving an address by the link that was sent to it."""
