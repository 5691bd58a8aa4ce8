"""Watchword beside other libraries for the same work."""
