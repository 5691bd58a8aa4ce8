"""The tests. They mirror src/watchword; a package so that no installed `tests` can take the name."""
