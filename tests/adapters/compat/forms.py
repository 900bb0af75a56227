# ruff: noqa: RUF001
# DeepSeek's marks have full-width bars.
"""What models write, and what it stands for: a table for all tests of this room."""

from __future__ import annotations

from typing import Any

from adapters.canonical import ChatRequest, Message, Text, Tool
from adapters.compat.calls import Call, DeclaredTools, Rejected
from adapters.compat.scanner import CallScanner, Item
from adapters.jsontext import dump

WEATHER = Tool(
    "get_weather",
    "The weather",
    {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer"},
            "where": {"type": "object", "properties": {"zip": {"type": "string"}}},
            "unit": {"enum": ["C", "F"]},
            "exact": {"type": ["boolean", "null"]},
        },
        "required": ["city"],
    },
)
NOW = Tool("now", "The time")
USER = Message("user", (Text("Weather?"),))
REQUEST = ChatRequest("m", (USER,), tools=(WEATHER, NOW))
TOOLS = DeclaredTools(REQUEST)


def weather(**arguments: Any) -> Call:
    return Call("get_weather", dump(arguments or {"city": "Rome"}))


def invalid(text: str) -> Call:
    return weather(INVALID_JSON=text)


ROME = weather()
TIME = Call("now", "{}")
ROME_JSON = '{"name": "get_weather", "arguments": {"city": "Rome"}}'
TIME_JSON = '{"name": "now", "arguments": {}}'
TAG = f"<tool_call>\n{ROME_JSON}\n</tool_call>"
TIME_TAG = f"<tool_call>{TIME_JSON}</tool_call>"
ANTML = "antml:"

