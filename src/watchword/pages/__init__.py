"""Server-rendered pages over our own JSON API: templates, and the routes that fill them. No rule, no token."""
