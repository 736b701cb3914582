"""The culprit line: the shortest logs there can be, and every text there can be. Whole logs: test_patterns.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logger.culprit import MAX_CONTEXT_BYTES, MAX_LINE_CHARACTERS, around, context_of, find_culprit

_CHAINED = """start
Traceback (most recent call last):
  File "/srv/job/count.py", line 3, in read
    int(text)
    ~~~^^^^^^
ValueError: invalid literal for int() with base 10: 'x'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/srv/job/count.py", line 9, in <module>
    main()
  File "/srv/job/count.py", line 7, in main
    raise RuntimeError("cannot count\\nthe second line")
RuntimeError: cannot count
the second line
payload ends
"""
_GROUP = """  + Exception Group Traceback (most recent call last):
  |   File "/srv/a.py", line 1, in <module>
  |     raise ExceptionGroup("many", errors)
  | ExceptionGroup: many (1 sub-exception)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/srv/b.py", line 5, in inner
    |     1/0
    | ZeroDivisionError: division by zero
    +------------------------------------
"""
_JAVA = """Exception in thread "main" java.lang.RuntimeException: outer
\tat A.main(A.java:5)
Caused by: java.lang.NullPointerException: inner
\tat B.run(B.java:7)
\t... 1 more
"""
SAMPLES = [
    ("python_traceback", _CHAINED, "RuntimeError: cannot count"),
    ("python_traceback", _GROUP, "| ZeroDivisionError: division by zero"),
    ("java_cause", _JAVA, "Caused by: java.lang.NullPointerException: inner"),
    (
        "java_exception",
        'x\nException in thread "main" java.lang.Error: no\n\tat A.main(A.java:5)\n',
        'Exception in thread "main" java.lang.Error: no',
    ),
    (
        "go_panic",
        "ok\npanic: runtime error: index out of range\n\ngoroutine 1 [running]:\n",
        "panic: runtime error: index out of range",
    ),
    ("rust_panic", "thread 'main' panicked at src/main.rs:2:5:\nboom\n", "thread 'main' panicked at src/main.rs:2:5:"),
    ("out_of_memory", "terminate called\n  what():  std::bad_alloc\nAborted\n", "what():  std::bad_alloc"),
    (
        "oom_slurm",
        "slurmstepd: error: Detected 1 oom-kill event(s)\nKilled\n",
        "slurmstepd: error: Detected 1 oom-kill event(s)",
    ),
    (
        "disk_full",
        "cp: error writing 'x': No space left on device\nfailed\n",
        "cp: error writing 'x': No space left on device",
    ),
    (
        "cpp_exception",
        "terminate called after throwing an instance of 'X'\n  what():  bad input\nAborted\n",
        "what():  bad input",
    ),
    (
        "assertion",
        "a.out: a.c:3: main: Assertion `x > 0' failed.\nAborted\n",
        "a.out: a.c:3: main: Assertion `x > 0' failed.",
    ),
    (
        "segmentation_fault",
        "run.sh: line 3:  17 Segmentation fault      (core dumped) ./a.out\nafter\n",
        "run.sh: line 3:  17 Segmentation fault      (core dumped) ./a.out",
    ),
    (
        "compiler",
        "main.cpp: In function 'int main()':\nmain.cpp:3:5: error: 'x' was not declared\nmain.cpp:9:1: error: second\n",
        "main.cpp:3:5: error: 'x' was not declared",
    ),
    (
        "linker",
        "/usr/bin/ld: a.o: in function `main':\na.c:(.text+0x5): undefined reference to `foo'\ncollect2: error: ld\n",
        "a.c:(.text+0x5): undefined reference to `foo'",
    ),
    (
        "shared_library",
        "./a.out: error while loading shared libraries: libx.so.1: cannot open shared object file\n",
        "./a.out: error while loading shared libraries: libx.so.1: cannot open shared object file",
    ),
    (
        "python_exception",
        '    int("x")\nValueError: the head of this log is cut off\n',
        "ValueError: the head of this log is cut off",
    ),
    ("curl", "curl: (28) Operation timed out\nerror: cannot fetch\n", "curl: (28) Operation timed out"),
    (
        "gfal_missing",
        "gfal-copy error: 2 (No such file or directory) - x\n",
        "gfal-copy error: 2 (No such file or directory) - x",
    ),
    (
        "checksum_mismatch",
        "ERROR pilot: adler32 mismatch on input file a.txt\nbye\n",
        "ERROR pilot: adler32 mismatch on input file a.txt",
    ),
    (
        "command_not_found",
        "hello\nrun.sh: line 2: frobnicate: command not found\n",
        "run.sh: line 2: frobnicate: command not found",
    ),
    ("command_not_found", "sh: 1: frobnicate: not found\n", "sh: 1: frobnicate: not found"),
    ("shell", "cat: x.txt: No such file or directory\ndone\n", "cat: x.txt: No such file or directory"),
    ("make", "make[1]: *** No rule to make target 'x'.  Stop.\n", "make[1]: *** No rule to make target 'x'.  Stop."),
    (
        "killed",
        "working\nrun.sh: line 5:   99 Killed                  ./big\nend\n",
        "run.sh: line 5:   99 Killed                  ./big",
    ),
    ("perl", "Illegal division by zero at x.pl line 3.\n", "Illegal division by zero at x.pl line 3."),
    ("fatal", "2026-11-21 FATAL the end is near\nERROR other\n", "2026-11-21 FATAL the end is near"),
    ("error", "errors: 0\nError: no events\nerror: 0\ndone\n", "Error: no events"),
    ("failure", "0 failed\nconnection refused by host\nbye\n", "connection refused by host"),
    (
        "pilot_verdict",
        "WARNING job 7 fails: 1165 Local output file is missing: o.txt\nINFO could not clean up\n",
        "WARNING job 7 fails: 1165 Local output file is missing: o.txt",
    ),
    (
        "production_pilot",
        'Traceback (most recent call last):\n  File "x", line 1, in y\n'
        "pilot.common.exception.PilotException: error code: 1165, message: Local output file is missing\n"
        "details: output pfn file/directory does not exist: /d/o.txt\n",
        "details: output pfn file/directory does not exist: /d/o.txt",
    ),
    ("last_line", "one\ntwo\n\n   \n", "two"),
]


@pytest.mark.parametrize(("pattern", "log", "line"), SAMPLES)
def test_the_line_that_names_the_cause_is_found(pattern: str, log: str, line: str) -> None:
    culprit = find_culprit(log)
    assert culprit is not None
    assert (culprit.pattern, culprit.text) == (pattern, line)
    assert log.split("\n")[culprit.line_number - 1].strip() == line


def test_a_traceback_tells_the_failing_function() -> None:
    chained, group = find_culprit(_CHAINED), find_culprit(_GROUP)
    assert chained is not None and chained.where == "count.py:main" and chained.line_number == 15
    assert group is not None and group.where == "b.py:inner"


def test_an_empty_log_has_no_culprit() -> None:
    assert find_culprit("") is None
    assert find_culprit(" \n\n\t\n") is None


def test_escape_sequences_progress_bars_and_carriage_returns_do_not_hide_it() -> None:
    log = "\x1b[1;31mstart\x1b[0m\r\n 10%\r 50%\r100%\r\n\x1b]0;title\x07\x1b[31mValueError: red\x1b[0m\r\n"
    culprit = find_culprit(log)
    assert culprit is not None
    assert (culprit.line_number, culprit.text) == (3, "ValueError: red")
    assert [text for _, text in around(log, 2)] == ["start", "100%", "ValueError: red"]


def test_huge_lines_no_newline_and_binary_are_survived() -> None:
    culprit = find_culprit("ValueError: " + "x" * 1_000_000)
    assert culprit is not None and len(culprit.text) == MAX_LINE_CHARACTERS
    binary = bytes(range(256)) * 100 + b"\nOSError: disk\n" + bytes(range(256))
    found = find_culprit(binary)
    assert found is not None and found.text == "OSError: disk"


def test_around_gives_the_neighbours_with_their_numbers() -> None:
    log = "\n".join(f"line {number}" for number in range(1, 101)) + "\n"
    lines = around(log, 50, 2)
    assert lines == [(48, "line 48"), (49, "line 49"), (50, "line 50"), (51, "line 51"), (52, "line 52")]
    assert around(log, 1, 1) == [(1, "line 1"), (2, "line 2")]
    assert around(log, 100, 1) == [(99, "line 99"), (100, "line 100")]


_LINES = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        [
            "Traceback (most recent call last):",
            '  File "x.py", line 1, in f',
            "    code",
            "ValueError: x",
            "",
            "\x1b[",
            "a\rb",
            "error:",
        ]
    ),
)


@given(st.lists(_LINES, max_size=30).map("\n".join))
def test_any_text_has_a_culprit_among_its_lines_or_is_blank(log: str) -> None:
    culprit = find_culprit(log)
    if culprit is None:
        return
    assert culprit.text and "\n" not in culprit.text and len(culprit.text) <= MAX_LINE_CHARACTERS
    assert 1 <= culprit.line_number <= log.count("\n") + 1
    [(number, line)] = around(log, culprit.line_number, 0)
    assert number == culprit.line_number
    assert culprit.text in line or line.endswith(" [cut]")


@given(st.binary(max_size=2000))
def test_any_bytes_are_survived(log: bytes) -> None:
    find_culprit(log)
    around(log, 3)


def test_the_pilots_verdict_is_shown_without_what_every_line_of_its_log_begins_with() -> None:
    log = "2026-11-21T11:49:15Z INFO    starts\n2026-11-21T11:49:17Z WARNING job 39 fails: 1165 Local output file is missing\n"
    culprit = find_culprit(log)
    assert culprit is not None
    assert (culprit.line_number, culprit.text) == (2, "1165 Local output file is missing")


def test_lines_around_keep_their_indentation() -> None:
    assert around("a\n    b\nc", 2, 0) == [(2, "    b")]


_PRODUCTION_PILOT = """- Log from pilotlog.txt -
2026-11-26 11:27:01,346 | DEBUG    | pilot.util.container | execute          | communicate() will use timeout=864000 s
2026-11-26 11:27:01,365 | INFO     | pilot.control.job    | add_memory_info  | memory information not available: failed
"""


def test_what_the_production_pilot_says_all_the_time_is_no_cause() -> None:
    assert find_culprit(_PRODUCTION_PILOT) is None


def test_a_warning_of_the_production_pilot_is_shown_without_where_it_stood() -> None:
    said = "2026-11-26 11:27:02,001 | WARNING  | pilot.control.data   | stage_out        | failed to find o.txt\n"
    culprit = find_culprit(_PRODUCTION_PILOT + said + _PRODUCTION_PILOT)
    assert culprit is not None
    assert (culprit.line_number, culprit.text) == (4, "failed to find o.txt")


@pytest.mark.parametrize(
    ("log", "line"),
    [
        (
            "curl: (28) Operation timed out\nretrying in 5 s\nstaged in 3 files\nError: no events\nbye\n",
            "Error: no events",
        ),
        ("connect: Connection refused, will retry\nERROR no histogram\n", "ERROR no histogram"),
        ("attempt 1 of 3: connect: Connection refused\nfitting\nError: no events\n", "Error: no events"),
        (
            "attempt 2 of 3: connect: Connection refused\nattempt 3 of 3: connect: No route to host\nbye\n",
            "attempt 3 of 3: connect: No route to host",
        ),
        ("curl: (7) no answer\nattempt 2 of 2\ncurl: (28) too slow\nbye\n", "curl: (28) too slow"),
        (
            'Traceback (most recent call last):\n  File "a.py", line 3, in get\n    requests.get(url)\n'
            "requests.exceptions.ConnectTimeout: no answer\nretrying in 5 s\nreading\nError: no events\n",
            "Error: no events",
        ),
        (
            "connect: Connection refused, giving up after the last retry\nError: x\n",
            "connect: Connection refused, giving up after the last retry",
        ),
    ],
)
def test_a_line_that_was_tried_again_is_no_cause(log: str, line: str) -> None:
    culprit = find_culprit(log)
    assert culprit is not None and culprit.text == line


def test_a_line_that_was_tried_again_counts_when_there_is_no_other() -> None:
    culprit = find_culprit("connect: Connection refused, retrying\nall is well\n")
    assert culprit is not None
    assert (culprit.line_number, culprit.pattern, culprit.error_class) == (1, "refused_connection", "network")


_CHILD = """g++ -c fit.cxx
fit.cxx:3:5: error: 'x' was not declared in this scope
Traceback (most recent call last):
  File "/srv/run.py", line 3, in <module>
    subprocess.run(["make"], check=True)
