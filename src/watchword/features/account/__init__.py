"""A person's own account: deleting it, and moving it to another address."""
