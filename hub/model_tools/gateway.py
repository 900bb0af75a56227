"""The gateway, as the hub's own tools use it."""

from __future__ import annotations

from collections.abc import Callable

from adapters.canonical import ChatRequest
from adapters.errors import AdapterError
from hub.active_group import ActiveGroup
from hub.downstream.calls import Caller
from hub.snapshot import Snapshot
from routing.ask import AskFailed, OnText, Said, ask, call_of
from routing.explain import explain
from routing.gateway import Gateway
from routing.resolve import SWITCH, RoutingError
from routing.table import Table, Target
from routing.usage import cost

CLIENT = "hub-tools"
"""The client's name in usage and logs."""


class GatewayModels:
    """`hub.model_tools.server.Models` on the running gateway."""

    def __init__(self, gateway: Gateway, current: Callable[[], Snapshot], active_group: ActiveGroup) -> None:
        self._gateway = gateway
        self._current = current
        self._active_group = active_group

    @property
    def table(self) -> Table:
        return self._current().table

    @property
    def active_group(self) -> str | None:
        return self._active_group.name

    def switch(self, group: str) -> None:
        self._active_group.switch(group)

    async def ask(self, group: str, request: ChatRequest, caller: Caller, on_text: OnText | None) -> Said:
        return await ask(
            self._gateway,
            self.table,
            group,
            request,
            caller=caller.key_name,
            client=CLIENT,
            on_text=on_text,
        )

    def cost(self, said: Said) -> float | None:
        target = self._target(said)
        if target is None or target.price is None or said.response.usage is None:
            return None
        return cost(said.response.usage, target.price)

    def explain(self, table: Table, group: str | None, request: ChatRequest) -> str:
        call, _ = call_of(self._gateway, group or SWITCH, request)
        try:
            found = explain(table, call, active_group=self.active_group)
        except RoutingError as error:
            raise AskFailed(error.error) from error
        except AdapterError as error:
            raise AskFailed(error.error) from error
        lines = [
            f"group {found.group}: {found.group_reason}",
            f"target {found.target} ({found.target_protocol}): {found.target_reason}",
            *(f"passed over {each.target}: {each.reason}" for each in found.passed_over),
            *(f"lost {loss.code} at {loss.where or 'the top'}: {loss.detail}" for loss in found.losses),
        ]
        return "\n".join(lines)

    def _target(self, said: Said) -> Target | None:
        for group in self.table.groups.values():
            for target in (*group.targets, *(target for _, target in group.models)):
                if said.target == f"{target.provider.name}/{target.model or '*'}":
                    return target
        return None
