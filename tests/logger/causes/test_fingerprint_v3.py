"""Fingerprints of version 3: what is missing, undefined or asserted tells troubles apart, however and wherever it is said."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as some

from logger.fingerprints import ALGORITHM, NAME_KINDS, NameKind, TroubleFacts, fingerprint, normalised_words
from logger.fingerprints.words import MAX_TOKENS

APART = [
    (
        "./fit: /lib64/libc.so.6: version `GLIBC_2.34' not found (required by ./fit)",
        "./fit: /lib64/libstdc++.so.6: version `GLIBCXX_3.4.29' not found (required by ./fit)",
    ),
    (
        "fit.cc:3:10: fatal error: foo.h: No such file or directory",
        "fit.cc:3:10: fatal error: bar.h: No such file or directory",
    ),
    (
        "fit.cc:3:10: fatal error: boost/version.hpp: No such file or directory",
        "fit.cc:3:10: fatal error: boost/config.hpp: No such file or directory",
    ),
    (
        "fit.cc:3:10: fatal error: 'TFile.h' file not found",
        "fit.cc:3:10: fatal error: 'TTree.h' file not found",
    ),
    (
        "ModuleNotFoundError: No module named 'numpy.core'",
        "ModuleNotFoundError: No module named 'numpy.linalg'",
    ),
    (
        "ModuleNotFoundError: No module named 'a'",
        "ModuleNotFoundError: No module named 'b'",
    ),
    (
        "/usr/bin/python3: No module named my-tool",
        "/usr/bin/python3: No module named my-fit",
    ),
    (
        "ImportError: cannot import name 'jit' from 'numba' (/a/b/__init__.py)",
        "ImportError: cannot import name 'jit' from 'jax' (/a/b/__init__.py)",
    ),
    (
        "there is no package called ‘a’",
        "there is no package called ‘b’",
    ),
    (
        "Error in library(x) : there is no package called ‘data.table’",
        "Error in library(x) : there is no package called ‘data.frame’",
    ),
    (
        "Error: object 'hist' not found",
        "Error: object 'tree' not found",
    ),
    (
        "Error: package or namespace load failed for ‘rgl’",
        "Error: package or namespace load failed for ‘sf’",
    ),
    (
        "Can't locate JSON/XS.pm in @INC (@INC contains: /usr/lib /usr/share)",
        "Can't locate JSON/PP.pm in @INC (@INC contains: /usr/lib /usr/share)",
    ),
    (
        'Lmod has detected the following error:  The following module(s) are unknown: "root/6.28"',
        'Lmod has detected the following error:  The following module(s) are unknown: "geant4/11.1"',
    ),
    (
        "ERROR: Unable to locate a modulefile for 'root/6.28'",
        "ERROR: Unable to locate a modulefile for 'gcc/12'",
    ),
    (
        "Exception in thread main java.lang.ClassNotFoundException: org.fit.Main",
        "Exception in thread main java.lang.ClassNotFoundException: org.fit.Plot",
    ),
    (
        'Could not find a package configuration file provided by "ROOT" with',
        'Could not find a package configuration file provided by "Geant4" with',
    ),
    (
        "Error: Cannot find module '@babel/core'",
        "Error: Cannot find module '@babel/cli'",
    ),
    (
        "./sim: error while loading shared libraries: libCore.so.6.28: cannot open shared object file: No such file or directory",
        "./sim: error while loading shared libraries: libHist.so.6.28: cannot open shared object file: No such file or directory",
    ),
    (
        "OSError: plugin_a.so: cannot open shared object file: No such file or directory",
        "OSError: plugin_b.so: cannot open shared object file: No such file or directory",
    ),
    (
        "dyld: Library not loaded: @rpath/libTree.dylib",
        "dyld: Library not loaded: @rpath/libPhysics.dylib",
    ),
    (
        "run.sh: line 3: calibrate: command not found",
        "run.sh: line 3: recalibrate: command not found",
    ),
    (
        "run.sh: line 3: /opt/bin/gfal-copy: command not found",
        "run.sh: line 3: /opt/bin/gfal-ls: command not found",
    ),
    (
        "/usr/bin/env: ‘python’: No such file or directory",
        "/usr/bin/env: ‘perl’: No such file or directory",
    ),
    (
        'exec: "singularity": executable file not found in $PATH',
        'exec: "apptainer": executable file not found in $PATH',
    ),
    (
        "fit: fit.cpp:33: int main(): Assertion `x > 0' failed.",
        "fit: fit.cpp:33: int main(): Assertion `x < 0' failed.",
    ),
    (
        "fit: fit.cpp:33: int main(): Assertion `tree != nullptr' failed.",
        "fit: fit.cpp:33: int main(): Assertion `file != nullptr' failed.",
    ),
    (
        "Assertion failed: (a == b), function f, file x.cc, line 3.",
        "Assertion failed: (a != b), function f, file x.cc, line 3.",
    ),
    (
        "KeyError: 'X509_USER_PROXY'",
        "KeyError: 'ROOTSYS'",
    ),
    (
        "environment variable 'ROOTSYS' is not set",
        "environment variable 'G4DATA' is not set",
    ),
    (
        "run.sh: line 3: ROOTSYS: unbound variable",
        "run.sh: line 3: DATADIR: unbound variable",
    ),
    (
        "fit.o: undefined reference to `foo::bar(int)'",
        "fit.o: undefined reference to `foo::baz(int)'",
    ),
    (
        "./x: symbol lookup error: ./x: undefined symbol: _ZN3foo3barEv",
        "./x: symbol lookup error: ./x: undefined symbol: _ZN3foo3bazEi",
    ),
    (
        'Undefined symbols for architecture arm64: "_fit", referenced from: _main in x.o',
        'Undefined symbols for architecture arm64: "_cut", referenced from: _main in x.o',
    ),
    (
        "fit.cc:7: error: ‘foo’ was not declared in this scope",
        "fit.cc:7: error: ‘bar’ was not declared in this scope",
    ),
    (
        "fit.py: error: unrecognized option '--nevents'",
        "fit.py: error: unrecognized option '--output'",
    ),
    (
        'ERROR: relation "hits" does not exist',
        'ERROR: relation "tracks" does not exist',
    ),
    (
        "java.lang.NoClassDefFoundError: org/fit/Util",
        "java.lang.NoClassDefFoundError: org/fit/Math",
    ),
    (
        "Fatal Error: Cannot open module file ‘hist.mod’ for reading at (1)",
        "Fatal Error: Cannot open module file ‘fit.mod’ for reading at (1)",
    ),
    (
        "! LaTeX Error: File `beamer.cls' not found.",
        "! LaTeX Error: File `revtex.cls' not found.",
    ),
    (
        "cannot load such file -- json",
        "cannot load such file -- yaml",
    ),
    (
        "No package 'gsl' found",
        "No package 'fftw' found",
    ),
    (
        "ImportError: libcudart.so.11.0: cannot open shared object file: No such file or directory",
        "ImportError: libcublas.so.11: cannot open shared object file: No such file or directory",
    ),
    (
        "ImportError: /a/b/_core.so: undefined symbol: PyFloat_AsDouble",
        "ImportError: /a/b/_core.so: undefined symbol: PyLong_AsLong",
    ),
    (
        "Can't locate loadable object for module Foo::Bar in @INC",
        "Can't locate loadable object for module Foo::Baz in @INC",
    ),
    (
        'Can\'t locate object method "new" via package "Foo" at x.pl line 3',
        'Can\'t locate object method "new" via package "Bar" at x.pl line 3',
    ),
    (
        "terminate called after throwing an instance of 'std::out_of_range'",
        "terminate called after throwing an instance of 'std::bad_cast'",
    ),
    (
        "error: 'struct foo' has no member named 'bar'",
        "error: 'struct foo' has no member named 'baz'",
    ),
    (
        "Error in <TCling::LoadPCM>: ROOT PCM /a/libFoo_rdict.pcm file does not exist",
        "Error in <TCling::LoadPCM>: ROOT PCM /a/libBar_rdict.pcm file does not exist",
    ),
    (
        "version `CXXABI_1.3.13' not found",
        "version `GLIBCXX_3.4.26' not found",
    ),
    (
        "make: *** No rule to make target 'fit.o', needed by 'fit'.  Stop.",
        "make: *** No rule to make target 'plot.o', needed by 'plot'.  Stop.",
    ),
    (
        'CMake Error: By not providing "FindROOT.cmake" in CMAKE_MODULE_PATH',
        'CMake Error: By not providing "FindGSL.cmake" in CMAKE_MODULE_PATH',
    ),
    (
        "Package ‘Foo’ is not available for this version of R",
        "Package ‘Bar’ is not available for this version of R",
    ),
    (
        "modulecmd: ERROR: Module cannot be found: 'root/6.28'",
        "modulecmd: ERROR: Module cannot be found: 'gcc/13'",
    ),
    (
        "ERROR: Assertion failure: `nhits < kMax'",
        "ERROR: Assertion failure: `ntracks < kMax'",
    ),
]
TOGETHER = [
    (
        "Module cannot be found: 'root/6.28'",
        "Module cannot be found: 'root/6.32.02'",
    ),
    (
        "ROOT PCM /a/libFoo_rdict.pcm file does not exist",
        "ROOT PCM /srv/job/17/libFoo_rdict.pcm file does not exist",
    ),
    (
        "make: *** No rule to make target '/srv/17/fit.o', needed by 'fit'.  Stop.",
        "make: *** No rule to make target '/srv/18/fit.o', needed by 'fit'.  Stop.",
    ),
    (
        "ImportError: /a/b/_core.so: undefined symbol: PyFloat_AsDouble",
        "ImportError: /c/_core.so: undefined symbol: PyFloat_AsDouble",
    ),
    (
        "./fit: /lib64/libc.so.6: version `GLIBC_2.34' not found (required by ./fit)",
        "/srv/job/sim: /usr/lib64/libc.so.6: version `GLIBC_2.38' not found (required by /srv/job/sim)",
    ),
    (
        "libstdc++.so.6: version GLIBCXX_3.4.29 not found",
        "libstdc++.so.6: version 'GLIBCXX_3.4.30' not found",
    ),
    (
        "fit.cc:3:10: fatal error: foo.h: No such file or directory",
        "/build/17/src/plot.cc:33:1: fatal error: foo.h: No such file or directory",
    ),
    (
        "fit.cc:3:10: fatal error: ../inc/foo.h: No such file or directory",
        "a.cc:3:10: fatal error: /opt/x/foo.h: No such file or directory",
    ),
    (
        "ModuleNotFoundError: No module named 'numpy'",
        "ModuleNotFoundError: No module named numpy",
    ),
    (
        "ModuleNotFoundError: No module named 'job_12345'",
        "ModuleNotFoundError: No module named 'job_7'",
    ),
    (
        "ModuleNotFoundError: No module named 'tmp_3fa9c2d1'",
        "ModuleNotFoundError: No module named 'tmp_00bd17ee'",
    ),
    (
        "ImportError: cannot import name 'jit' from 'numba' (/a/b/__init__.py)",
        "ImportError: cannot import name 'jit' from 'numba' (/srv/17/c.py)",
    ),
    (
        "there is no package called ‘ggplot2’",
        "there is no package called 'ggplot2'",
    ),
    (
        "Can't locate JSON/XS.pm in @INC (@INC contains: /usr/lib /usr/share)",
        "Can't locate JSON/XS.pm in @INC (@INC contains: /opt/perl5)",
    ),
    (
        'The following module(s) are unknown: "root/6.28"',
        'The following module(s) are unknown: "root/6.30.02"',
    ),
    (
        "ERROR: Unable to locate a modulefile for 'root/6.28'",
        "ERROR: Unable to locate a modulefile for 'root/6.30'",
    ),
    (
        "./sim: error while loading shared libraries: libCore.so.6.28: cannot open shared object file: No such file or directory",
        "/srv/x/sim: error while loading shared libraries: libCore.so.6.30: cannot open shared object file: "
        "No such file or directory",
    ),
    (
        "OSError: libgfal2.so.2: cannot open shared object file",
        "OSError: /usr/lib64/libgfal2.so: cannot open shared object file",
    ),
    (
        "run.sh: line 3: calibrate: command not found",
        "/srv/job/run.sh: line 71: calibrate: command not found",
    ),
    (
        "run.sh: line 3: /opt/bin/gfal-copy: command not found",
        "run.sh: line 3: gfal-copy: command not found",
    ),
    (
        "/usr/bin/env: ‘python3’: No such file or directory",
        "/usr/bin/env: python3: No such file or directory",
    ),
    (
        "fit: fit.cpp:33: int main(): Assertion `x > 0' failed.",
        "fit: src/fit.cpp:41: int main(): Assertion `x > 12' failed.",
    ),
    (
        "KeyError: 'run_17'",
        "KeyError: 'lumi block'",
    ),
    (
        "KeyError: 'RUN_17'",
        "KeyError: 'RUN_18'",
    ),
    (
        "environment variable 'ROOTSYS' is not set",
        "environment variable ROOTSYS is not set",
    ),
    (
        "fit.o: undefined reference to `foo::bar(int)'",
        "/tmp/cc7X.o: undefined reference to `foo::bar(int)'",
    ),
    (
        "./x: symbol lookup error: ./x: undefined symbol: _ZN3foo3barEv",
        "/a/b: symbol lookup error: /a/b: undefined symbol: _ZN3foo3barEv",
    ),
    (
        "cannot open results.txt",
        "cannot open /srv/job/other.txt",
    ),
    (
        "cp: error writing '/dev/full': No space left on device",
        "cp: error writing '/scratch/a.root': No space left on device",
    ),
    (
        "connect to se1.example.org:1094 refused",
        "connect to dcache-door-desy.desy.de:2880 refused",
    ),
    (
        "job 17 of alice died at 10:22:01 on 2026-11-27",
        "job 9912 of alice died at 03:00 on 2025-01-01",
    ),
    (
        "guid 123e4567-e89b-12d3-a456-426614174000 is lost",
        "guid 00000000-0000-0000-0000-00000000000a is lost",
    ),
    (
        "no heartbeat for 3 h",
        "no heartbeat for 72 hours",
    ),
    (
        'ERROR: relation "hits_17" does not exist',
        'ERROR: relation "hits_18" does not exist',
    ),
    (
        "fit.cc:7: error: ‘foo’ was not declared in this scope",
        "/b/c.cc:12: error: 'foo' was not declared in this scope",
    ),
    (
        'Undefined symbols for architecture arm64: "_fit", referenced from: _main in x.o',
        'Undefined symbols for architecture arm64: "_fit", referenced from: _main in y.o',
    ),
    (
        "Failed to copy mc23:mc23_13TeV.1.AOD.e1 to CERN",
        "Failed to copy mc20:mc20_13TeV.2.AOD.e2 to CERN",
    ),
    (
        "Exception in thread main java.lang.ClassNotFoundException: org.fit.Main",
        "Exception in thread main java.lang.ClassNotFoundException: org/fit/Main",
    ),
    (
        "dyld: Library not loaded: @rpath/libTree.dylib",
        "dyld: Library not loaded: /opt/root/lib/libTree.6.dylib",
    ),
]


@pytest.mark.parametrize(("first", "second"), APART)
def test_what_names_the_cause_matters(first: str, second: str) -> None:
    assert normalised_words(first) != normalised_words(second)


@pytest.mark.parametrize(("first", "second"), TOGETHER)
def test_numbers_versions_paths_hosts_times_and_quotation_marks_do_not(first: str, second: str) -> None:
    assert normalised_words(first) == normalised_words(second)


def _messages() -> list[str]:
    return sorted({message for pair in APART + TOGETHER for message in pair})


@pytest.mark.parametrize("message", _messages())
def test_words_are_words_of_themselves(message: str) -> None:
    words = normalised_words(message)
    assert normalised_words(" ".join(words)) == words


@given(some.sampled_from(_messages()), some.lists(some.integers(0, 10**7), min_size=1, max_size=6))
def test_other_numbers_make_no_other_trouble(message: str, numbers: list[int]) -> None:
    """Numbers of the message are changed where they stand alone, as line numbers, sizes and ids do."""
    place = iter(numbers * 100)
    other = re.sub(r"(?<![\w.:/'`\"-])\d+(?![\w.:/'`\"-])", lambda _: str(next(place)), message)
    assert normalised_words(other) == normalised_words(message)


_LETTERS = some.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=12)
_SENTENCES = [
    "ModuleNotFoundError: No module named '{}'",
    "x.cc:3:10: fatal error: {}.h: No such file or directory",
    "there is no package called ‘{}’",
    "Can't locate {}.pm in @INC",
    'Lmod has detected the following error: The following module(s) are unknown: "{}/1.2"',
    "./x: error while loading shared libraries: lib{}.so.6: cannot open shared object file",
    "run.sh: line 3: {}: command not found",
    "x.o: undefined reference to `{}(int)'",
    "x: x.cc:3: Assertion `{} > 0' failed.",
    "environment variable '{}' is not set",
]


@given(some.sampled_from(_SENTENCES), _LETTERS, _LETTERS)
def test_two_names_are_two_troubles_and_any_name_is_kept(sentence: str, first: str, second: str) -> None:
    assume(first != second)
    assert normalised_words(sentence.format(first)) != normalised_words(sentence.format(second))


@given(some.sampled_from(_SENTENCES), _LETTERS, some.integers(0, 10**9), some.integers(0, 10**9))
def test_a_name_that_differs_in_its_number_is_the_same(sentence: str, name: str, first: int, second: int) -> None:
    made = [normalised_words(sentence.format(f"{name}_{number}")) for number in (first, second)]
    assert made[0] == made[1]


@given(
    some.text(max_size=400), some.lists(some.tuples(some.sampled_from(NAME_KINDS), some.text(max_size=20)), max_size=4)
)
def test_any_text_has_bounded_words(message: str, names: list[tuple[NameKind, str]]) -> None:
    words = normalised_words(message, names)
    assert len(words) <= MAX_TOKENS
    assert all(word and not word.isspace() and word == word.lower() for word in words)
    assert not any("\ue000" <= character <= "\uf8ff" for character in "".join(words))


def test_an_events_own_name_in_what_is_missing_does_not_matter() -> None:
    made = {
        normalised_words(f"No module named '{user}_tools'", (("user", user),)) for user in ("alice", "bob", "carla")
    }
    assert made == {("no", "module", "named", "<user>", "tools")}


@pytest.mark.parametrize("sign", ["'", "`", "a ", "a", "(", "::", "/", "1.", '"x" ', " '", "{"])
def test_texts_made_of_hints_and_signs_come_to_an_end(sign: str) -> None:
    """Expressions that try every division of such a text would not be done within the suite's patience."""
    for message in _messages():
        words = re.findall(r"[a-z]+", message)[-4:]
        normalised_words((f"{' '.join(words)} " + sign * 1000)[:1000])
        normalised_words(sign * 900 + " ".join(words))
        normalised_words(f"{' '.join(words)}{sign}" * 40)


