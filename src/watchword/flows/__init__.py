"""Use cases that features share, and the steps of the loops: load, decide, write once, emit.

`async def` once and for all: no asyncio in here, so that a synchronous caller can step them over a store that never
suspends. HTTP, cookies and SQL do not belong here.
"""
