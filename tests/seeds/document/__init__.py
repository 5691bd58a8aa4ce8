"""docs/seeds.md, made from the settings, a run of every client's requests, and the tests that name a requirement.

`python -m tests.seeds.document` writes it. `texts.toml` and `page.md` hold what a program cannot know.
"""
