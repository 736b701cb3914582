"""How programs die: tracebacks and exceptions of languages, crashes of compiled ones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from logger.culprit import locales
from logger.culprit.cleaning import Log
from logger.culprit.pattern import Found, Pattern, refinement, row

_TRACEBACK_HINT = "traceback (most recent call last)"
_TRACEBACK = re.compile(r"^(.{0,100}?)(?:Exception Group )?Traceback \(most recent call last\):$")
_GROUP_MARGIN = re.compile(r"^ *\|(?: \|)* ?")
_DIGITS = re.compile(r"\d")
_PATH_SEPARATOR = re.compile(r"[/\\]")
_FRAME = re.compile(r'File "([^"\n]*)", line \d+, in (\S+)')
_SECOND_HAND = re.compile(
    r"^(?:\w+\.)*(?:CalledProcessError|BrokenProcessPool|WorkerLostError|TerminatedWorkerError|ChildFailedError|KeyboardInterrupt|SystemExit)\b"
)
"""Exceptions that only say that something else failed or ended them: a child has said why, or the batch system."""


_NO_EXCEPTION_OF_THE_PROGRAM = ("Exception ignored ", "--- Logging error ---")
"""Above tracebacks that ended nothing: of what is cleared away, and of a line that could not be logged."""
_CHAINED = ("During handling of the above exception", "The above exception was the direct cause")
_WITHOUT_WORDS = re.compile(r"^[\w.]+:\s*$")


_NEAR_LINES = 40


def _python_traceback(log: Log) -> Iterator[Found]:
    """The exception line of the last traceback: of chained ones the one that got through to the end, unless that one
    says nothing. One that only says that a child failed leaves it to the child's own, if that stands shortly before.
    Tracebacks of what ended nothing come last."""
    ignored: list[Found] = []
    silent: Found | None = None
    parent: Found | None = None
    for found, above in _tracebacks(log):
        if above and above[-1].startswith(_NO_EXCEPTION_OF_THE_PROGRAM):
            ignored.append(replace(found, is_second_hand=True))
        elif _is_chained(above) and _WITHOUT_WORDS.match(log.text[found.said : found.end]):
            silent = silent or found
        elif parent and log.text.count("\n", found.end, parent.head) > _NEAR_LINES:
            break
        else:
            parent = found if found.is_second_hand else None
            yield found
    yield from [silent] if silent else []
    yield from ignored


def _tracebacks(log: Log) -> Iterator[tuple[Found, list[str]]]:
    """The exception lines of all, the last first, each with the two lines above its traceback. The head of a chain is the
    one of its first traceback."""
    all_of_them: list[tuple[Found, list[str]]] = []
    for header in log.lines_with((_TRACEBACK_HINT,)):
        end = log.end_of_line(header)
        begins = _TRACEBACK.match(log.text[header:end])
        if not begins or not (found := _exception_line(log, header, end, begins[1])):
            continue
        above = log.lines_before(header, 2)
        if _is_chained(above) and all_of_them:
            found = replace(found, head=all_of_them[-1][0].head)
        all_of_them.append((found, above))
    yield from reversed(all_of_them)


def _is_chained(above: list[str]) -> bool:
    return len(above) > 1 and any(words in above[0] for words in _CHAINED)


def _exception_line(log: Log, header: int, end: int, prefix: str) -> Found | None:
    where = ""
    margin = _GROUP_MARGIN.match(prefix)
    before = prefix[: margin.end()] if margin else prefix
    is_before_all = _begins_alike(log.next_line(end), before)
    while end < len(log.text):
        start, end = end + 1, log.end_of_line(end + 1)
        line = log.text[start:end]
        said = (
            len(before) if is_before_all and (margin or _begins_alike(line, before)) and len(line) >= len(before) else 0
        )
        content = line[said:]
        if frame := _FRAME.search(content):
            where = f"{_PATH_SEPARATOR.split(frame[1])[-1]}:{frame[2]}"
        elif content and not content[0].isspace() and not content.startswith("> File"):
            is_second_hand = _SECOND_HAND.match(content) is not None
            return Found(start, end, where, is_second_hand, header, start + said)
    return None


def _begins_alike(line: str, prefix: str) -> bool:
    """Whether a line begins as another one does, times and numbers aside."""
    return _DIGITS.sub("0", line[: len(prefix)]) == _DIGITS.sub("0", prefix)


PYTHON = (Pattern("python_traceback", (_TRACEBACK_HINT,), _python_traceback, "payload", "user"),)

PYTHON_EXCEPTIONS = (
    refinement(
        "python_import",
        ("importerror", "modulenotfounderror"),
        r"^(?:E  )?[| ]*(?:ModuleNotFoundError|ImportError): ",
        "payload",
        "software",
    ),
    refinement(
        "python_memory",
        ("memoryerror",),
        r"^(?:E  )?[| ]*MemoryError\b|^(?:E  )?[| ]*numpy\.\S*MemoryError: Unable to allocate",
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
    row(
        "java_memory",
        ("java.lang.outofmemoryerror", "memory for the java runtime", "could not reserve enough space for"),
        r"java\.lang\.OutOfMemoryError: |insufficient memory for the Java Runtime Environment"
        r"|^(?:Error: )?Could not reserve enough space for ",
        "payload",
        "memory",
    ),
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
            elif _MIGHT_HINT in log.folded[start:end]:  # looked through by itself: each line once
                break
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


_R_ERROR = re.compile(r"^Error in (?!<|\S+ \(line \d).*[:(]")
_R_END = re.compile(r"^Execution halted")
_R_PLAIN_ERROR = re.compile(r"^Error: ")


def _r_error(log: Log) -> Iterator[Found]:
    """Where an error has no function it stands a few lines above the end."""
    for start in log.lines_with(("error in ", "execution halted")):
        end = log.end_of_line(start)
        line = log.text[start:end]
        if _R_ERROR.search(line):
            yield Found(start, end)
        elif _R_END.search(line):
            yield _above(log, start, _R_PLAIN_ERROR) or Found(start, end)


def _above(log: Log, start: int, expression: re.Pattern[str], reach: int = 12) -> Found | None:
    """The nearest line like that before the one at `start`."""
    for _ in range(reach):
        if start <= 0:
            break
        start, end = log.text.rfind("\n", 0, start - 1) + 1, start - 1
        if expression.search(log.text[start:end]):
            return Found(start, end)
    return None


_MATLAB_OR_IDL = re.compile(r"^Error using |^% Execution halted at")
_MATLAB_PLACE = re.compile(r"^Error in \S+ \(line \d+\)")
_ANY_WORD = re.compile(r"\w")


def _matlab_idl(log: Log) -> Iterator[Found]:
    """What MATLAB says of its own it says above the first place."""
    for start in reversed(log.lines_with(("error using ", "execution halted at"))):
        end = log.end_of_line(start)
        if _MATLAB_OR_IDL.search(log.text[start:end]):
            yield Found(start, end)
    for start in log.lines_with(("error in ",)):
        end = log.end_of_line(start)
        if _MATLAB_PLACE.search(log.text[start:end]):
            yield _above(log, start, _ANY_WORD) or Found(start, end)


_TEST_RESULTS = re.compile(r"^=+ (?:FAILURES|ERRORS) =+$")
_TEST_ERROR = re.compile(r"^E {3,}\S")


def _pytest(log: Log) -> Iterator[Found]:
    """The first line that pytest marks in what it shows of the failures."""
    for header in log.lines_with(("= failures =", "= errors =")):
        end = log.end_of_line(header)
        if not _TEST_RESULTS.match(log.text[header:end]):
            continue
        while end < len(log.text):
            start, end = end + 1, log.end_of_line(end + 1)
            line = log.text[start:end]
            if _TEST_ERROR.match(line):
                yield Found(start, end)
                break
            if _TEST_RESULTS.match(line):  # looked through by itself: each line once
                break


CRASHES = (
    Pattern("root_stack", (_MIGHT_HINT, "there was a crash"), _root_stack, "payload", "user", pick="first"),
    row(
        "sanitizer",
        ("sanitizer: ", "runtime error: "),
        r"^==\d+==ERROR: (?:Address|Leak|Memory|Thread)Sanitizer: |^WARNING: ThreadSanitizer: "
        r"|^==\d+==WARNING: MemorySanitizer: |: runtime error: .*(?:overflow|null pointer|out of bounds|division by zero)",
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
    row("pythia", ("pythia abort",), r"\bPYTHIA Abort from ", "payload", "user"),
    Pattern("pytest", ("= failures =", "= errors ="), _pytest, "payload", "user", pick="first"),
    row(
        "ctest",
        (" (failed)", " (segfault)", " (timeout)", " (not run)", " (exception)", ": failure"),
        r"^\s+\d+ - \S+ \((?:Failed|SEGFAULT|Timeout|Not Run|Subprocess aborted|ILLEGAL|Exception)\)|^\S+:\d+: Failure$",
        "payload",
        "user",
        "first",
    ),
    Pattern("geant4", ("g4exception-start",), _geant4, "payload", "user"),
    row(
        "cmssw", ("an exception of category ",), r"^An exception of category '\w+' occurred", "payload", "user", "first"
    ),
    row(
        "athena_fatal",
        (" fatal ",),
        r"^(?:[\d-]{8,10} )?(?:\d\d:\d\d:\d\d(?:[.,]\d+)? )?[A-Z][\w.:]* +FATAL (?!Caught )",
        "payload",
        "user",
    ),
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
        (
            *("illegal instruction", "avx", "x86-64-v", "does not support", "instructions, but these"),
            *locales.hints(*locales.ILLEGAL_INSTRUCTION),
        ),
        rf"Illegal instruction|compiled to use .* instructions, but these aren't available"
        rf"|{locales.any_of(*locales.ILLEGAL_INSTRUCTION)}"
        r"|^(?!.*fall(?:ing)? back).*(?:[Rr]equires? (?:AVX[\w-]*|x86-64-v\d)|\bCPU (?:.* )?does not support)",
        "payload",
        "node",
        "first",
    ),
    row(
        "segmentation_fault",
        (
            *("segmentation", "bus error", "corrupt", "stack smashing", "floating point", "*** break"),
            *("lloc(): ", "free(): ", "_chunk(): ", "invalid pointer", "was not allocated", "#  sig"),
            *locales.hints(*locales.CRASHED),
        ),
        r"^(?!.*(?i:\b(?:install|register)(?:ed|ing|s)?\b.*\b(?:signal|handler))).*?"
        r"(?:[Ss]egmentation (?:fault|violation)|Bus error|double free or corruption|corrupted (?:double-linked list|size vs)"
        r"|\b(?:malloc|free|realloc|calloc|munmap_chunk)\(\): |stack smashing detected|[Ff]loating point exception"
        r"|\*\*\* Break \*\*\*|[Aa]ttempt to free invalid pointer|pointer being freed was not allocated"
        rf"|^#  SIG[A-Z]+ \(0x|{locales.any_of(*locales.CRASHED)})",
        "payload",
        "user",
        "first",
    ),
    row(
        "root_error",
        (" in <",),
        r"^(?:Fatal|SysError|Error) in <(?!TUnixSystem::FindDynamicLibrary|TInterpreter::AutoLoad|TGClient::"
        r"|TUnixSystem::SetDisplay)[^>]+>: "
        r"(?!\[(?:ERROR|FATAL)\])",
        "payload",
        "user",
    ),
    row(
        "fortran",
        ("of file ", "fortran runtime error", "forrtl", "error stop"),
        r"^(?:At line \d+ of file \S+|Fortran runtime error: |forrtl: severe|ERROR STOP\b)",
        "payload",
        "user",
    ),
    Pattern("r_error", ("error in ", "execution halted"), _r_error, "payload", "user", pick="first"),
    row(
        "julia_package",
        ("argumenterror: package ",),
        r"^ERROR: (?:LoadError: )?ArgumentError: Package \S+ .*not found",
        "payload",
        "software",
    ),
    row(
        "julia_error",
        ("error: ",),
        r"^ERROR: (?:(?:Load|Argument|Assertion|Bounds|Divide|Domain|EOF|Inexact|Init|IO|Key|Method|Overflow|StackOverflow"
        r"|StringIndex|System|Type|UndefKeyword|UndefRef|UndefVar)Error|DimensionMismatch|TaskFailedException"
        r"|CompositeException)(?:: |\()",
        "payload",
        "user",
    ),
    Pattern("matlab_idl", ("error using ", "error in ", "execution halted at"), _matlab_idl, "payload", "user"),
)
