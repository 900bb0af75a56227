"""What can be wrong with a token.

`NoToken`
├── `LoggedOut`  somebody has to log in
└── `NotNow`     it cannot be had at this moment
"""

from __future__ import annotations


class NoToken(Exception):
    """Says why, and what to do; never holds a token."""


class LoggedOut(NoToken):
    pass


class NotNow(NoToken):
    pass
