r"""Pub/Sub's filter language (https://docs.cloud.google.com/pubsub/docs/filtering).

    expression = term { "AND" term } | term { "OR" term }       AND and OR mix only with parentheses
    term       = "NOT" term | "(" expression ")" | comparison
    comparison = "attributes" ":" key                           the message has the attribute
               | "attributes" "." key ( "=" | "!=" ) string     the value; != also matches if there is none
               | "hasPrefix" "(" "attributes" "." key "," string ")"
    key        = letters, digits, "-" and "_", or a string
    string     = in double quotes, with the escapes \\ \" \n \r \t \uXXXX

Keywords are upper case, everything is case-sensitive, and a filter has at most 256 bytes.
"""

import re
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

MAX_FILTER_BYTES = 256

type Predicate = Callable[[Mapping[str, str]], bool]
"""Tells whether a message with these attributes is delivered."""


class FilterError(ValueError):
    """Raised if a text is not a filter. Its message gives the position."""


def parse_filter(text: str) -> Predicate:
    """Compile a filter into a predicate on a message's attributes.

    Raises:
        FilterError: if the text is too long or not a filter.
    """
    if len(text.encode()) > MAX_FILTER_BYTES:
        raise FilterError(f"a filter has at most {MAX_FILTER_BYTES} bytes")
    parser = _Parser(_tokens(text))
    predicate = parser.expression()
    parser.expect("end")
    return predicate


_TokenKind = Literal["word", "string", "symbol", "end"]


class _Token(NamedTuple):
    kind: _TokenKind
    text: str
    position: int


_TOKEN = re.compile(r'\s*(?:(?P<word>[A-Za-z0-9_-]+)|(?P<string>"(?:[^"\\]|\\.)*")|(?P<symbol>!=|[:.=(),]))', re.DOTALL)
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))", re.DOTALL)
_ESCAPED = {"\\": "\\", '"': '"', "n": "\n", "r": "\r", "t": "\t"}


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise FilterError(f"unexpected character at {position}")
        if (word := match["word"]) is not None:
            tokens.append(_Token("word", word, match.start("word")))
        elif (string := match["string"]) is not None:
            start = match.start("string")
            tokens.append(_Token("string", _unescape(string[1:-1], start), start))
        else:
            tokens.append(_Token("symbol", match["symbol"], match.start("symbol")))
        position = match.end()
    tokens.append(_Token("end", "", end))
    return tokens


def _unescape(raw: str, position: int) -> str:
    def replace(match: re.Match[str]) -> str:
        if match[1] is not None:
            return chr(int(match[1], 16))
        if (character := _ESCAPED.get(match[2])) is not None:
            return character
        raise FilterError(f"unknown escape in the string at {position}")

    return _ESCAPE.sub(replace, raw)


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._next = 0

    def expression(self) -> Predicate:
        terms = [self._term()]
        operator = self._peek().text if self._at_word("AND", "OR") else ""
        while self._at_word("AND", "OR"):
            if self._take().text != operator:
                raise FilterError("AND and OR can be mixed only with parentheses")
            terms.append(self._term())
        if len(terms) == 1:
            return terms[0]
        together = all if operator == "AND" else any
        return lambda attributes: together(term(attributes) for term in terms)

    def expect(self, kind: _TokenKind, *texts: str) -> str:
        token = self._peek()
        if token.kind != kind or (texts and token.text not in texts):
            wanted = " or ".join(texts) or kind
            raise FilterError(f"expected {wanted} at {token.position}")
        return self._take().text

    def _term(self) -> Predicate:
        if self._at_word("NOT"):
            self._take()
            term = self._term()
            return lambda attributes: not term(attributes)
        if self._at_symbol("("):
            self._take()
            inner = self.expression()
            self.expect("symbol", ")")
            return inner
        return self._comparison()

    def _comparison(self) -> Predicate:
        if self.expect("word", "attributes", "hasPrefix") == "hasPrefix":
            return self._has_prefix()
        if self.expect("symbol", ":", ".") == ":":
            present = self._key()
            return lambda attributes: present in attributes
        key = self._key()
        operator = self.expect("symbol", "=", "!=")
        value = self.expect("string")
        if operator == "=":
            return lambda attributes: attributes.get(key) == value
        return lambda attributes: attributes.get(key) != value

    def _has_prefix(self) -> Predicate:
        self.expect("symbol", "(")
        self.expect("word", "attributes")
        self.expect("symbol", ".")
        key = self._key()
        self.expect("symbol", ",")
        prefix = self.expect("string")
        self.expect("symbol", ")")
        return lambda attributes: (value := attributes.get(key)) is not None and value.startswith(prefix)

    def _key(self) -> str:
        return self.expect("string" if self._peek().kind == "string" else "word")

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._tokens[self._next]
        self._next += 1
        return token

    def _at_word(self, *words: str) -> bool:
        token = self._peek()
        return token.kind == "word" and token.text in words

    def _at_symbol(self, symbol: str) -> bool:
        token = self._peek()
        return token.kind == "symbol" and token.text == symbol
