"""Compiles GraphQL documents to Python functions, so that fields are looked up once a document and not once a row.

A listing of 100 versions has some 800 fields. graphql-core looks each of them up again, which takes ten times as long
as reading the records. It still parses, validates, and reads variables and arguments.

The module follows the specification's "Executing Selection Sets"
(https://spec.graphql.org/October2021/#sec-Executing-Selection-Sets), with one simplification: an error in any field
fails the whole request, so there are no partial responses.
"""

from collections.abc import Callable, Iterator
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLIncludeDirective,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    GraphQLSkipDirective,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    Visitor,
    get_argument_values,
    get_directive_values,
    get_variable_values,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
    visit,
)

from wandb_registry.errors import BadInput
from wandb_registry.graphql.engine import limits
from wandb_registry.graphql.engine.context import Context

Reader = Callable[[Any, "ResolveInfo"], Any]  # from a row to its part of the response
MOST_READERS = 50  # that a plan keeps; the SDK's documents need four at most
PASSED_THROUGH = {"String": str, "Boolean": bool, "Int": int, "Int64": int}  # values of these types need no conversion


class ResolveInfo:
    """What resolvers get as `info`: the request's context. It also caches the arguments of each field."""

    def __init__(self, context: Context, variables: Any):
        self.context = context
        self._variables = variables
        self._arguments: dict[int, dict[str, Any]] = {}
        self._objects = 0
        self._most = limits.MOST_OBJECTS_OF_CHANGE if context.changes else limits.MOST_OBJECTS

    def count_object(self) -> None:
        """Counts an object of the response. Raises BadInput above the limit: lists within lists multiply."""
        self._objects += 1
        if self._objects > self._most:
            raise BadInput(f"The answer would hold more than {self._most} objects. Ask for smaller pages.")

    def arguments(self, field: GraphQLField, node: FieldNode) -> dict[str, Any]:
        arguments = self._arguments.get(id(node))
        if arguments is None:
            arguments = self._arguments[id(node)] = get_argument_values(field, node, self._variables)
        return arguments


