"""Limits of one GraphQL request: high enough for all requests of the SDK, too low to keep the server busy."""

from dataclasses import dataclass
from typing import Any

from graphql import DocumentNode, FieldNode, FragmentDefinitionNode, FragmentSpreadNode, OperationDefinitionNode
from graphql import SelectionSetNode as Selections

from wandb_registry.errors import BadInput, NotSupported

DEEPEST = 16  # the SDK's deepest document has 11 levels
MOST_ROOT_FIELDS = 50
MOST_FIELDS = 5_000  # with each fragment counted wherever it is spread; fifty versions with their memberships are 1,500
MOST_FIELDS_OF_SCHEMA = 500  # each stands for hundreds of types
OF_SCHEMA = ("__schema", "__type")
MOST_OBJECTS = 500_000  # in one answer
MOST_OBJECTS_OF_CHANGE = 100_000  # nobody else can write meanwhile; 10,000 files that are announced at once are 40,000


def refuse(given: dict[str, Any], what: str, *names: str) -> None:
    """Raises NotSupported if an input has one of these fields: to take it and do nothing would be a silent no."""
    for name in names:
        if given.get(name) not in (None, False, "", "{}", [], {}):
            raise NotSupported(f"'{name}' of {what}")


@dataclass(frozen=True)
class SelectionSize:
    """The size of a selection, with its fragments."""

    depth: int
    width: int  # fields at the first level
    names: frozenset[str]  # of the fields at the first level
    fields: int


def check(document: DocumentNode) -> frozenset[str]:
    """Returns the names of a valid document's root fields. Raises BadInput if it is too deep or too large.

    A fragment counts wherever it is spread.
    """
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    known: dict[str, SelectionSize] = {}

    def measure(selections: Selections | None) -> SelectionSize:
        parts = [of_node(node) for node in selections.selections] if selections else []
        return SelectionSize(
            depth=max((part.depth for part in parts), default=0),
            width=sum(part.width for part in parts),
            names=frozenset().union(*(part.names for part in parts)),
            fields=sum(part.fields for part in parts),
        )

    def of_node(node) -> SelectionSize:
        if isinstance(node, FieldNode):
            inside = measure(node.selection_set)
            return SelectionSize(1 + inside.depth, 1, frozenset((node.name.value,)), 1 + inside.fields)
        if isinstance(node, FragmentSpreadNode):
            name = node.name.value
            if name not in known:
                known[name] = measure(fragments[name].selection_set)
            return known[name]
        return measure(node.selection_set)

    operation = next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))
    size = measure(operation.selection_set)
    if size.depth > DEEPEST:
        raise BadInput(f"The GraphQL document nests more than {DEEPEST} levels deep.")
    if size.width > MOST_ROOT_FIELDS:
        raise BadInput(f"The GraphQL document asks more than {MOST_ROOT_FIELDS} things at once.")
    most = MOST_FIELDS if size.names.isdisjoint(OF_SCHEMA) else MOST_FIELDS_OF_SCHEMA
    if size.fields > most:
        raise BadInput(f"The GraphQL document asks for more than {most} fields.")
    return size.names
