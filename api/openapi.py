"""The OpenAPI document, made from the declarations alone. Knows no operation by name.

Old methods (/server/panda) are in it as what they are: renames of v1 functions whose every parameter is text.
"""

from __future__ import annotations

import types
from typing import Any, Union, get_args, get_origin, get_type_hints

from api.identity.access import Access
from api.operations import Operation
from api.panda.casting import describe
from api.panda.kernel import Auth, Bare, Endpoint
from api.panda.legacy import LEGACY_METHODS, LegacyMethod
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
        "trace_id": {"type": "string", "description": "of this request, where requests are traced (docs/metrics.md)"},
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
    for name, old in LEGACY_METHODS.items():
        if (target := endpoints.get((old.module, old.function))) is not None:
            methods = ("POST", "PUT") if target.upload_name else ("GET", "POST")
            paths[f"/server/panda/{name}"] = {method.lower(): _legacy(name, method, old, target) for method in methods}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "pandascope",
            "version": version,
            "description": "PanDA v1 and its old methods, monitor, control",
        },
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
        "responses": _responses(operation, schemas),
    }
    if operation.body_model is not None:
        schema = operation.body_model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[operation.body_model.__name__] = schema
        reference = {"$ref": f"#/components/schemas/{operation.body_model.__name__}"}
        entry["requestBody"] = {"required": True, "content": {"application/json": {"schema": reference}}}
    if operation.raw_types:
        entry["requestBody"] = {"required": True, "content": {kind: {"schema": {}} for kind in operation.raw_types}}
    if operation.access is not Access.OPEN:
        entry["security"] = [{"bearer": []}] + ([{}] if operation.access is Access.READER else [])
    return entry


def _responses(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    problem = {"content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    codes = {"4XX": "refused: the field and the remedy are named", "503": "the database does not answer"}
    answers = {code: {"description": text, **problem} for code, text in codes.items()}
    answer: dict[str, Any] = {"type": "object"}
    if (model := operation.answer_model) is not None:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
        answer = {"$ref": f"#/components/schemas/{model.__name__}"}
    done = {"description": "done", "content": {"application/json": {"schema": answer}}}
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
            **{
                code: {"description": said, "content": {"application/json": {"schema": _ENVELOPE_HERE}}}
                for code, said in {"403": "unknown method or bad token", "503": "the database does not answer"}.items()
            },
        },
        "x-access": found.auth.value,
    }
    required = [parameter for parameter in found.hints if parameter not in found.defaults]
    properties = {parameter: _with_default(found, parameter) for parameter in found.hints}
    if method == "GET":
        entry["parameters"] = _query(properties, required)
        if found.takes_any:
            anything = {"type": "object", "additionalProperties": {"type": "string"}}
            entry["parameters"].append({"name": "any", "in": "query", "explode": True, "schema": anything})
    else:
        media = "multipart/form-data" if found.upload_name else "application/json"
        entry["requestBody"] = _body(media, properties, required)
    if found.auth is not Auth.OPEN:
        entry["security"] = [{"bearer": []}]
    return entry


def _legacy(name: str, method: str, old: LegacyMethod, found: Endpoint) -> dict[str, Any]:
    old_names = {new: before for before, new in old.names.items()}
    required = [old_names.get(parameter, parameter) for parameter in found.hints if parameter not in found.defaults]
    properties = {
        old_names.get(parameter, parameter): _schema(kind)
        if kind is Upload
        else {"type": "string", "description": f"{parameter} of v1: {describe(kind)}"}
        for parameter, kind in found.hints.items()
    }
    entry: dict[str, Any] = {
        "summary": f"The old name of {old.module}/{old.function}.",
        "operationId": f"legacy_{name}_{method.lower()}",
        "tags": ["old methods"],
        "responses": {
            code: {"description": said, "content": {"application/json": {"schema": {}}}}
            for code, said in {"200": "done or refused", "403": "unknown method or bad token"}.items()
        },
        "x-access": found.auth.value,
    }
    if old.must_arrive:
        text = {"text/plain": {"schema": {"type": "string"}}}
        entry["responses"]["503"] = {"description": "not kept; to be sent again", "content": text}
    if method == "GET":
        entry["parameters"] = _query(properties, required)
    else:
        media = "multipart/form-data" if found.upload_name else "application/x-www-form-urlencoded"
        entry["requestBody"] = _body(media, properties, required)
    if found.auth is not Auth.OPEN:
        entry["security"] = [{"bearer": []}]
    return entry


def _query(properties: dict[str, Any], required: list[str]) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "query", "required": name in required, "schema": schema}
        for name, schema in properties.items()
    ]


def _body(media_type: str, properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": required}
    return {"required": bool(required), "content": {media_type: {"schema": schema}}}


def _with_default(found: Endpoint, parameter: str) -> dict[str, Any]:
    default = found.defaults.get(parameter)
    return _schema(found.hints[parameter]) | ({} if default is None else {"default": default})


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
