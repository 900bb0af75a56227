"""Every command: its name, where its function is, and its line in `hub --help`."""

from __future__ import annotations

from typing import NamedTuple


class Command(NamedTuple):
    name: str
    function: str
    """`module:function`, imported when the command is used."""
    summary: str
    has_commands: bool = False
    """Whether it is an `App` with commands of its own, in place of a function."""


COMMANDS = (
    Command("serve", "hub.cli.serve:serve", "Start the hub: MCP tools and chat at one address."),
    Command("check", "hub.cli.check:check", "Check the settings and print every problem."),
    Command("doctor", "hub.cli.doctor:doctor", "Look at everything that can be wrong, and say what to do."),
    Command("status", "hub.cli.status:status", "Show what the running hub does, and what it cannot do."),
    Command("tools", "hub.cli.tools:tools", "List the tools of the MCP servers."),
    Command("call", "hub.cli.call:call", "Call a tool with arguments in JSON."),
    Command("groups", "hub.cli.groups:groups", "List the groups of models."),
    Command("switch", "hub.cli.switch:switch", "Choose the group that answers where none is named."),
    Command("chat", "hub.cli.chat:chat", "Ask a group and print the answer as it arrives."),
    Command("run", "hub.cli.run_client:run_client", "Start a chat client that uses the hub, for one run."),
    Command("usage", "hub.cli.usage:usage", "Sum up what was used, by whom, and what it cost."),
    Command("explain", "hub.cli.explain:explain", "Show what a request would become, without sending it."),
    Command("logs", "hub.cli.logs:logs", "Show the log, and follow it."),
    Command("recordings", "hub.cli.recordings:recordings", "List the recorded exchanges, or show one."),
    Command("replay", "hub.cli.replay:replay", "Send a recorded request again and compare the answers."),
    Command(
        "connect", "hub.cli.connect:connect", "Offer the hub's MCP endpoint on standard input and output."
    ),
    Command("add", "hub.cli.servers:add", "Add an MCP server to the settings."),
    Command("search", "hub.cli.search:search", "Look for MCP servers in a registry."),
    Command("remove", "hub.cli.servers:remove", "Take an MCP server out of the settings."),
    Command(
        "import", "hub.cli.servers:import_servers", "Bring the MCP servers of your IDEs into the settings."
    ),
    Command("audit", "hub.cli.audit:audit", "List tool calls: who, what, how long, how large."),
    Command("trust", "hub.cli.trust:trust", "Show which tools are held back, and trust them."),
    Command("login", "hub.cli.login:login", "Log in at a remote MCP server."),
    Command("logout", "hub.cli.login:logout", "Forget the login at a remote MCP server."),
    Command("secret", "hub.cli.secret:secret", "Keep secrets out of the settings file.", has_commands=True),
    Command("keys", "hub.cli.keys:keys", "Make keys for clients, and take them back.", has_commands=True),
    Command("install", "hub.cli.install:install", "Put the hub into an IDE's settings."),
    Command("uninstall", "hub.cli.install:uninstall", "Take the hub out of an IDE's settings."),
)
