"""The graph that executions and contents form: pure, over frozen facts; no DVC, no W&B.

A content is a node by its path and md5, so that a stage which was locked with older data than its maker has now hangs
on that older data, and executions of several commits can lie in one graph.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable

from dvc_wandb.project.lock import Content, Execution

Key = tuple[str, str | None]  # path and md5


def key_of(content: Content) -> Key:
    """The node of what mirrors `content`: itself, or the folder around it."""
    return content.versioned.path, content.versioned.md5


class Graph:
    """Executions, the contents that they read and make, and the `added` contents.

    Where several executions made the same bytes, the last one given counts as the maker.
    """

    def __init__(self, executions: Iterable[Execution] = (), added: Iterable[Content] = ()) -> None:
        self._executions: dict[str, Execution] = {}
        self._order: dict[str, int] = {}
        self._added: list[Content] = []
        self._contents: dict[Key, Content] = {}
        self.makers: dict[Key, Execution] = {}
        self.readers: dict[Key, list[Execution]] = {}
        self.add(executions, added)

    def add(self, executions: Iterable[Execution], added: Iterable[Content] = ()) -> None:
        """Take in more, at no cost for what is there."""
        for one in (added := list(added)):
            self._contents.setdefault(key_of(one), one)
        self._added += added
        for one in executions:
            is_new = one.key not in self._executions
            self._executions[one.key] = one
            self._order.setdefault(one.key, len(self._order))
            for content in (*one.reads, *one.outs):
                self._contents[key_of(content)] = content.versioned
            self.makers |= {key_of(out): one for out in one.outs}
            for key in dict.fromkeys(map(key_of, one.reads)) if is_new else ():
                self.readers.setdefault(key, []).append(one)

    @property
    def contents(self) -> dict[Key, Content]:
        """The contents by their nodes, in the order of their paths."""
        return {key: self._contents[key] for key in sorted(self._contents, key=_sort_key)}

    def content(self, key: Key) -> Content:
        return self._contents[key]

    @property
    def executions(self) -> list[Execution]:
        """Upstream first; of those that could come next, the first by name."""
        waiting = {key: self._makers_of(one) for key, one in self._executions.items()}
        followers: dict[str, list[str]] = {}
        for key, makers in waiting.items():
            for maker in makers:
                followers.setdefault(maker, []).append(key)
        ready = [(self._executions[key].stage, key) for key, makers in waiting.items() if not makers]
        heapq.heapify(ready)
        found = []
        while ready:
            _, key = heapq.heappop(ready)
            found.append(self._executions[key])
            for follower in followers.get(key, ()):
                waiting[follower].discard(key)
                if not waiting[follower]:
                    heapq.heappush(ready, (self._executions[follower].stage, follower))
        return found

    def sources(self) -> list[Key]:
        """The contents that no execution here makes."""
        return [key for key in self.contents if key not in self.makers]

    def find(self, name: str) -> list[Key]:
        """The nodes that `name` means: a path, a file in a folder out, or the outs of a stage."""
        name = name.rstrip("/")
        found = [key for key in self.contents if key[0] == name]
        found = found or [key for key in self.contents if name.startswith(f"{key[0]}/")]
        if not found:
            for one in self.executions:
                found += [key_of(content) for content in one.outs] if one.stage == name else []
        return found

    def stages_without_outs(self, name: str) -> list[Execution]:
        """The executions that `name` means where it is a stage without outs: no node stands for them."""
        return [one for one in self.executions if one.stage == name and not one.outs]

    def leading_to(self, execution: Execution) -> Graph:
        """The execution, and what it comes from."""
        return self.upstream(map(key_of, execution.reads)).union(Graph([execution]))

    def upstream(self, keys: Iterable[Key]) -> Graph:
        """What `keys` come from: their makers, what those read, and so on."""
        return self._reach(keys, lambda key: [self.makers[key]] if key in self.makers else [], lambda one: one.reads)

    def downstream(self, keys: Iterable[Key]) -> Graph:
        """What comes from `keys`: their readers, what those make, and so on."""
        return self._reach(keys, lambda key: self.readers.get(key, []), lambda one: one.outs)

    def union(self, other: Graph) -> Graph:
        """All that is in either."""
        return Graph([*self._executions.values(), *other._executions.values()], [*self._added, *other._added])

    def _reach(
        self,
        keys: Iterable[Key],
        nearest: Callable[[Key], list[Execution]],
        beyond: Callable[[Execution], tuple[Content, ...]],
    ) -> Graph:
        waiting = list(keys)
        start, reached = [self._contents[key] for key in waiting], {}
        while waiting:
            for one in nearest(waiting.pop()):
                if one.key not in reached:
                    reached[one.key] = one
                    waiting += [key_of(content) for content in beyond(one)]
        return Graph(sorted(reached.values(), key=lambda one: self._order[one.key]), start)

    def _makers_of(self, execution: Execution) -> set[str]:
        makers = (self.makers.get(key_of(dep)) for dep in execution.reads)
        return {maker.key for maker in makers if maker and maker.key != execution.key}


def _sort_key(key: Key) -> tuple[str, str]:
    return key[0], key[1] or ""
