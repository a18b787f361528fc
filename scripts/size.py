"""Count gradlib's lines of code, without docstrings, comments and blank lines."""

import ast
import io
import tokenize
from pathlib import Path

from execution import ROOT

MOST = 2350  # lines: about two hundred and ninety for each of eight chapters, what one reads in a day
NO_CODE = {
    tokenize.COMMENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
    tokenize.INDENT,
    tokenize.NEWLINE,
    tokenize.NL,
}


def modules() -> list[Path]:
    return sorted((ROOT / "gradlib").rglob("*.py"))


def lines(source: str) -> int:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    code = {
        line
        for token in tokens
        if token.type not in NO_CODE
        for line in range(token.start[0], token.end[0] + 1)
    }
    return len(code - docstring_lines(source))


def docstring_lines(source: str) -> set[int]:
    return {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }


def total() -> int:
    return sum(lines(module.read_text(encoding="utf-8")) for module in modules())


if __name__ == "__main__":
    for module in modules():
        print(f"{lines(module.read_text(encoding='utf-8')):5} {module.relative_to(ROOT)}")
    print(f"{total():5} of at most {MOST}")
