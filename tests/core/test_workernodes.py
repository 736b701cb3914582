"""Names of machines and CPUs as the map of worker nodes keeps them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.workernodes import machine_name, normalized_cpu_model


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Intel(R) Xeon(R) Gold 6130 CPU @ 2.10GHz 22528 KB", "INTEL XEON GOLD 6130"),
        ("AMD EPYC 7452 32-Core Processor 512 KB", "AMD EPYC 7452"),
        ("Intel Core Processor (Broadwell)", "INTEL CORE (BROADWELL)"),
        ("ARM Neoverse-N1", "ARM NEOVERSE-N1"),
        ("  ", ""),
    ],
)
def test_a_cpu_is_known_by_its_name_alone(said, kept):
    assert normalized_cpu_model(said) == kept


@given(st.text())
def test_normalising_once_is_enough(text):
    once = normalized_cpu_model(text)
    assert once == " ".join(once.split())


@pytest.mark.parametrize(
    ("said", "kept"), [("slot1@n7", "n7"), ("slot1_2@b@n7", "n7"), (" n7 ", "n7"), ("n7.cern.ch", "n7.cern.ch")]
)
def test_the_slot_is_no_part_of_the_machine(said, kept):
    assert machine_name(said) == kept
