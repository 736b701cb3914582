"""The names that tell troubles apart: what is missing, undefined or asserted. Version 3 keeps them out of the shapes.

Two jobs without a header have one trouble when it is the same header, whoever quotes it and wherever it was looked for.
A row is for one way to say so: words of which one must be in the text (cheap), and an expression whose groups are names.
Frozen with version 3. Every expression is linear: no repeated group holds another repetition of the same characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from logger.fingerprints.words import MEANINGLESS

_LONGEST_NAME = 80
_A = "['\"`‘“]?"
"""An opening quotation mark or none."""
_Q = "['\"`‘“]"
_E = "['\"’”`]"
_N = r"[^\s'\"`‘“’”,;()\[\]{}]{1,200}"
"""A name as it is written without spaces: dots, dashes, slashes and signs of C++ may be in it."""
_START = r"(?<![^\s'\"`‘“’”,;()\[\]{}])"
"""Where such a name begins: not in the middle of one."""
_W = r"[^'\"`‘“’”\n]{1,300}"
"""What stands between quotation marks."""


@dataclass(frozen=True)
class _Way:
    hints: tuple[str, ...]
    expression: re.Pattern[str]
    plain: Callable[[str], str]


def _way(hints: str, expression: str, plain: Callable[[str], str] | None = None) -> _Way:
    return _Way(tuple(hints.split("|")), re.compile(expression), plain or _base)


def kept_names(text: str) -> str:
    """The text with each such name as one word of letters, unquoted, so that nothing takes it for something that varies."""
    low = text.lower()
    for way in _WAYS:
        if any(hint in low for hint in way.hints):
            text = way.expression.sub(partial(_replaced, way.plain), text)
    return text


def _replaced(plain: Callable[[str], str], match: re.Match[str]) -> str:
    """The match with its groups as words, and without the quotation marks around them."""
    parts, end = [], match.start()
    for group in range(1, len(match.groups()) + 1):
        if match[group] is None:
            continue
        parts += [match.string[end : match.start(group)].rstrip("'\"`‘“"), _word(plain(match[group]))]
        end = match.end(group)
    return " ".join([*parts, match.string[end : match.end()].lstrip("'\"’”`")])


_IDENTIFIER = re.compile(r"(?<![^_])(?=[a-fA-F]*\d)[0-9a-fA-F]{6,}(?![^_])")
_NUMBERS = re.compile(r"(?:\d+|<n>)(?:_?(?:\d+|<n>))*")
_NO_WORD = re.compile(r"[^\w\ue000-\ue007]+")


def _word(name: str) -> str:
    """As one word of letters: numbers and identifiers in it vary."""
    word = _NO_WORD.sub("_", name.replace("<n>", "0")[: 4 * _LONGEST_NAME]).strip("_")
    word = _NUMBERS.sub("<n>", _IDENTIFIER.sub("<n>", word))[:_LONGEST_NAME]
    if not word.strip("_"):
        return " <text> "
    return f"name_{word}" if word.lower() in MEANINGLESS else word


def _whole(name: str) -> str:
    return name


def _base(name: str) -> str:
    """A name in a directory of the machine's is the name alone; boost/version.hpp and gcc/12 are names."""
    if name.startswith(("/", "./", "../", "~", "@")):
        return name.rstrip("/").rsplit("/", 1)[-1]
    return name


def _library(name: str) -> str:
    """libCore of /a/libCore.so.6.28."""
    return re.split(r"(?:\.\d+){0,4}\.(?:so|dylib|dll)\b", name.rsplit("/", 1)[-1], maxsplit=1)[0]


def _module(name: str) -> str:
    """Foo/Bar.pm is Foo::Bar."""
    return name.removesuffix(".pm")


_OPERATORS = (
    *(("->", " "), ("<=", " le "), (">=", " ge "), ("==", " eq "), ("!=", " ne "), ("&&", " both "), ("||", " or ")),
    *(("<", " lt "), (">", " gt "), ("!", " not "), ("+", " plus "), ("*", " times "), ("/", " over "), ("%", " mod ")),
)


def _condition(text: str) -> str:
    """`x > 0` and `x < 0` are two, so that signs are words."""
    for sign, word in _OPERATORS:
        text = text.replace(sign, word)
    return text


