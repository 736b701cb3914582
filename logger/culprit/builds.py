"""Compilers, linkers, build tools, package managers, and software that is not where it should be."""

from __future__ import annotations

from logger.culprit.pattern import row

_COMPILERS = (
    row(
        "compiler_memory",
        ("killed signal terminated program",),
        r"fatal error: Killed signal terminated program",
        "build",
        "memory",
        "first",
    ),
    row(
        "compiler_missing_header",
        ("fatal error: ",),
        r"fatal error: \S+: No such file or directory",
        "build",
        "software",
        "first",
    ),
    row(
        "compiler",
        ("error: ", "error #", "error[e", ".go:", "fehler: ", "erreur: ", "erreur : ", "错误："),
        r"^[^\s:][^:\n]*:\d+(?::\d+)?: ?(?:(?:fatal )?error: |(?:schwerwiegender )?Fehler: |erreur ?(?:fatale ?)?: "
        r"|(?:致命)?错误：)"
        r"|^(?:Fatal )?Error: .* at \(1\)"
        r"|^[^\s:(][^:(\n]*\(\d+\): (?:fatal |catastrophic )?error(?:: | #\d+: )"
        r"|^error\[E\d{4}\]: |^\S+\.go:\d+:\d+: ",
        "build",
        "user",
        "first",
    ),
)

SOFTWARE = (
    row(
        "shared_library",
        ("error while loading shared libraries", "cannot open shared object file", "symbol lookup error"),
        r"error while loading shared libraries: |symbol lookup error: "
        r"|^(?!.*(?:dlerror|ld\.so: object)).*cannot open shared object file",
        "payload",
        "software",
        "first",
    ),
    row(
        "glibc_version",
        ("glibc", "cxxabi"),
        r"version [`'](?:GLIBC|GLIBCXX|CXXABI)_[\d.]+' not found",
        "payload",
        "software",
        "first",
    ),
    row(
        "cvmfs",
        ("cvmfs", "cernvm-fs", "transport endpoint is not connected"),
        r"(?:cvmfs|CernVM-FS).*(?:failed to (?:mount|load)|Input/output error|Transport endpoint)"
        r"|Input/output error: '/cvmfs/|Transport endpoint is not connected"
        r"|/cvmfs/\S+: (?:Too many levels of symbolic links|Input/output error|Stale file handle)",
        "setup",
        "software",
        "first",
    ),
    row(
        "release_missing",
        (
            *("/cvmfs/", "release ", "nightly ", "unable to locate a modulefile"),
            *("lmod has detected the following error", "you requested"),
        ),
        r"/cvmfs/\S+: No such file or directory|No such file or directory: '/cvmfs/"
        r"|\b(?:release|nightly) \S+ (?:is |was )?not (?:found|installed)"
        r"|Unable to locate a modulefile|^Lmod has detected the following error: |\bNo release candidates found"
        r"|^Probing /cvmfs/\S+ Failed|^Error: The version of \S+ you requested .* is not available",
        "setup",
        "software",
        "first",
    ),
    row(
        "module_not_found",
        ("no module named ", "can't locate "),
        r"^\S*python[\d.]*: No module named |^Can't locate \S+ in @INC",
        "payload",
        "software",
        "first",
    ),
    row(
        "license",
        ("licens",),
        r"(?i:\bFLEX(?:net|lm) Licensing error|\blicense (?:checkout failed|manager error)|\bcannot connect to license server"
        r"|\blicensed number of users already reached|\bno (?:valid )?license (?:was |is )?(?:found|available)\b)",
        "payload",
        "software",
        "first",
    ),
)

PATTERNS = (
    *_COMPILERS,
    *SOFTWARE,
    row(
        "linker",
        (
            *("undefined reference", "undefined symbol", "cannot find -l", "collect2", "multiple definition of"),
            *("recompile with -fpic", "ld.lld: error: ", "file not recognized", "linker command failed"),
        ),
        r"undefined reference to |undefined symbol: |cannot find -l|^collect2: error|: multiple definition of "
        r"|recompile with -fPIC|\bld\.lld: error: |file not recognized: |: error: linker command failed",
        "build",
        "user",
        "first",
    ),
    row("cmake", ("cmake error",), r"^CMake Error", "build", "user", "first"),
    row("configure", ("configure: error: ",), r"^configure: error: (?!in [`'])", "build", "user"),
    row(
        "pip",
        (
            *(
                "could not ",
                "no matching distribution",
                "cannot install ",
                "failed building wheel",
                "no solution found",
            ),
            "externally-managed-environment",
        ),
        r"^ERROR: (?:Could not (?:find|install|build)|No matching distribution|Cannot install |Failed building wheel)"
        r"|^ *(?:× +|error: )?No solution found when resolving"
        r"|^ *error: externally-managed-environment",
        "build",
        "user",
        "first",
    ),
    row("conda", ("condahttperror",), r"\bCondaHTTPError\b", "setup", "network"),
    row(
        "conda_missing",
        ("packagesnotfounderror", "unsatisfiable", "notfound: could not find conda environment"),
        r"\bPackagesNotFoundError\b|^Environment(?:Name|Location)NotFound: "
        r"|\bLibMambaUnsatisfiableError\b|\bUnsatisfiableError\b",
        "setup",
        "user",
    ),
    row(
        "git",
        ("unable to access", "could not read from remote"),
        r"^fatal: (?:unable to access|Could not read from remote)",
        "build",
        "network",
    ),
    row("git_missing", ("repository",), r"^fatal: (?:repository .* not found|not a git repository)", "build", "user"),
)

MAKE = (
    row(
        "workflow",
        ("exception in ", "error in rule ", "error executing process", "workflowerror"),
        r"^(?:Missing(?:Input|Output)Exception|AmbiguousRuleException|CyclicGraphException) in |^WorkflowError\b"
        r"|^Error in rule \w+:|\bError executing process >",
        "payload",
        "user",
    ),
    row(
        "make",
        ("***", "ninja: error: ", "subprocess-exited-with-error"),
        r"^(?:\w*make(?:\[\d+\])?|[\w./-]+:\d+): \*\*\* |^ninja: error: |^ *error: subprocess-exited-with-error",
        "build",
        "user",
    ),
)
"""Late: most of their errors only say that a command failed, which has said why."""