class Plan:
    """Executes one document. Several threads may use it at once."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode):
        self._schema, self._operation = schema, operation
        fragments = (node for node in document.definitions if isinstance(node, FragmentDefinitionNode))
        self._fragments = {node.name.value: node for node in fragments}
        self._directive_variables = _variables_in_directives(document)
        self._readers: dict[tuple, Reader] = {}

    def execute(self, context: Context, variable_values: dict[str, Any]) -> dict[str, Any]:
        """The data of the response. Raises GraphQLError for wrong variables, and what the resolvers raise."""
        variables = get_variable_values(self._schema, self._operation.variable_definitions or (), variable_values)
        if isinstance(variables, list):
            raise variables[0]
        # @skip and @include choose the fields of a response, so each combination of their variables has its reader
        directive_values = tuple(variables.coerced.get(name) for name in self._directive_variables)
        read = self._readers.get(directive_values)
        if read is None:
            if len(self._readers) >= MOST_READERS:
                self._readers.clear()
            root = self._schema.get_root_type(self._operation.operation)
            assert root is not None, "validated"
            read = self._readers[directive_values] = _Compiler(self._schema, self._fragments, variables).object(
                root, [self._operation.selection_set]
            )
        return read(None, ResolveInfo(context, variables))


class _Compiler:
    """Makes readers for one combination of the values that @skip and @include depend on."""

    def __init__(self, schema: GraphQLSchema, fragments: dict[str, FragmentDefinitionNode], variables: Any):
        self._schema, self._fragments, self._variables = schema, fragments, variables

    def object(self, kind: GraphQLObjectType, selected: list[SelectionSetNode]) -> Reader:
        """Reads an object of one type: a dict with a value for each selected field."""
        fields: dict[str, list[FieldNode]] = {}
        for selection_set in selected:
            for node in self._fields(kind, selection_set):
                fields.setdefault(node.alias.value if node.alias else node.name.value, []).append(node)
        readers = [(name, self._field(kind, nodes)) for name, nodes in fields.items()]

        def read(row: Any, info: ResolveInfo) -> dict[str, Any]:
            info.count_object()
            return {name: reader(row, info) for name, reader in readers}

        return read

    def _fields(self, kind: GraphQLObjectType, selection_set: SelectionSetNode) -> Iterator[FieldNode]:
        """The fields that a selection names for this type, directly or by fragments."""
        for node in selection_set.selections:
            if not self._is_included(node):
                continue
            if isinstance(node, FieldNode):
                yield node
                continue
            fragment = self._fragments[node.name.value] if isinstance(node, FragmentSpreadNode) else node
            assert isinstance(fragment, FragmentDefinitionNode | InlineFragmentNode)
            if self._applies(fragment, kind):
                yield from self._fields(kind, fragment.selection_set)

    def _is_included(self, node: Any) -> bool:
        skip = get_directive_values(GraphQLSkipDirective, node, self._variables)
        include = get_directive_values(GraphQLIncludeDirective, node, self._variables)
        return not (skip and skip["if"]) and (not include or include["if"])

    def _applies(self, fragment: FragmentDefinitionNode | InlineFragmentNode, kind: GraphQLObjectType) -> bool:
        if fragment.type_condition is None:
            return True
        condition = self._schema.type_map[fragment.type_condition.name.value]
        return condition is kind or (is_abstract_type(condition) and self._schema.is_sub_type(condition, kind))

    def _field(self, kind: GraphQLObjectType, nodes: list[FieldNode]) -> Reader:
        node = nodes[0]
        if node.name.value == "__typename":
            return lambda _row, _info: kind.name
        field = kind.fields[node.name.value]
        selected = [one.selection_set for one in nodes if one.selection_set]
        complete = self._complete(field.type, selected, f"{kind.name}.{node.name.value}")
        resolve: Any = field.resolve
        if field.args:
            return lambda row, info: complete(resolve(row, info, **info.arguments(field, node)), info)
        return lambda row, info: complete(resolve(row, info), info)

    def _complete(self, kind: GraphQLOutputType, selected: list[SelectionSetNode], field_name: str) -> Reader:
        """The reader that turns a resolver's result into the response's value: CompleteValue in the specification."""
        if is_non_null_type(kind):
            return self._non_null(self._complete(kind.of_type, selected, field_name), field_name)
        if is_leaf_type(kind):
            same, convert = PASSED_THROUGH.get(kind.name), kind.coerce_output_value
            return lambda value, _info: value if value is None or type(value) is same else convert(value)
        if is_list_type(kind):
            item = self._complete(kind.of_type, selected, field_name)
            return lambda rows, info: None if rows is None else [item(row, info) for row in rows]
        if is_object_type(kind):
            read = self.object(kind, selected)
            return lambda row, info: None if row is None else read(row, info)
        return self._abstract(kind, selected)

    def _non_null(self, complete: Reader, field_name: str) -> Reader:
        def read(value: Any, info: ResolveInfo) -> Any:
            completed = complete(value, info)
            if completed is None:
                raise GraphQLError(f"Cannot return null for non-nullable field {field_name}.")
            return completed

        return read

    def _abstract(self, kind: Any, selected: list[SelectionSetNode]) -> Reader:
        """Reads an interface or a union: each row tells its object type."""
        readers = {one.name: self.object(one, selected) for one in self._schema.get_possible_types(kind)}
        type_of = kind.resolve_type or (lambda row, _info, _kind: row["__typename"])
        return lambda row, info: None if row is None else readers[type_of(row, info, kind)](row, info)


def _variables_in_directives(document: DocumentNode) -> list[str]:
    """The names of the variables in @skip and @include."""
    names: set[str] = set()

    class Collect(Visitor):
        def enter_directive(self, node: Any, *_: Any) -> None:
            names.update(
                argument.value.name.value for argument in node.arguments if isinstance(argument.value, VariableNode)
            )

    visit(document, Collect())
    return sorted(names)
