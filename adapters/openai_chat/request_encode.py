"""A ChatRequest to the body for an upstream, in its dialect."""

from __future__ import annotations

from typing import Any

from adapters import openai_common
from adapters.canonical import ChatRequest, Message, OutputFormat, Reasoning
from adapters.codec import Encoded, TargetModel
from adapters.history import HistoryRules, normalise
from adapters.instructions import stable
from adapters.losses import Losses
from adapters.models import ModelTraits, traits
from adapters.openai_chat.content import PROTOCOL, note, restore
from adapters.openai_chat.dialects import Dialect, dialect_of
from adapters.openai_chat.messages_encode import MessagesEncoder, foreign, report_foreign, report_parts
from adapters.openai_chat.tools import encode_choice, encode_tools
from adapters.reasoning import difference, effort_for, effort_of, sampling_allowed
from adapters.tool_names import plain_request

PATH = "/chat/completions"
RULES = HistoryRules(results="tool")
MAX_STOPS = 4

Json = dict[str, Any]


def encode_request(request: ChatRequest, target: TargetModel) -> Encoded:
    dialect = dialect_of(target)
    plain, losses = plain_request(request, custom=dialect.custom_tools)
    writer = _Writer(stable(plain, PROTOCOL, losses), target, dialect, losses)
    return Encoded(PATH, writer.body(), {}, losses)


