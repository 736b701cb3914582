"""The OpenAPI document, made from the declarations alone. Knows no operation by name."""

from __future__ import annotations

import types
from typing import Any, Union, get_args, get_origin, get_type_hints

from api.identity.access import Access
from api.operations import Operation
from api.panda.kernel import Auth, Bare, Endpoint
from api.uploads import Upload

_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "code", "detail", "field", "remedy"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "stable; compare this, not the sentence"},
        "detail": {"type": "string"},
        "field": {"type": "string"},
        "remedy": {"type": "string"},
    },
}

_ENVELOPE = {
    "type": "object",
    "required": ["success", "message", "data"],
    "properties": {"success": {"type": "boolean"}, "message": {"type": "string"}, "data": {}},
}
_ENVELOPE_HERE = {"$ref": "#/components/schemas/PandaEnvelope"}


def openapi_document(
    operations: list[Operation], endpoints: dict[tuple[str, str], Endpoint], version: str
) -> dict[str, Any]:
    """The whole document (OpenAPI 3.1)."""
    schemas: dict[str, Any] = {"Problem": _PROBLEM, "PandaEnvelope": _ENVELOPE}
    paths: dict[str, Any] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _own(operation, schemas)
    for (module, name), found in sorted(endpoints.items()):
        entry = paths.setdefault(f"/api/v1/{module}/{name}", {})
        for method in found.methods:
            entry[method.lower()] = _panda(module, name, method, found)
    return {
        "openapi": "3.1.0",
        "info": {"title": "pandascope", "version": version, "description": "PanDA v1, monitor and control"},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _own(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": adapter.json_schema()}
        for name, adapter in operation.path_types.items()
    ]
    if operation.query_model is not None:
        schema = operation.query_model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        required = schema.get("required", [])
        parameters += [
            {"name": name, "in": "query", "required": name in required, "schema": kind}
            for name, kind in schema.get("properties", {}).items()
        ]
    entry: dict[str, Any] = {
        "summary": operation.summary,
        "tags": [operation.path.split("/")[2]],
        "x-access": operation.access.value,
        "parameters": parameters,
        "responses": _responses(operation),
    }
    if operation.body_model is not None:
        schema = operation.body_model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[operation.body_model.__name__] = schema
        reference = {"$ref": f"#/components/schemas/{operation.body_model.__name__}"}
        entry["requestBody"] = {"required": True, "content": {"application/json": {"schema": reference}}}
    if operation.access is not Access.OPEN:
        entry["security"] = [{"bearer": []}] + ([{}] if operation.access is Access.READER else [])
    return entry


def _responses(operation: Operation) -> dict[str, Any]:
    problem = {"content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    codes = {"4XX": "refused: the field and the remedy are named", "503": "the database does not answer"}
    answers = {code: {"description": text, **problem} for code, text in codes.items()}
    done = {"description": "done", "content": {"application/json": {"schema": {"type": "object"}}}}
    return {"200": done, **({"201": done} if operation.method == "POST" else {}), **answers}


def _panda(module: str, name: str, method: str, found: Endpoint) -> dict[str, Any]:
    is_bare = get_type_hints(found.function)["return"] is Bare
    answer = {"anyOf": [{"type": "string"}, _ENVELOPE_HERE]} if is_bare else _ENVELOPE_HERE
    entry: dict[str, Any] = {
        "summary": (found.function.__doc__ or "").strip().split("\n")[0],
        "operationId": f"{module}_{name}_{method.lower()}",
        "tags": [f"v1 {module}"],
        "responses": {
            "200": {
                "description": "done (success=true) or refused (success=false)",
                "content": {"application/json": {"schema": answer}},
            },
            "403": {
                "description": "unknown method or bad token",
                "content": {"application/json": {"schema": _ENVELOPE_HERE}},
            },
        },
    }
    required = [parameter for parameter in found.hints if parameter not in found.defaults]
    if method == "GET":
        entry["parameters"] = [
            {"name": parameter, "in": "query", "required": parameter in required, "schema": _schema(kind)}
            for parameter, kind in found.hints.items()
        ]
    else:
        properties = {parameter: _schema(kind) for parameter, kind in found.hints.items()}
        schema = {"type": "object", "properties": properties, "required": required}
        media = "multipart/form-data" if found.upload_name else "application/json"
        entry["requestBody"] = {"required": bool(required), "content": {media: {"schema": schema}}}
    if found.auth is not Auth.OPEN:
        entry["security"] = [{"bearer": []}]
    entry["x-access"] = found.auth.value
    return entry


def _schema(kind: Any) -> dict[str, Any]:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return {"anyOf": [_schema(option) for option in get_args(kind)]}
    if origin is list:
        return {"type": "array", "items": _schema(get_args(kind)[0])}
    if kind is Upload:
        return {"type": "string", "format": "binary"}
    plain = {int: "integer", str: "string", bool: "boolean", float: "number", dict: "object", type(None): "null"}
    return {"type": "object"} if origin is dict else ({"type": plain[kind]} if kind in plain else {})
