"""A tree of values: what is in a JSON document, line by line, with what has changed since the last look.

A node's children are made when it is opened. What is open, and the line that is chosen, stay so while the values
change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import Tree
from textual.widgets.tree import TreeNode

from tui.figures import NOTHING, counted, moment, words
from tui.panels.table import elide

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.style import Style

Path = tuple[str, ...]

_SHOWN_MAX = 100
"""Longer lists show their last ones."""
_PREVIEW_MAX = 60
_INNER_MAX = 4
_OPEN_AT_ONCE = (16, 4)
"""What is first seen is opened where it has no more than so many parts, and what is in it, where it has no more."""
_REMEMBERED_MAX = 64
_SINCE_NS = 10**17
"""What is named a time in nanoseconds and is larger is written as date and time."""
_MARGIN_RIGHT = 1
_NS_PER_S = 1_000_000_000
_ABSENT = object()


class Part(msgspec.Struct, frozen=True):
    """One line: a name and its value."""

    name: str
    value: Any
    path: Path
    changed: bool = False


class _Seen(msgspec.Struct):
    """What was looked at."""

    open: set[Path]
    value: Any
    at: int
    before: Any = _ABSENT
    """What it was at the look before that, at another time."""


class Values(Tree[Part], inherit_bindings=False):
    """A panel that shows one JSON document."""

    HEADING: ClassVar[str] = ""
    EMPTY: ClassVar[str] = "nothing"
    ICON_NODE = "▸ "
    ICON_NODE_EXPANDED = "▾ "
    COMPONENT_CLASSES: ClassVar[set[str]] = {"values--name", "values--changed", "values--count"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "cursor_up", show=False),
        Binding("down", "cursor_down", show=False),
        Binding("pageup", "page_up", show=False),
        Binding("pagedown", "page_down", show=False),
        Binding("home", "scroll_home", show=False),
        Binding("end", "scroll_end", show=False),
        Binding("enter", "toggle_node", show=False),
        Binding("right", "open", show=False),
        Binding("left", "close", show=False),
    ]
    DEFAULT_CSS = """
    Values {
        padding: 0 0 0 1;
        background: $background;
        scrollbar-size-vertical: 1;
        scrollbar-size-horizontal: 1;
        overflow-x: hidden;
        & > .values--name { color: $muted; }
        & > .values--changed { color: $primary; text-style: bold; }
        & > .values--count { color: $muted; }
        & > .tree--guides, & > .tree--guides-hover, & > .tree--guides-selected { color: $rule; }
        & > .tree--cursor { background: $background; color: $foreground; text-style: none; }
        & > .tree--highlight-line { background: $background; }
        &:focus {
            background-tint: $background 0%;
            & > .tree--cursor { background: $chosen; color: $foreground; text-style: bold; }
            & > .tree--guides, & > .tree--guides-hover, & > .tree--guides-selected { color: $rule; }
        }
        &:light > .tree--guides, &:light > .tree--guides-hover, &:light > .tree--guides-selected { color: $rule; }
    }
    """

    def __init__(self, *, classes: str | None = None) -> None:
        super().__init__("", Part("", {}, ()), classes=classes)
        self.show_root = False
        self.guide_depth = 2
        self.auto_expand = False
        self.what = ""
        """Whose values they are."""
        self._seen: dict[str, _Seen] = {}
        """What was looked at, by whose values they are."""

    def on_mount(self) -> None:
        """Show the heading before there are values."""
        self.border_title = self.HEADING

    def tell(self, what: str, value: Any, at: int = 0) -> None:  # noqa: ANN401 - any JSON there is
        """Show values.

        Args:
            what: whose they are; what is open is remembered for each.
            value: the document.
            at: when; what differs from the last look at another time is marked.
        """
        again = what == self.what
        seen = self._seen.pop(what, None)
        if seen is None:
            seen = _Seen(open=set(_first(value, ())), value=value, at=at)
        elif seen.at != at:
            seen.before, seen.value, seen.at = seen.value, value, at
        elif again and value == seen.value:
            self._seen[what] = seen
            return
        else:
            seen.value = value
        if len(self._seen) >= _REMEMBERED_MAX:
            del self._seen[next(iter(self._seen))]
        self._seen[what], self.what = seen, what
        at_path = self.cursor_node.data.path if self.cursor_node and self.cursor_node.data else ()
        top = self.scroll_offset
        self.clear()
        self._fill(self.root, value, seen.before, ())
        self.root.expand()
        if again:
            lines = {line.node.data.path: line.node for line in self._tree_lines if line.node.data}
            self.scroll_to(y=top.y, animate=False, immediate=True)
            found = next(
                (lines[at_path[:length]] for length in range(len(at_path), 0, -1) if at_path[:length] in lines), None
            )
            if found is not None:
                self.cursor_line = found.line
        else:
            self.cursor_line = 0 if self.root.children else -1
            self.scroll_to(y=0, animate=False, immediate=True)

    def fail(self, reason: str) -> None:
        """Say why there are no values."""
        self.what = ""
        self.clear()
        self.root.add_leaf("", Part("", reason, ("",)))
        self.root.expand()

    def _fill(self, node: TreeNode[Part], value: Any, before: Any, path: Path) -> None:  # noqa: ANN401 - any JSON
        seen = self._seen[self.what]
        for name, part_value, part_before in _parts(value, before):
            part_path = (*path, name)
            changed = seen.before is not _ABSENT and (part_before is _ABSENT or part_before != part_value)
            part = Part(name, part_value, part_path, changed)
            if _opens(part_value):
                child = node.add("", part, expand=part_path in seen.open)
                if child.is_expanded:
                    self._fill(child, part_value, part_before, part_path)
            else:
                node.add_leaf("", part)
        if isinstance(value, list) and len(value) > _SHOWN_MAX:
            text = f"the last {_SHOWN_MAX} of {counted(len(value), 'value')}"
            node.add_leaf("", Part("", text, (*path, "")), before=0)

    def on_tree_node_expanded(self, event: Tree.NodeExpanded[Part]) -> None:
        """Make the children of a node that is opened, and remember it."""
        part = event.node.data
        if part is None or not part.path or self.what not in self._seen:
            return
        self._seen[self.what].open.add(part.path)
        if not event.node.children:
            self._fill(event.node, part.value, self._past(part.path), part.path)

    def on_tree_node_collapsed(self, event: Tree.NodeCollapsed[Part]) -> None:
        """Remember that it is closed."""
        if event.node.data is not None and self.what in self._seen:
            self._seen[self.what].open.discard(event.node.data.path)

    def _past(self, path: Path) -> Any:  # noqa: ANN401 - any JSON
        """Return what stood at a path before."""
        found = self._seen[self.what].before
        for name in path:
            found = next((before for at, _, before in _parts(found, found) if at == name), _ABSENT)
        return found

    def action_open(self) -> None:
        """Open the line that is chosen, or go into it."""
        node = self.cursor_node
        if node is not None and node.allow_expand:
            if node.is_expanded:
                self.action_cursor_down()
            else:
                node.expand()

    def action_close(self) -> None:
        """Close the line that is chosen, or go out of it."""
        node = self.cursor_node
        if node is None:
            return
        if node.allow_expand and node.is_expanded:
            node.collapse()
        elif node.parent is not None and not node.parent.is_root:
            self.move_cursor(node.parent)

    def render_label(self, node: TreeNode[Part], base_style: Style, style: Style) -> Text:
        """Return one line: sign, name, value."""
        part = node.data
        if part is None:
            return Text("")
        opens, is_open = node.allow_expand, node.is_expanded
        sign = (self.ICON_NODE_EXPANDED if is_open else self.ICON_NODE) if opens else "  " * (len(part.path) == 1)
        name_style = self._part_style("values--name")
        value_style = self._part_style("values--changed") if part.changed else base_style
        text = Text.assemble((sign, base_style + name_style))
        if part.name:
            text.append(f"{words(part.name)} ", base_style + name_style)
        if not opens:
            text.append(_written(part), base_style + value_style)
        else:
            text.append(f"{len(part.value)} ", base_style + self._part_style("values--count"))
            if not is_open:
                text.append(preview(part.value), base_style + value_style)
        if self.has_focus:
            text.stylize(style)
        room = self.scrollable_content_region.width - _MARGIN_RIGHT - self.guide_depth * (len(part.path) - 1)
        text.truncate(max(1, room), overflow="ellipsis")
        return text

    def get_label_width(self, node: TreeNode[Part]) -> int:
        """Return the width of a line; nothing is ever wider than the panel, for it does not scroll sideways."""
        return 1 if node.data else 0

    def _part_style(self, name: str) -> Style:
        return self.get_component_rich_style(name, partial=True)


def _opens(value: Any) -> bool:  # noqa: ANN401 - any JSON
    """Return whether a value has parts of its own that are worth a line each."""
    return isinstance(value, dict | list) and bool(value)


def _parts(value: Any, before: Any) -> Iterable[tuple[str, Any, Any]]:  # noqa: ANN401 - any JSON
    """Return (name, value, what it was before) of what is in a value."""
    if isinstance(value, dict):
        old = before if isinstance(before, dict) else {}
        return [(str(name), part, old.get(name, _ABSENT)) for name, part in value.items()]
    if isinstance(value, list):
        olds = before if isinstance(before, list) else []
        start = max(0, len(value) - _SHOWN_MAX)
        return [
            (str(index), value[index], olds[index] if index < len(olds) else _ABSENT)
            for index in range(start, len(value))
        ]
    return ()


def _first(value: Any, path: Path) -> Iterable[Path]:  # noqa: ANN401 - any JSON
    """Return the paths that are open at the first sight."""
    for name, part, _ in _parts(value, _ABSENT):
        if isinstance(part, dict) and 0 < len(part) <= _OPEN_AT_ONCE[len(path)]:
            yield (*path, name)
            if len(path) + 1 < len(_OPEN_AT_ONCE):
                yield from _first(part, (*path, name))


def _written(part: Part) -> str:
    """Write a value that has no parts."""
    value = part.value
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and part.name.endswith("_ns") and value > _SINCE_NS:
        fraction = f"{value % _NS_PER_S:09}".rstrip("0")
        return f"{moment(value)}{'.' * bool(fraction)}{fraction} UTC"
    if isinstance(value, dict | list):
        return "{}" if isinstance(value, dict) else "[]"
    return words(str(value))


def preview(value: Any) -> str:  # noqa: ANN401 - any JSON
    """Write the beginning of what is inside a value."""
    if not _opens(value):
        return ""
    parts: list[str] = []
    length = 0
    for name, part, _ in _parts(value, _ABSENT):
        inner = _inner(part) if _opens(part) else _written(Part(name, part, ()))
        text = f"{words(name)}={inner}" if isinstance(value, dict) else inner
        parts.append(text)
        length += len(text) + 1
        if length > _PREVIEW_MAX:
            break
    return elide("  ".join(parts), _PREVIEW_MAX)


def _inner(value: Any) -> str:  # noqa: ANN401 - any JSON
    """Write what is inside a value that is inside another one: a short list of plain values, or that there is more."""
    if isinstance(value, list) and len(value) <= _INNER_MAX and not any(_opens(part) for part in value):
        return f"[{' '.join(_written(Part('', part, ())) for part in value)}]"
    return "…"
