"""Signing in with a password, proving it again, changing it, and setting one by a link."""
