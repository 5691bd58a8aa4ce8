"""The second step of a login by a code that comes by email, and turning it on and off."""
