"""Binds Python functions to the fields of the schema, as their resolvers.

Names are camelCase in GraphQL and snake_case here. A field without a resolver reads the key of its name from its row.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from graphql import GraphQLInputObjectType, GraphQLObjectType, GraphQLSchema, build_schema

Resolver = Callable[..., Any]
WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True)
class Fields:
    """The resolvers of one type of the schema."""

    type_name: str
    resolvers: dict[str, Resolver] = field(default_factory=dict)

    def field(self, name: str) -> Callable[[Resolver], Resolver]:
        """Registers the resolver of a field, called as (row, info, **arguments)."""

        def mark(resolver: Resolver) -> Resolver:
            self.resolvers[name] = resolver
            return resolver

        return mark


def snake_case(name: str) -> str:
    return WORD_START.sub("_", name).lower()


def bind(definitions: str, modules: Iterable[Fields]) -> GraphQLSchema:
    """The executable schema. A resolver of a field that the schema lacks is an error."""
    schema = build_schema(definitions, assume_valid=True)
    for graphql_type in schema.type_map.values():
        if isinstance(graphql_type, GraphQLInputObjectType):
            for name, item in graphql_type.fields.items():
                item.out_name = snake_case(name)
        elif isinstance(graphql_type, GraphQLObjectType) and not graphql_type.name.startswith("__"):
            for name, item in graphql_type.fields.items():
                item.resolve = _reader(snake_case(name))
                for argument_name, argument in item.args.items():
                    argument.out_name = snake_case(argument_name)
    for module in modules:
        fields = schema.type_map[module.type_name].fields  # type: ignore[attr-defined]
        for name, resolver in module.resolvers.items():
            fields[name].resolve = resolver
    return schema


def _reader(key: str) -> Resolver:
    def read(row: Any, _info: Any, **_arguments: Any) -> Any:
        value = row.get(key) if row is not None else None
        return value() if callable(value) else value

    return read
