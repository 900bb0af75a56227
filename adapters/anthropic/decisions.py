"""What becomes of each field of a request towards other protocols: the table that documents are made of.

A test walks the official SDK's types and fails on a field, block or tool without a row. Whatever is
`kept` goes back to Anthropic as it came and is reported as a loss towards all others.
"""

from __future__ import annotations

FIELDS: dict[str, str] = {
    "model": "the target's",
    "messages": "messages",
    "system": "instructions",
    "tools": "tools",
    "tool_choice": "tool choice; `disable_parallel_tool_use` is parallel tool calls",
    "max_tokens": "limit of output tokens",
    "stop_sequences": "stop sequences",
    "stream": "stream",
    "thinking": "reasoning: enabled, budget, shown or not",
    "output_config": "`effort`: reasoning effort; `format`: output format; `task_budget`: kept",
    "metadata": "`user_id`: user",
    "service_tier": "service tier",
    "betas": "header, for Anthropic only",
    "user_profile_id": "header, for Anthropic only",
    "workspace_id": "header, for Anthropic only",
    "billing_policy": "kept",
    "cache_control": "kept",
    "compaction": "kept",
    "container": "kept",
    "context_management": "kept",
    "diagnostics": "kept",
    "fallback_credit_token": "kept",
    "fallbacks": "kept",
    "inference_geo": "kept",
    "mcp_servers": "kept",
    "speed": "kept",
    "thread": "kept",
}

BLOCKS: dict[str, str] = {
    "text": "text; `citations` and `cache_control`: kept",
    "image": "image",
    "document": "document; `title` is its name; `context` and `citations`: kept",
    "thinking": "thinking; the signature goes back to its maker only",
    "redacted_thinking": "redacted thinking; goes back to its maker only",
    "tool_use": "tool call",
    "tool_result": "tool result",
    "search_result": "kept; told as text",
    "compaction": "kept; its summary told as text",
    "server_tool_use": "kept; not told",
    "web_search_tool_result": "kept; not told",
    "web_fetch_tool_result": "kept; not told",
    "advisor_tool_result": "kept; not told",
    "code_execution_tool_result": "kept; not told",
    "bash_code_execution_tool_result": "kept; not told",
    "text_editor_code_execution_tool_result": "kept; not told",
    "tool_search_tool_result": "kept; not told",
    "mcp_tool_use": "kept; not told",
    "mcp_tool_result": "kept; not told",
    "mcp_tool_listing": "kept; its texts told",
    "container_upload": "kept; not told",
    "tool_addition": "kept; not told",
    "tool_removal": "kept; not told",
    "fallback": "kept; not told",
}

TOOLS: dict[str, str] = {
    "custom": "function",
    "bash": "function: the client runs it",
    "text_editor": "function: the client runs it",
    "computer": "function: the client runs it",
    "memory": "function: the client runs it",
    "computer_toolset": "kept: several tools in one",
    "browser_toolset": "kept: several tools in one",
    "mcp_toolset": "kept: the provider runs it",
    "web_search": "kept: the provider runs it",
    "web_fetch": "kept: the provider runs it",
    "code_execution": "kept: the provider runs it",
    "tool_search_tool_bm25": "kept: the provider runs it",
    "tool_search_tool_regex": "kept: the provider runs it",
    "advisor": "kept: the provider runs it",
}
"""Type without its date."""