_WAYS: tuple[_Way, ...] = (
    # versions of symbols: GLIBC_2.34, GLIBCXX_3.4.29, CXXABI_1.3.13
    _way("not found", rf"\b[Vv]ersion {_A}([A-Za-z][\w.]{{1,80}}){_E}? not found"),
    # headers, modules of Fortran, styles of LaTeX
    _way("fatal error", rf"(?i)\bfatal error:? {_A}({_N}?){_E}?(?: file not found\b|: no such file or directory\b)"),
    _way("module file", rf"\bmodule file {_Q}({_W}){_E}"),
    _way("latex error", rf"LaTeX Error: File {_Q}({_W}){_E} not found"),
    # modules and packages
    _way("no module named", rf"\bNo module named {_A}([\w.\-\ue000-\ue007]{{1,200}}){_E}?", _whole),
    _way(
        "cannot import name",
        rf"\bcannot import name {_A}(\w{{1,200}}){_E}?(?: from (?:partially initialized module )?{_Q}([\w.]{{1,200}}){_E})?",
        _whole,
    ),
    _way("no package called", rf"\bno package called {_A}({_N}){_E}?", _whole),
    _way("load failed for", rf"\bload failed for {_A}({_N}){_E}", _whole),
    _way("object ", rf"\bobject {_Q}([\w.]{{1,200}}){_E} not found", _whole),
    _way(
        "t locate ", r"\bt locate (?!object method)(?:loadable object for module )?([\w:/]{1,200}(?:\.p[ml])?)", _module
    ),
    _way("package", rf"\b(?:via|from) package {_Q}([\w:]{{1,200}}){_E}", _whole),
    _way(
        "are unknown|cannot be loaded as requested",
        r"(?:are unknown|cannot be loaded as requested): ?((?:[\"'][^\"'\n]{1,80}[\"'],? {0,3}){1,8})",
        _whole,
    ),
    _way("module cannot be found", rf"\b[Mm]odule cannot be found: {_A}({_N})", _whole),
    _way("a modulefile for", rf"\ba modulefile for {_A}({_N})", _whole),
    _way(
        "annot find",
        rf"\b[Cc]annot find (?:the )?(?:module|package|library|program|executable|command) {_A}({_N})",
    ),
    _way(
        "classnotfound|noclassdeffound", r"\b(?:ClassNotFoundException|NoClassDefFoundError): ([\w./$]{1,200})", _whole
    ),
    _way("nosuchmethoderror|nosuchfielderror", rf"\b(?:NoSuchMethodError|NoSuchFieldError): {_A}({_W})", _whole),
    _way("provided by", rf"\bconfiguration file provided by {_Q}({_W}){_E}", _whole),
    _way("by not providing", rf"\bnot providing {_Q}({_W}){_E}", _whole),
    _way("no package", rf"\b[Nn]o package {_Q}({_W}){_E} found", _whole),
    _way("required by", rf"\b[Pp]ackage {_Q}({_W}){_E},? required by", _whole),
    _way("no such file to load|cannot load such file", r"\b(?:to load|such file) -- (\S{1,200})"),
    # libraries
    _way("shared libraries", rf"\bwhile loading shared libraries: ({_N}?): ", _library),
    _way("shared object file", rf"(?<!\S){_A}({_N}?\.so(?:\.\d+){{0,4}}): cannot open shared object file", _library),
    _way("library not loaded", rf"\bLibrary not loaded: {_A}({_N})", _library),
    _way("load library|load dynamic library", rf"\bload (?:dynamic )?library {_Q}({_W}){_E}", _library),
    _way("_rdict.pcm", r"(?<!\S)\S{0,200}?(\w{1,80})_rdict\.pcm", _whole),
    _way("make target", rf"\bto make target {_Q}({_W}){_E}(?:, needed by {_Q}({_W}){_E})?"),
    # commands
    _way("command not found", rf"{_START}({_N}): command not found"),
    _way("env: ", rf"\benv: {_A}({_N}?){_E}?: No such file or directory"),
    _way("executable file not found", rf"\bexec: {_Q}({_W}){_E}: executable file not found"),
    _way("is not recognized", rf"{_Q}({_W}){_E} is not recognized as an internal or external command"),
    # symbols and names of code
    _way(
        "undefined reference|multiple definition",
        rf"\b(?:undefined reference to|multiple definition of) {_Q}({_W}){_E}",
        _whole,
    ),
    _way("undefined symbol", rf"\b[Uu]ndefined symbol: ?{_A}([\w.$@?:~]{{1,300}}?)[.:]?(?![\w.$@?:~])", _whole),
    _way("undefined symbols for", rf"\bUndefined symbols for architecture \w{{1,20}}:?\s{{1,9}}{_Q}({_W}){_E}", _whole),
    _way("referenced from", rf"{_Q}({_W}){_E}, referenced from\b", _whole),
    _way("symbol not found", rf"\b[Ss]ymbol not found:? {_A}([\w.$@]{{1,300}})", _whole),
    _way(
        "declared|does not name a type",
        rf"{_Q}([\w:~]{{1,200}}){_E} (?:was not declared|has not been declared|undeclared|does not name a type)",
        _whole,
    ),
    _way("no matching function", rf"\bno matching function for call to {_Q}({_W}){_E}", _whole),
    _way(
        "variable|identifier|class|package|extension|plugin|executable|program|constant|column|relation|table|namespace"
        "|library|option|argument|flag",
        r"\b(?:variables?|identifier|class|[Pp]ackage|extension|plugin|executable|program|constant|column|relation|table"
        rf"|namespace|library|option|argument|flag):? {_Q}\$?\{{?([\w.:+-]{{1,200}})\}}?{_E}",
        _whole,
    ),
    # variables of the environment
    _way(
        "not set|unset|undefined|not defined",
        rf"{_Q}\$?\{{?([A-Za-z_]\w{{1,99}})\}}?{_E} (?:is |was |must be )?(?:not set|unset|undefined|not defined)\b",
        _whole,
    ),
    _way("keyerror", rf"\bKeyError: {_Q}([A-Z][A-Z0-9_]{{2,99}}){_E}", _whole),
    # what a program had taken for granted
    _way("assertion", rf"\b[Aa]ssertion:? {_Q}([^\n]{{1,300}}?){_E} failed", _condition),
    _way("assertion failure", rf"\b[Aa]ssertion failure:? {_Q}({_W}){_E}", _condition),
    _way("assertion failed", r"\b[Aa]ssertion failed: \(([^\n]{1,300}?)\), ", _condition),
    _way("assert", r"\bassert\(([^\n]{1,300}?)\)(?: failed|$|\n)", _condition),
)
