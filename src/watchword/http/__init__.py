"""What only HTTP knows, for any framework: where tokens travel, cookies, the CSRF gate, client addresses, problem
documents, the guard. Works on ASGI scopes and bytes; no framework, no database, no rule about sessions.
"""
