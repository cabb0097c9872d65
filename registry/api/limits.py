"""How much one GraphQL request may ask: enough for any question of the SDK, too little to keep the server busy."""

from graphql import DocumentNode, FieldNode, FragmentDefinitionNode, FragmentSpreadNode, OperationDefinitionNode
from graphql import SelectionSetNode as Selections

from registry.errors import BadInput

DEEPEST = 16  # the SDK's deepest document has 11 levels
MOST_ROOT_FIELDS = 50


def check(document: DocumentNode) -> None:
    """Refuses a valid document that nests too deeply, or asks too many things at once."""
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    known: dict[str, int] = {}

    def depth(selections: Selections | None) -> int:
        return max((level(node) for node in selections.selections), default=0) if selections else 0

    def level(node) -> int:
        if isinstance(node, FieldNode):
            return 1 + depth(node.selection_set)
        if isinstance(node, FragmentSpreadNode):
            name = node.name.value
            if name not in known:
                known[name] = depth(fragments[name].selection_set)
            return known[name]
        return depth(node.selection_set)

    for operation in document.definitions:
        if isinstance(operation, OperationDefinitionNode):
            if depth(operation.selection_set) > DEEPEST:
                raise BadInput(f"The GraphQL document nests more than {DEEPEST} levels deep.")
            if len(operation.selection_set.selections) > MOST_ROOT_FIELDS:
                raise BadInput(f"The GraphQL document asks more than {MOST_ROOT_FIELDS} things at once.")
