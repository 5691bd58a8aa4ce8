"""Events: what happened to a user, shown to that user."""
