"""Tools for models that cannot call tools, and calls that models write as text.

`compat_request` puts tools, past calls and results into the text of a request. `response_with_calls` and
`CallsDecoder` find the calls in the text of an answer; they also serve models that were given tools and
write their calls as text all the same.
"""

from adapters.compat.answer import CallsDecoder, CallsInStream, response_with_calls
from adapters.compat.calls import DeclaredTools
from adapters.compat.request import compat_request

__all__ = ["CallsDecoder", "CallsInStream", "DeclaredTools", "compat_request", "response_with_calls"]
