"""How a scripted model reads requests and writes answers, one module per protocol.

Each module has `read(body)`, `whole(reply, model)`, `stream(reply, model)` and `error(status)`.
"""
