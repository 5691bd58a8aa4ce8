"""What of ASVS 5.0 Watchword fulfils, and which test proves it.

requirements.toml says what each requirement means here; `docs/asvs.md` is made of it and of the ids that tests name.
`python -m tests.asvs` checks both, `python -m tests.asvs write` writes the page.
"""
