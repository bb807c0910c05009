"""Which instances are forked off a process that has imported their framework, and when that has to be waited for."""

from __future__ import annotations

from hostmaker.domain.preparation import Prepared
from hostmaker.fleet.keeper_client import KeeperClient


class Forking:
    """The fork servers of a node's keeper."""

    def __init__(self, keeper: KeeperClient, is_on: bool) -> None:
        self._keeper = keeper
        self._is_on = is_on
        self._wanted: set[str] = set()  # by interpreter: the first instance has come

    async def interpreter(self, prepared: Prepared) -> str | None:
        """Give the interpreter whose fork server is to start an instance; None: it starts by itself.

        The first instance of an environment does not wait for the fork server that begins with it; the others do.
        Raises KeeperError when the fork server has failed.
        """
        if not self._is_on or not prepared.preload:
            return None
        wanted = (prepared.python, prepared.preload, prepared.preload_env)
        is_first = prepared.python not in self._wanted
        self._wanted.add(prepared.python)
        if not await self._keeper.is_warm(*wanted):
            if is_first:
                return None
            await self._keeper.warm(*wanted)
        return prepared.python
