"""Programs that guides show, and the tests that run them."""
