"""How programs die: tracebacks and exceptions of languages, crashes of compiled ones."""

from __future__ import annotations

import re
from collections.abc import Iterator

from logger.culprit.cleaning import Log
from logger.culprit.pattern import Found, Pattern, refinement, row

_TRACEBACK_HINT = "traceback (most recent call last)"
_TRACEBACK = re.compile(r"^[ |+-]*(?:Exception Group )?Traceback \(most recent call last\):$")
_GROUP_MARGIN = re.compile(r"^ *\|(?: \|)* ?")
_PATH_SEPARATOR = re.compile(r"[/\\]")
_FRAME = re.compile(r'File "([^"\n]*)", line \d+, in (\S+)')
_SECOND_HAND = re.compile(
    r"^(?:\w+\.)*(?:CalledProcessError|BrokenProcessPool|WorkerLostError|KeyboardInterrupt|SystemExit)\b"
)
"""Exceptions that only say that something else failed or ended them: a child has said why, or the batch system."""


def _python_traceback(log: Log) -> Iterator[Found]:
    """The exception line of the last traceback: of chained ones the one that got through to the end."""
    for header in reversed(log.lines_with((_TRACEBACK_HINT,))):
        end = log.end_of_line(header)
        if not _TRACEBACK.match(log.text[header:end]):
            continue
        if found := _exception_line(log, header, end):
            yield found


def _exception_line(log: Log, header: int, end: int) -> Found | None:
    where = ""
    margin = _GROUP_MARGIN.match(log.text[header:end])
    while end < len(log.text):
        start, end = end + 1, log.end_of_line(end + 1)
        line = log.text[start:end]
        content = line[margin.end() :] if margin and len(line) >= margin.end() else line
        if frame := _FRAME.search(content):
            where = f"{_PATH_SEPARATOR.split(frame[1])[-1]}:{frame[2]}"
        elif content and not content[0].isspace():
            return Found(start, end, where, is_second_hand=_SECOND_HAND.match(content) is not None)
    return None


PYTHON = (Pattern("python_traceback", (_TRACEBACK_HINT,), _python_traceback, "payload", "user"),)

PYTHON_EXCEPTIONS = (
    refinement(
        "python_import",
        ("importerror", "modulenotfounderror"),
        r"^[| ]*(?:ModuleNotFoundError|ImportError): ",
        "payload",
        "software",
    ),
    refinement(
        "python_memory",
        ("memoryerror",),
        r"^[| ]*MemoryError\b|^[| ]*numpy\.\S*MemoryError: Unable to allocate",
        "payload",
        "memory",
    ),
    refinement("python_oserror_28", ("oserror",), r"^[| ]*OSError: \[Errno (?:28|122)\]", error_class="disk"),
    refinement(
        "python_syntax",
        ("syntaxerror", "indentationerror", "taberror"),
        r"^[| ]*(?:SyntaxError|IndentationError|TabError): ",
        "payload",
        "user",
    ),
)

EXCEPTIONS = (
    row("java_memory", ("java.lang.outofmemoryerror",), r"java\.lang\.OutOfMemoryError: ", "payload", "memory"),
    row("java_cause", ("caused by: ",), r"^Caused by: [\w.$]+", "payload", "user"),
    row("java_exception", ("exception in thread",), r'^Exception in thread "', "payload", "user"),
    row(
        "go_panic",
        ("panic: ", "fatal error: "),
        r"^panic: |^fatal error: (?:all goroutines are asleep|concurrent map |stack overflow)",
        "payload",
        "user",
        "first",
    ),
    row("rust_panic", ("panicked at",), r"^thread '[^']*'.* panicked at ", "payload", "user", "first"),
)

_CRASH = re.compile(r"There was a crash\.")
_MIGHT_HINT = "the lines below might hint at the cause"
_STACK_FRAME = re.compile(r"#\d+ +0x[0-9a-f]+ in (?!__libc|_start)")


def _root_stack(log: Log) -> Iterator[Found]:
    """The first frame that is the user's; ROOT says itself from where on to look."""
    for hint in log.lines_with((_MIGHT_HINT,)):
        end = log.end_of_line(hint)
        while end < len(log.text):
            start, end = end + 1, log.end_of_line(end + 1)
            if _STACK_FRAME.match(log.text, start, end):
                yield Found(start, end)
    for start in log.lines_with(("there was a crash",)):
        end = log.end_of_line(start)
        if _CRASH.search(log.text, start, end):
            yield Found(start, end)


