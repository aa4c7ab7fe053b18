"""`/docs`: the endpoints and their fields in plain HTML. FastAPI's own page would load scripts from elsewhere."""

from html import escape

from ..io.json_types import JsonObject

EXAMPLES = {"aspect": "16:9"}  # of fields that must be sent
STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;"
    "padding:0 1rem}pre{overflow:auto;padding:.7rem;border:1px solid #8886;border-radius:6px}"
    "table{border-collapse:collapse}td,th{padding:.2rem 1rem .2rem 0;text-align:left;vertical-align:top}"
    "td+td+td{overflow-wrap:anywhere}"
)


def docs_page(schema: JsonObject, address: str) -> str:
    """The page.

    Args:
        schema: The OpenAPI document.
        address: Address of the service, for the examples.
    """
    info = schema["info"]
    parts = [
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{escape(info['description'])}</p>",
        '<p>The OpenAPI document, for clients and tools, is <a href="openapi.json">openapi.json</a>.</p>',
    ]
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            parts.append(f"<h2><code>{method.upper()} {escape(path)}</code></h2>")
            parts.append(f"<p>{escape(operation.get('description') or operation['summary'])}</p>")
            if "requestBody" in operation:
                parts += _request(path, operation, address)
    body = "\n".join(parts)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
        f"<body>\n{body}\n</body></html>"
    )


def _request(path: str, operation: JsonObject, address: str) -> list[str]:
    fields = operation["requestBody"]["content"]["multipart/form-data"]["schema"]
    required = fields.get("required", [])
    files = [name for name, value in fields["properties"].items() if value.get("format") == "binary"]
    rows = [
        f"<tr><td><code>{escape(name)}</code></td><td>{'required' if name in required else ''}"
        f"{escape(_default(value))}</td><td>{escape(_describe(value))}</td></tr>"
        for name, value in sorted(fields["properties"].items(), key=lambda item: item[0] not in required)
    ]
    words = [f"-F {name}=@{'photo' if name == 'image' else name}.jpg" for name in files]
    words += [f"-F {name}={EXAMPLES[name]}" for name in required if name not in files]
    answers = ", ".join(operation["responses"]["200"]["content"])
    return [
        f"<table><tr><th>field</th><th>default</th><th>meaning</th></tr>{''.join(rows)}</table>",
        f"<p>Answers, by the header <code>Accept</code>: {escape(answers)}.</p>",
        f"<pre>curl {escape(' '.join(words))} {escape(address)}{escape(path)}</pre>",
    ]


def _default(value: JsonObject) -> str:
    default = value.get("default")
    return "" if default in (None, []) else str(default).lower()


def _describe(value: JsonObject) -> str:
    choices = value.get("enum")
    return value.get("description", "") + (f" One of {', '.join(choices)}." if choices else "")
