"""The templates of all pages: what they show is text, whatever a student wrote."""

from jinja2 import Environment, PackageLoader, StrictUndefined


def templates() -> Environment:
    return Environment(
        loader=PackageLoader("gradlib_homework"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