FORMS: dict[str, tuple[str, list[str | Call]]] = {
    "hermes": (TAG, [ROME]),
    "text around": (f"I look.\n{TAG}\n\nDone.", ["I look.\n", ROME, "\n\nDone."]),
    "several": (f"{TAG}\n{TAG}\n\n{TIME_TAG}\n", [ROME, ROME, TIME]),
    "several in one": (f"<tool_call>{ROME_JSON}\n{TIME_JSON}</tool_call>", [ROME, TIME]),
    "a list in one": (f"<tool_call>[{ROME_JSON}, {TIME_JSON}]</tool_call>", [ROME, TIME]),
    "no end mark": (f"<tool_call>{ROME_JSON} Now I wait.", [ROME, " Now I wait."]),
    "no end mark, another call": (f"<tool_call>{ROME_JSON}{TIME_TAG}", [ROME, TIME]),
    "end of the answer": (f"<tool_call>{ROME_JSON}", [ROME]),
    "end mark in a string": (
        '<tool_call>{"name": "get_weather", "arguments": {"city": "a</tool_call>b"}}</tool_call>!',
        [weather(city="a</tool_call>b"), "!"],
    ),
    "nested": (
        '<tool_call>{"name":"get_weather","arguments":{"where":{"zip":"}{"},"city":"\\"}"}}</tool_call>',
        [weather(where={"zip": "}{"}, city='"}')],
    ),
    "arguments as text": (
        '<tool_call>{"name": "get_weather", "arguments": "{\\"city\\": \\"Rome\\"}"}</tool_call>',
        [ROME],
    ),
    "no arguments": ('<tool_call>{"name": "now"}</tool_call>', [TIME]),
    "parameters": ('<tool_call>{"name":"get_weather","parameters":{"city":"Rome"}}</tool_call>', [ROME]),
    "OpenAI's own": (
        '<tool_call>{"type":"function","function":{"name":"now","arguments":"{}"}}</tool_call>',
        [TIME],
    ),
    "a bracket too many": (f"<tool_call>{ROME_JSON}}}}}</tool_call> x", [ROME, " x"]),
    "a bracket too few": (f"<tool_call>{ROME_JSON[:-1]}</tool_call> x", [ROME, " x"]),
    "Python": (
        "<tool_call>{'name': 'get_weather', 'arguments': {'city': 'it\\'s', 'exact': True,}}</tool_call>",
        [weather(city="it's", exact=True)],
    ),
    "a raw line break": (
        '<tool_call>{"name": "get_weather", "arguments": {"city": "a\nb"}}</tool_call>',
        [weather(city="a\nb")],
    ),
    "a wrong escape": (
        r'<tool_call>{"name": "get_weather", "arguments": {"city": "C:\dir"}}</tool_call>',
        [weather(city="C:\\dir")],
    ),
    "function_call": (f"<function_call>{ROME_JSON}</function_call>", [ROME]),
    "Qwen3-Coder": (
        "<tool_call>\n<function=get_weather>\n<parameter=city>\nRome\n</parameter>\n"
        "<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>",
        [weather(city="Rome", days=3)],
    ),
    "Qwen3-Coder without wrapper": (
        "Well:\n<function=get_weather>\n<parameter=city>\n12\n</parameter>\n<parameter=exact>True</parameter>\n"
        '<parameter=where>{"zip": "1"}</parameter><parameter=unit>C</parameter>\n</function>',
        ["Well:\n", weather(city="12", exact=True, where={"zip": "1"}, unit="C")],
    ),
    "tags in a parameter": (
        "<function=get_weather><parameter=city><b></parameter></b>\n  </function> x\n</parameter></function>",
        [weather(city="<b></parameter></b>\n  </function> x")],
    ),
    "no parameters": ("<function=now>\n</function>", [TIME]),
    "invoke": (
        '<invoke name="get_weather">\n<parameter name="city">Rome</parameter>\n</invoke>',
        [ROME],
    ),
    "function_calls": (
        '<function_calls>\n<invoke name="get_weather">\n<parameter name="city">Rome</parameter>\n</invoke>\n'
        '<invoke name="now">\n</invoke>\n</function_calls> x',
        [ROME, TIME, " x"],
    ),
    "function_calls with a prefix": (
        f'<{ANTML}function_calls>\n<{ANTML}invoke name="get_weather">\n'
        f'<{ANTML}parameter name="city">Rome</{ANTML}parameter>\n</{ANTML}invoke>\n</{ANTML}function_calls>',
        [ROME],
    ),
    "GLM": (
        "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Rome</arg_value>\n"
        "<arg_key>days</arg_key><arg_value>2</arg_value></tool_call>",
        [weather(city="Rome", days=2)],
    ),
    "GLM without arguments": ("<tool_call>now</tool_call>", [TIME]),
    "Mistral": (f"[TOOL_CALLS][{ROME_JSON}, {TIME_JSON}]", [ROME, TIME]),
    "Mistral after text": (f"So: [TOOL_CALLS] [{ROME_JSON}]", ["So: ", ROME]),
    "Mistral by name": (
        '[TOOL_CALLS]get_weather[ARGS]{"city": "Rome"}[TOOL_CALLS]now[ARGS]{}',
        [ROME, TIME],
    ),
    "Mistral with an id": ('[TOOL_CALLS]get_weather[CALL_ID]a1b2c3[ARGS]{"city": "Rome"}', [ROME]),
    "Llama": (f"<|python_tag|>{ROME_JSON}; {TIME_JSON}<|eom_id|>", [ROME, TIME]),
    "Llama without its tag": ('{"name": "get_weather", "parameters": {"city": "Rome"}}', [ROME]),
    "bare, one after another": (f"{ROME_JSON}\n{TIME_JSON}\nThat is all.", [ROME, TIME, "\nThat is all."]),
    "a bare list": (f"[{ROME_JSON}, {TIME_JSON}]", [ROME, TIME]),
    "DeepSeek V3": (
        "Yes.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n"
        '{"city": "Rome"}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>now\n```json\n'
        "{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        ["Yes.", ROME, TIME],
    ),
    "DeepSeek V3.1": (
        '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Rome"}'
        "<｜tool▁call▁end｜>"
        "<｜tool▁calls▁end｜><｜end▁of▁sentence｜>",
        [ROME],
    ),
    "DeepSeek V3.2": (
        '<｜DSML｜function_calls>\n<｜DSML｜invoke name="get_weather">\n'
        '<｜DSML｜parameter name="city" string="true">Rome</｜DSML｜parameter>\n'
        '<｜DSML｜parameter name="days" string="false">2</｜DSML｜parameter>\n'
        "</｜DSML｜invoke>\n</｜DSML｜function_calls>",
        [weather(city="Rome", days=2)],
    ),
    "Kimi": (
        "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>"
        '{"city": "Rome"}<|tool_call_end|><|tool_call_begin|>functions.now:1<|tool_call_argument_begin|>'
        "{}<|tool_call_end|><|tool_calls_section_end|>",
        [ROME, TIME],
    ),
    "fenced": (f"Sure:\n```json\n{ROME_JSON}\n```\nDone", ["Sure:\n", ROME, "\nDone"]),
    "fenced, several": (f"```\n{ROME_JSON}\n{TIME_JSON}\n```", [ROME, TIME]),
    "a tag in a fence": (f"```xml\n{TAG}\n{TIME_TAG}\n```", [ROME, TIME]),
    "a fence left open": (f"```json\n{ROME_JSON}\n", [ROME]),
    "an example in a fence, then a call": (
        f"```\nWrite {TIME_TAG}\n```\n{TAG}",
        [f"```\nWrite {TIME_TAG}\n```\n", ROME],
    ),
    # ------------------------------------------------ malformed
    "an open string": (
        f'<tool_call>{{"name":"get_weather","arguments":{{"city":"Rom}}}}</tool_call> and {TIME_TAG}',
        [invalid('{"name":"get_weather","arguments":{"city":"Rom}}'), " and ", TIME],
    ),
    "cut in the middle": (
        '<tool_call>{"name":"get_weather","arguments":{"city":"Rom',
        [invalid('{"name":"get_weather","arguments":{"city":"Rom')],
    ),
    "cut between tags": (
        "<function=get_weather><parameter=city>Rome</parameter><parameter=da",
        [invalid("<parameter=city>Rome</parameter><parameter=da")],
    ),
    "arguments that are no object": (
        '<tool_call>{"name":"get_weather","arguments":["Rome"]}</tool_call>',
        [invalid('["Rome"]')],
    ),
    "no JSON between Kimi's marks": (
        "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>"
        "Rome<|tool_call_end|><|tool_calls_section_end|>",
        [invalid("Rome")],
    ),
}
"""Name -> what the model writes, and the text and calls in it."""

