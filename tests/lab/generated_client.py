"""A client made from an OpenAPI file: one method for each operationId, every answer held against what the file says.

It knows nothing of the lab; what the file does not say it cannot ask. ``called`` are the operations that were used.
"""

from __future__ import annotations

import base64
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

METHODS = ("get", "put", "post", "patch", "delete")
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


class ContractError(AssertionError):
    """The server or the caller does what the file does not say."""


class ApiError(Exception):
    """An answer that the file describes as an error."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class GeneratedClient:
    """``client.getDevice(eid=...)``; ``body=`` is what goes along as JSON."""

    def __init__(self, document: dict[str, Any], base: str) -> None:
        self.document = document
        self.base = base
        self.called: set[str] = set()
        self.operations: dict[str, tuple[str, str, dict[str, Any]]] = {}
        for path, item in document["paths"].items():
            for method in METHODS:
                if method in item:
                    self.operations[item[method]["operationId"]] = (method.upper(), path, item[method])

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in self.operations:
            raise AttributeError(name)
        return lambda **values: self._call(name, values)

    def request_of(self, name: str, values: dict[str, Any]) -> urllib.request.Request:
        """The request of an operation; ``ContractError`` when the values are not those of the file."""
        method, path, operation = self.operations[name]
        values = dict(values)
        body = values.pop("body", None)
        query = {}
        headers = {}
        for parameter in operation.get("parameters", []):
            key = parameter["name"]
            if key not in values:
                if parameter.get("required"):
                    raise ContractError(f"{name} wants {key}")
                continue
            value = values.pop(key)
            self.check(parameter["schema"], value, key)
            match parameter["in"]:
                case "path":
                    path = path.replace(f"{{{key}}}", urllib.parse.quote(str(value), safe=""))
                case "query":
                    query[key] = value
                case "header":
                    headers[key] = str(value)
        if values:
            raise ContractError(f"{name} takes no {', '.join(values)}")
        data = None
        if "requestBody" in operation:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            self.check(schema, body, "body")
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        elif body is not None:
            raise ContractError(f"{name} takes no body")
        url = self.base + path + (f"?{urllib.parse.urlencode(query)}" if query else "")
        return urllib.request.Request(url, data, headers, method=method)

    def _call(self, name: str, values: dict[str, Any]) -> Any:
        request = self.request_of(name, values)
        self.called.add(name)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                status, kind, content = answer.status, answer.headers.get_content_type(), answer.read()
        except urllib.error.HTTPError as error:
            with error:
                status, kind, content = error.code, error.headers.get_content_type(), error.read()
        responses = self.operations[name][2]["responses"]
        if str(status) not in responses:
            raise ContractError(f"{name} answered {status}, which the file does not know: {content[:200]!r}")
        response = self.resolved(responses[str(status)])
        if "content" not in response:
            if content:
                raise ContractError(f"{name} answered {len(content)} bytes with {status}")
            return None
        if kind not in response["content"]:
            raise ContractError(f"{name} answered {kind}")
        document = json.loads(content)
        self.check(response["content"][kind]["schema"], document, name)
        if status >= 400:
            raise ApiError(status, document["error"]["code"], document["error"]["message"])
        return document

    def resolved(self, node: dict[str, Any]) -> dict[str, Any]:
        """What a ``$ref`` leads to."""
        while "$ref" in node:
            found: Any = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            node = found
        return node

    def check(self, schema: dict[str, Any], value: Any, where: str) -> None:
        """``ContractError`` when the value is not of the schema."""
        schema = self.resolved(schema)
        unknown = set(schema) - {
            *("type", "properties", "required", "additionalProperties", "items", "enum", "pattern", "minimum"),
            *("maximum", "minItems", "description", "default", "contentEncoding"),
        }
        assert not unknown, f"this client does not know {unknown}"
        kinds = schema.get("type", list(_TYPES))
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if not any(isinstance(value, _TYPES[kind]) and not (kind != "boolean" and value is True) for kind in kinds):
            raise ContractError(f"{where} is {value!r}, not {' or '.join(kinds)}")
        if "enum" in schema and value not in schema["enum"]:
            raise ContractError(f"{where} is {value!r}, none of {schema['enum']}")
        if isinstance(value, str):
            if "pattern" in schema and not re.search(schema["pattern"], value):
                raise ContractError(f"{where} is {value!r}")
            if schema.get("contentEncoding") == "base64":
                base64.b64decode(value, validate=True)
        if isinstance(value, int | float) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
            raise ContractError(f"{where} is {value}")
        if isinstance(value, list):
            if len(value) < schema.get("minItems", 0):
                raise ContractError(f"{where} is too short")
            for one in value:
                self.check(schema.get("items", {}), one, f"{where}[]")
        if isinstance(value, dict):
            properties, more = schema.get("properties", {}), schema.get("additionalProperties", True)
            for name in schema.get("required", []):
                if name not in value:
                    raise ContractError(f"{where} has no {name}")
            for name, one in value.items():
                if name in properties:
                    self.check(properties[name], one, f"{where}.{name}")
                elif more is False:
                    raise ContractError(f"{where} has {name}")
                elif isinstance(more, dict):
                    self.check(more, one, f"{where}.{name}")
