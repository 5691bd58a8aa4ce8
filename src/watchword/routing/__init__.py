"""The one room between our routes and their framework, FastAPI over Starlette.

A feature's `routes.py` names its paths, bodies and flows; everything that all of them need from the framework is
here. No rule, no token, no cookie.
"""