NOT_CALLS = {
    "empty": "",
    "words": "Hello there",
    "white space": " \n\t ",
    "white space around": "\n\n  Hello \n",
    "less than": "a < b, a <= b, <tool, </tool_call>, <|",
    "marks in words": "Use `<tool_call>` and `[TOOL_CALLS]` or <|python_tag|>, ```` ``` ````.",
    "another tool": '<tool_call>{"name": "rm", "arguments": {}}</tool_call> x',
    "another tool, tags": "<function=rm><parameter=x>1</parameter></function> x",
    "another tool, Mistral": '[TOOL_CALLS][{"name": "rm", "arguments": {}}] x',
    "another tool, fenced": '```json\n{"name": "rm", "arguments": {}}\n```',
    "another tool, bare": '{"name": "rm", "arguments": {}}',
    "another tool, DeepSeek": "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>rm<｜tool▁sep｜>{}",
    "a broken argument of no need": '<tool_call>{"name": "now", "arguments": {"zone": "UT}}</tool_call>',
    "JSON": '{"city": "Rome", "name": "x"}',
    "a list": "[1, 2, 3]",
    "open brackets": "[[[{{{",
    "fenced JSON": '```json\n{"city": "Rome"}\n```',
    "fenced JSON of a declared name": '```json\n{"name": "get_weather"}\n```',
    "code": '```python\nprint({"name": "get_weather", "arguments": {"city": "Rome"}})\n```',
    "a call among code": f"```python\nx = 1\n{TAG}\n```",
    "a wide fence": f"````md\n```json\n{ROME_JSON}\n```\n````",
    "a fence in a line": f"see ```json\n{ROME_JSON}\n```",
    "Python's own call": '<|python_tag|>search.call(query="x")',
    "an empty tag": "<tool_call></tool_call>",
    "words in a tag": "<tool_call>not json</tool_call>",
    "a bare object in words": f"Then {ROME_JSON}",
}
"""Name -> text in which there is no call."""


def scan(text: str, sizes: list[int] | None = None, tools: DeclaredTools = TOOLS) -> list[Item]:
    """The items of `text`, fed in pieces of these sizes; neighbouring text joined."""
    scanner = CallScanner(tools)
    found: list[Item] = []
    rest = text
    for size in sizes or ():
        found += scanner.feed(rest[:size])
        rest = rest[size:]
    return joined([*found, *scanner.feed(rest), *scanner.close()])


def joined(items: list[Item]) -> list[Item]:
    out: list[Item] = []
    for item in items:
        words = item.text if isinstance(item, Rejected) else item
        if isinstance(words, str) and out and isinstance(out[-1], str):
            out[-1] += words
        else:
            out.append(words)
    return out
