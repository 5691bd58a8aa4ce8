"""Sessions of the signed-in user: refresh, logout, the list of devices, me."""
