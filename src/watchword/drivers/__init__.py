"""The outside world, one file a thing: hashing threads, the clock, hints that something was revoked."""