subprocess.CalledProcessError: Command '['make']' returned non-zero exit status 2.
"""


def test_an_exception_that_only_says_that_a_child_failed_is_left_for_what_the_child_said() -> None:
    child, alone = find_culprit(_CHILD), find_culprit(_CHILD.split("\n", 2)[2])
    assert child is not None and (child.pattern, child.line_number) == ("compiler", 2)
    assert alone is not None and alone.pattern == "python_traceback" and alone.where == "run.py:<module>"


def test_an_exception_is_told_apart_by_what_its_line_says() -> None:
    frame = 'Traceback (most recent call last):\n  File "/srv/leak.py", line 3, in grow\n    data += [0] * 10**9\n'
    memory = find_culprit(frame + "MemoryError\n")
    assert memory is not None
    assert (memory.pattern, memory.where, memory.step, memory.error_class) == (
        "python_memory",
        "leak.py:grow",
        "payload",
        "memory",
    )
    missing = find_culprit(frame + "KeyError: 'pt_cut'\n")
    assert missing is not None and (missing.step, missing.error_class) == ("payload", "user")


def test_the_lines_to_keep_are_around_the_culprit_and_bounded() -> None:
    log = "\n".join([*(f"before {number}" for number in range(40)), "ValueError: x", *["é" * 600] * 40])
    culprit = find_culprit(log)
    assert culprit is not None and culprit.line_number == 41
    kept = context_of(log, culprit)
    lines = kept.lines.split("\n")
    assert len(kept.lines.encode()) <= MAX_CONTEXT_BYTES
    before = kept.culprit_line_number - kept.first_line_number
    assert lines[before] == "ValueError: x"
    assert 15 < before <= 20 and abs(before - (len(lines) - before - 1)) <= 1
    short = context_of("only\n", find_culprit("only\n") or culprit)
    assert (short.first_line_number, short.culprit_line_number, short.lines) == (1, 1, "only")


def test_a_character_that_grows_when_folded_does_not_shift_what_is_found() -> None:
    culprit = find_culprit("İİİ starts\nİİ ok\nERROR İ is wrong\nbye\n")
    assert culprit is not None and (culprit.line_number, culprit.text) == (3, "ERROR İ is wrong")