class _Writer:
    """Writes one body, field group by field group."""

    def __init__(self, request: ChatRequest, target: TargetModel, dialect: Dialect, losses: Losses) -> None:
        self._request = request
        self._dialect = dialect
        self._traits: ModelTraits = traits(target.model)
        self._losses = losses
        self._body: Json = {"model": target.model}

    def body(self) -> Json:
        self._shared()
        self._messages()
        self._tools()
        self._limit()
        self._sampling()
        self._wishes()
        self._format()
        self._reasoning()
        self._stream()
        self._own_keys()
        return self._body

    def _shared(self) -> None:
        """What the Responses API calls by the same name; all else of other protocols is lost."""
        extensions = self._request.extensions
        if self._dialect.official or not self._dialect.known:
            found, extensions = openai_common.shared(extensions, openai_common.RESPONSES)
            self._body |= found
        foreign(extensions, "", self._dialect, self._losses)

    # ------------------------------------------------------------ conversation and tools

    def _messages(self) -> None:
        request = self._request
        report_parts(request.instructions, "system", self._dialect, self._losses)
        report_foreign(request.messages, self._dialect, self._losses)
        messages, repairs = normalise(request.messages, RULES)
        self._losses.extend(repairs)
        if request.instructions:
            # OpenAI's reasoning models call the system's words the developer's
            newer = self._dialect.developer and self._traits.needs_max_completion_tokens
            messages = (Message("developer" if newer else "system", request.instructions), *messages)
        thinks = effort_of(request.reasoning) != "none"
        encoder = MessagesEncoder(self._dialect, self._losses, thinks=thinks)
        self._body["messages"] = encoder.encode(messages)

    def _tools(self) -> None:
        request = self._request
        for index, tool in enumerate(request.tools):
            extensions = getattr(tool, "extensions", None)
            if extensions:
                foreign(extensions, tool.place or f"tools[{index}]", self._dialect, self._losses, hinted=True)
        encode_tools(request.tools, self._body, self._losses, cache_control=self._dialect.cache_control)
        if request.tool_choice is not None:
            foreign(request.tool_choice.extensions, "tool_choice", self._dialect, self._losses)
            encode_choice(request.tool_choice, request.tools, self._body)
        if request.parallel_tool_calls is not None and "tools" in self._body:
            self._body["parallel_tool_calls"] = request.parallel_tool_calls

    # ------------------------------------------------------------ limits and sampling

    def _limit(self) -> None:
        limit = self._request.max_tokens
        if limit is None:
            return
        if self._dialect.limit != "model":
            key: str = self._dialect.limit
        elif self._traits.needs_max_completion_tokens:
            key = "max_completion_tokens"
        else:
            key = note(self._request.extensions, "_limit") or "max_tokens"
        self._body[key] = limit

    def _sampling(self) -> None:
        request, official = self._request, self._dialect.official
        allowed = sampling_allowed(request.reasoning, self._traits)
        for key in ("temperature", "top_p", "presence_penalty", "frequency_penalty"):
            value = getattr(request, key)
            if value is None:
                continue
            if allowed or (key == "temperature" and value == 1):
                self._body[key] = value
            elif value != (1 if key == "top_p" else 0):
                self._losses.add(key, key, f"{self._body['model']} rejects it")
        self._top_k()
        if request.stop:
            self._stop(list(request.stop), allowed, official)
        if request.seed is not None:
            self._body[self._dialect.seed] = request.seed
        for key in ("n", "logprobs", "top_logprobs"):
            self._plain(key, getattr(request, key))
        asks = openai_common.RESPONSES in request.extensions and "top_logprobs" in self._body
        if asks and request.logprobs is None:
            self._body["logprobs"] = True  # without it, `top_logprobs` is an error here

    def _top_k(self) -> None:
        top_k = self._request.top_k
        if top_k is None:
            return
        own = note(self._request.extensions, "_top_k") and not self._dialect.official
        if own or self._dialect.top_k:
            self._body["top_k"] = top_k
        else:
            self._losses.add("top_k", "top_k", "OpenAI's protocol has no top_k")

    def _stop(self, stop: list[str], allowed: bool, official: bool) -> None:
        if official and not allowed:
            self._losses.add("stop", "stop", f"{self._body['model']} rejects it")
            return
        if official and len(stop) > MAX_STOPS:
            self._losses.add("stop", f"stop[{MAX_STOPS}]", f"at most {MAX_STOPS} are taken")
            stop = stop[:MAX_STOPS]
        self._body["stop"] = stop[0] if note(self._request.extensions, "_stop") else stop

    # ------------------------------------------------------------ other wishes

    def _wishes(self) -> None:
        request = self._request
        self._plain("verbosity", request.verbosity)
        self._plain("metadata", request.metadata)
        user = request.user
        if user is not None and self._dialect.official:
            user = openai_common.short_user(user)
        self._plain("user", user)
        tier = request.service_tier
        if tier is None or tier in openai_common.TIERS or PROTOCOL in request.extensions:
            self._plain("service_tier", tier)
        else:
            self._losses.add("service_tier", "service_tier", f"OpenAI has no tier {tier!r:.40}")

    def _plain(self, key: str, value: Any) -> None:
        """A parameter that goes as it is, where the target takes it at all."""
        if value is None:
            return
        if key in self._dialect.refuses:
            self._losses.add(key, key, "the provider refuses this parameter")
        else:
            self._body[key] = value

    def _format(self) -> None:
        wanted = self._request.output_format
        if wanted is None:
            return
        foreign(wanted.extensions, "response_format", self._dialect, self._losses)
        self._body["response_format"] = encode_format(wanted)

    def _stream(self) -> None:
        if not self._request.stream:
            return
        self._body["stream"] = True
        if self._dialect.stream_options:
            self._body["stream_options"] = {"include_usage": True}

    def _own_keys(self) -> None:
        """The client's own words that the model has no place for, back where they stood."""
        options: Json = {}
        keys: Json = {}
        restore(self._request.extensions, "stream_options", keys, options)
        if "max_completion_tokens" not in self._body:
            keys.pop("max_tokens", None)
        for key, value in keys.items():
            self._body.setdefault(key, value)
        if options and "stream_options" in self._body:
            self._body["stream_options"] |= options

    # ------------------------------------------------------------ reasoning

    def _reasoning(self) -> None:
        reasoning = self._request.reasoning
        if reasoning is None:
            return
        foreign(reasoning.extensions, "reasoning", self._dialect, self._losses)
        self._shown(reasoning)
        given = note(reasoning.extensions, "_given")
        if given and not self._dialect.known and not self._dialect.official and self._speaks(given):
            self._body.update(given)
            return
        style = self._dialect.reasoning
        wanted = effort_of(reasoning)
        if wanted is None:
            self._restore_unknown_effort(reasoning)
            return
        if self._traits.reasoning == "none" or style == "none":
            if wanted != "none":
                self._losses.add("reasoning", "reasoning", f"{self._body['model']} has no such setting")
            return
        effort = effort_for(reasoning, self._traits)
        if effort is not None and (told := difference(reasoning, self._ask(reasoning, effort))):
            self._losses.add(told[0], "reasoning", told[1])

    def _shown(self, reasoning: Reasoning) -> None:
        """Chat Completions cannot be told how thoughts are shown; OpenAI never shows them there."""
        if reasoning.summary not in (None, "auto") and PROTOCOL not in reasoning.extensions:
            self._losses.add("reasoning.summary", "reasoning.summary", "summaries have no style here")
        own = PROTOCOL in reasoning.extensions
        tells = own or self._dialect.official or self._dialect.reasoning == "openrouter"
        if reasoning.show is False and not tells and effort_of(reasoning) != "none":
            self._losses.add("reasoning.show", "reasoning", "thoughts cannot be switched off in answers")

    def _restore_unknown_effort(self, reasoning: Reasoning) -> None:
        """A provider's own level, such as Groq's `default`: not for OpenAI, which has no such word."""
        effort = note(reasoning.extensions, "reasoning_effort")
        if effort is not None and self._dialect.official:
            self._losses.add("reasoning.effort", "reasoning_effort", f"OpenAI has no effort {effort!r:.40}")
        elif effort is not None:
            self._body["reasoning_effort"] = effort

    def _speaks(self, given: Json) -> bool:
        """Whether an unknown server may get the client's own spelling: not where traits say better."""
        return self._traits.reasoning == "unknown" or given.keys() != {"reasoning_effort"}

    def _ask(self, reasoning: Reasoning, effort: str) -> str | int | bool:
        """Write the wish in the dialect's words: an effort, a budget or a switch, which is given back."""
        body = self._body
        on = effort != "none"
        match self._dialect.reasoning:
            case "openrouter":
                body["reasoning"] = self._openrouter(reasoning, effort)
                return body["reasoning"].get("max_tokens", effort)  # type: ignore[no-any-return]
            case "thinking":
                body["thinking"] = {"type": "enabled" if on else "disabled"}
                if not on or reasoning.effort is None:
                    return on
                body["reasoning_effort"] = effort
            case "enable_thinking":
                body["enable_thinking"] = on
                if not on or reasoning.budget is None or reasoning.budget <= 0:
                    return on
                body["thinking_budget"] = reasoning.budget
                return reasoning.budget
            case "template" if not on:
                body["chat_template_kwargs"] = {"enable_thinking": False}
            case _:
                body["reasoning_effort"] = effort
        return effort

    def _openrouter(self, reasoning: Reasoning, effort: str) -> Json:
        if effort == "none":
            return {"enabled": False}
        out: Json
        if reasoning.effort is None and reasoning.budget is not None and reasoning.budget > 0:
            out = {"max_tokens": reasoning.budget}
        else:
            out = {"effort": effort}
        if reasoning.show is False:
            out["exclude"] = True
        return out


def encode_format(wanted: OutputFormat) -> Json:
    if wanted.kind != "json_schema":
        out: Json = {"type": "text" if wanted.kind == "text" else "json_object"}
        restore(wanted.extensions, "", out, out)
        return out
    if note(wanted.extensions, "_type") == "json_object":
        out = {"type": "json_object", "schema": wanted.schema}
        restore(wanted.extensions, "", out, out)
        return out
    inner: Json = {"name": wanted.name or "response"}
    if wanted.description is not None:
        inner["description"] = wanted.description
    if wanted.schema is not None:
        inner["schema"] = wanted.schema
    if wanted.strict is not None:
        inner["strict"] = wanted.strict
    out = {"type": "json_schema", "json_schema": inner}
    restore(wanted.extensions, "json_schema", out, inner)
    return out
