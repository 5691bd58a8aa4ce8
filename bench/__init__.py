"""How fast Watchword is, measured side by side on this machine. `python -m bench` prints one table; see README.md."""
