"""Runs GraphQL requests. The SDK sends the same texts over and over, so each is parsed and validated once.

A mutation is one transaction: when its response is sent, the change is on disk; after an error nothing has changed.
"""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    execute_sync,
    parse,
    validate,
)

from wandb_registry.db.connection import Connection
from wandb_registry.errors import (
    BadInput,
    BucketAway,
    DatabaseAway,
    InternalError,
    NotSupported,
    RegistryError,
    from_system,
)
from wandb_registry.graphql import (
    accounts,
    approvals,
    artifacts,
    claims,
    collections,
    deprecated_fields,
    links,
    projects,
    refusals,
    registries,
    runs,
    sweeps,
    uploads,
    viewer,
)
from wandb_registry.graphql.engine import binding, limits
from wandb_registry.graphql.engine.content_check import ContentCheck, Unread
from wandb_registry.graphql.engine.context import Context
from wandb_registry.graphql.engine.plan import Plan
from wandb_registry.model.access import Viewer
from wandb_registry.model.runs import resumed_parts
from wandb_registry.store import Store

log = logging.getLogger("wandb_registry")
MODULES = (
    viewer,
    projects,
    runs,
    sweeps,
    artifacts,
    uploads,
    claims,
    collections,
    links,
    registries,
    approvals,
    accounts,
    deprecated_fields,
)
ASKS_TO_RESUME = "RunResumeStatus"  # the SDK's query before it announces a run that it may resume
LARGEST_DOCUMENT = 20_000  # tokens; the SDK's longest has about 1,000


@dataclass(frozen=True)
class PreparedRequest:
    """A valid document, ready to execute with any variables."""

    execute: Callable[[Context, dict[str, Any]], dict[str, Any]]
    changes: bool
    name: str
    root_fields: frozenset[str]


@dataclass(frozen=True)
class ExecutionResult:
    """A response: the body's JSON, and the HTTP status."""

    body: dict[str, Any]
    status: int = 200


class Executor:
    """Executes requests on one store."""

    def __init__(self, store: Store):
        self.store = store
        self.schema = make_schema()
        self.prepare = lru_cache(maxsize=1000)(self._prepare)

    def run(
        self, viewer: Viewer, request: Any, base_url: str, from_pipeline: bool, shares_run: bool = False
    ) -> ExecutionResult:
        """Executes a request body. Raises BadInput if it is none.

        To the SDK's pipeline a refusal has status 200, which it reports best, unless it should ask again. In shared
        mode a process `shares_run`.
        """
        if not isinstance(request, dict) or not isinstance(request.get("query"), str):
            raise BadInput("A GraphQL request is a JSON object with the text of a 'query'.")
        variables = request.get("variables") or {}
        if not isinstance(variables, dict):
            raise BadInput("'variables' must be a JSON object.")
        prepared = self.prepare(request["query"])
        contents = ContentCheck(self.store.blobs)
        result, owners = None, []
        try:
            while result is None:
                with suppress(Unread), self._transaction(prepared.changes) as db:
                    may_start_over = from_pipeline and not shares_run
                    owners = []
                    context = Context(
                        viewer, db, self.store, base_url, prepared.changes, contents, may_start_over, owners
                    )
                    answer = prepared.execute(context, variables)
                    contents.raise_if_unread()
                    status = 200 if from_pipeline or not context.left_out else context.left_out[0].status
                    result = ExecutionResult(error_body(*context.left_out, data=answer), status)
                    if prepared.name == ASKS_TO_RESUME and not (answer.get("model") or {}).get("bucket"):
                        contents.afterwards(lambda: self._note_that_asked(viewer, variables))
                if result is None:
                    contents.read()
            contents.finish()
            return result
        except Exception as failure:
            error = _readable(failure)
        if owners and error.status < 500:
            with suppress(RegistryError), self.store.db.write() as db:
                refusals.tell(db, owners, error)
        repeats = isinstance(error, DatabaseAway | BucketAway) or "upsertBucket" in prepared.root_fields
        status = 200 if from_pipeline and not repeats else error.status
        return ExecutionResult(error_body(error), status)

    def _note_that_asked(self, viewer: Viewer, variables: dict[str, Any]) -> None:
        with self.store.db.write() as db:
            resumed_parts.note_that_asked(db, viewer, variables)

    def _transaction(self, changes: bool) -> AbstractContextManager[Connection]:
        return self.store.db.write() if changes else self.store.db.read()

    def _prepare(self, query: str) -> PreparedRequest:
        try:
            document = parse(query, max_tokens=LARGEST_DOCUMENT)
            errors = validate(self.schema, document, hide_suggestions=True)
        except GraphQLError as error:
            raise BadInput(f"The GraphQL document can't be read: {error.message}") from None
        operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
        if errors or len(operations) != 1:
            name = _name(operations[0]) if operations else "This request"
            reason = errors[0].message if errors else "one operation a request is expected."
            raise BadInput(f"'{name}' is not supported by this registry: {reason}")
        names = limits.check(document)
        is_introspection = not names.isdisjoint(limits.OF_SCHEMA)
        return PreparedRequest(
            execute=self._introspection(document)
            if is_introspection
            else Plan(self.schema, document, operations[0]).execute,
            changes=operations[0].operation is OperationType.MUTATION,
            name=_name(operations[0]),
            root_fields=names,
        )

    def _introspection(self, document: DocumentNode) -> Callable[[Context, dict[str, Any]], dict[str, Any]]:
        """Executes an introspection of the schema, with which older SDKs begin."""

        def execute(context: Context, variables: dict[str, Any]) -> dict[str, Any]:
            result: Any = execute_sync(self.schema, document, context_value=context, variable_values=variables)
            if result.errors:
                raise result.errors[0]
            return result.data

        return execute


def make_schema() -> GraphQLSchema:
    """The schema with its resolvers. A root field without one raises NotSupported instead of returning null."""
    definitions = (Path(__file__).parent / "schema.graphql").read_text()
    schema = binding.bind(definitions, [fields for module in MODULES for fields in module.FIELDS])
    resolved = {(fields.type_name, name) for module in MODULES for fields in module.FIELDS for name in fields.resolvers}
    schema.type_map["ArtifactCollection"].resolve_type = collections.type_name  # type: ignore[attr-defined]
    for root in filter(None, (schema.query_type, schema.mutation_type)):
        for name, field in root.fields.items():
            if (root.name, name) not in resolved:
                field.resolve = _refusal(name)
    return schema


def error_body(*errors: RegistryError, data: dict[str, Any] | None = None) -> dict[str, Any]:
    """Errors in the form that GraphQL and the SDK expect, beside the `data` that there are all the same."""
    told = [{"message": str(error), "extensions": {"code": error.code}} for error in errors]
    return {"data": data} | ({"errors": told} if told else {})


def _name(operation: OperationDefinitionNode) -> str:
    return operation.name.value if operation.name else "This request"


def _refusal(name: str):
    def refuse(_row, _info, **_arguments):
        raise NotSupported(f"'{name}'")

    return refuse


def _readable(error: Exception) -> RegistryError:
    if isinstance(error, GraphQLError):
        error = error.original_error or BadInput(error.message)
    if isinstance(error, GraphQLError):
        return BadInput(error.message)
    if isinstance(error, RegistryError):
        return error
    if known := from_system(error):
        return known
    log.error("A resolver failed: %s", error, exc_info=error)
    return InternalError()
