"""Signing in with a password, and proving it again."""