def _geant4(log: Log) -> Iterator[Found]:
    """The name of the exception, which stands below its head line; warnings have a head line of their own."""
    for start in reversed(log.lines_with(("g4exception-start",))):
        end = log.end_of_line(start)
        if "EEEE" in log.text[start:end]:
            yield Found(end + 1, log.end_of_line(end + 1))


CRASHES = (
    Pattern("root_stack", (_MIGHT_HINT, "there was a crash"), _root_stack, "payload", "user", pick="first"),
    row(
        "sanitizer",
        ("sanitizer: ", "runtime error: "),
        r"^==\d+==ERROR: (?:Address|Leak|Memory|Thread)Sanitizer: |: runtime error: .*overflow",
        "payload",
        "user",
        "first",
    ),
    row("valgrind", ("invalid ",), r"^==\d+== Invalid (?:read|write) of size", "payload", "user", "first"),
    row(
        "root_zombie",
        ("in <tfile::",),
        r"^(?:Error|Warning) in <TFile::(?:Init|Recover|ReadBuffer)>: .*(?:zombie|truncated|not a ROOT file|error reading)",
        error_class="data",
    ),
    row(
        "root_corrupt",
        ("r__unzip", "in <tbasket::", "::getbasket>"),
        r"^R__unzip: error|^Error in <(?:TBasket::\w+|TBranch\w*::GetBasket)>: ",
        error_class="data",
        pick="first",
    ),
    row(
        "root_dictionary",
        ("no dictionary for class", "cling"),
        r"^Error in <[^>]+>: .*no dictionary for class|\bcling\b.*(?:\bsymbol .* unresolved|undefined reference)",
        "payload",
        "software",
    ),
    Pattern("geant4", ("g4exception-start",), _geant4, "payload", "user"),
    row(
        "cmssw", ("an exception of category ",), r"^An exception of category '\w+' occurred", "payload", "user", "first"
    ),
    row("athena_fatal", (" fatal ",), r"^[A-Z][\w.]* +FATAL ", "payload", "user"),
    row("cpp_exception", ("what():",), r"^ *what\(\): ", "payload", "user"),
    row(
        "cpp_terminate",
        ("terminate called",),
        r"^terminate called (?:after throwing an instance of|without)",
        "payload",
        "user",
    ),
    row("assertion", ("assertion",), r"Assertion [`'].*' failed|^Assertion failed", "payload", "user"),
    row(
        "illegal_instruction",
        ("illegal instruction", "avx", "x86-64-v", "does not support"),
        r"Illegal instruction|^(?!.*fall(?:ing)? back).*(?:[Rr]equires? (?:AVX[\w-]*|x86-64-v\d)|\bCPU (?:.* )?does not support)",
        "payload",
        "node",
        "first",
    ),
    row(
        "segmentation_fault",
        ("segmentation", "bus error", "corrupt", "stack smashing", "floating point", "*** break"),
        r"[Ss]egmentation (?:fault|violation)|Bus error|double free or corruption"
        r"|(?:malloc|free)\(\): .*corrupt|stack smashing detected|[Ff]loating point exception|\*\*\* Break \*\*\*",
        "payload",
        "user",
        "first",
    ),
    row("root_error", (" in <",), r"^(?:Fatal|SysError|Error) in <[^>]+>: (?!\[(?:ERROR|FATAL)\])", "payload", "user"),
    row(
        "fortran",
        ("of file ", "fortran runtime error", "forrtl"),
        r"^(?:At line \d+ of file \S+|Fortran runtime error: |forrtl: severe)",
        "payload",
        "user",
    ),
    row(
        "r_error",
        ("error in ", "execution halted"),
        r"^Error in (?!<).*[:(]|^Execution halted",
        "payload",
        "user",
        "first",
    ),
    row(
        "julia_package",
        ("argumenterror: package ",),
        r"^ERROR: (?:LoadError: )?ArgumentError: Package \S+ .*not found",
        "payload",
        "software",
    ),
    row(
        "julia_error",
        ("error: ", "dimensionmismatch"),
        r"^ERROR: (?:(?:Load|Argument|Bounds|Method|UndefVar|Domain|Inexact|StackOverflow)Error|DimensionMismatch): ",
        "payload",
        "user",
    ),
    row(
        "matlab_idl",
        ("error using ", "execution halted at"),
        r"^Error using |^% Execution halted at",
        "payload",
        "user",
    ),
)