_FROZEN = [
    (
        TroubleFacts("exe", 65, "fit.cc:3:10: fatal error: foo.h: No such file or directory"),
        "v3:exe:65:99ea82d8b14bb89d",
    ),
    (
        TroubleFacts("exe", 1, "Error in library(x) : there is no package called ‘a’", "payload run.R"),
        "v3:exe:1:85d8b9100c8ffd52",
    ),
    (TroubleFacts("exe", 127, "run.sh: line 3: calibrate-2: command not found"), "v3:exe:127:204bfd3ec2c022a6"),
    (TroubleFacts("exe", 134, "fit: fit.cpp:33: int main(): Assertion `x > 0' failed."), "v3:exe:134:facc1fbc5ecf2d04"),
    (TroubleFacts("core.agents.Adder", None, "ORA-12541: TNS:no listener after 3 s"), "v3:adder::480614f53c37ab63"),
    (
        TroubleFacts("pilot", 1305, "KeyError: 'pt_cut'", "payload fit.py:cut", names=(("user", "ann"),)),
        "v3:pilot:1305:85fcd4a7e71352b4",
    ),
]


@pytest.mark.parametrize(("facts", "key"), _FROZEN)
def test_keys_of_version_three_never_change(facts: TroubleFacts, key: str) -> None:
    """A key is stored with its incident: whoever has to change these begins version 4."""
    assert fingerprint(facts).key == key


def test_the_grouping_names_what_is_missing() -> None:
    made = fingerprint(TroubleFacts("exe", 1, "ModuleNotFoundError: No module named 'numpy.core'"))
    assert made.algorithm == ALGORITHM == 3 and made.key.startswith("v3:exe:1:")
    assert "('modulenotfounderror no module named numpy_core')" in made.grouping
