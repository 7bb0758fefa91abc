"""doctor.yml, run by act: the checklist of a fresh fork."""

from pathlib import Path

import pytest

from tests.acting import ACT, MISSING, new_fork
from tests.github import serving

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(ACT is None, reason=MISSING),
]


def test_the_button_writes_the_checklist_into_the_summary_and_no_secret(tmp_path: Path):
    with serving() as github:
        fork = new_fork(tmp_path, github)
        secrets = {"RATCHET_LOG_URL": "postgresql://me:hidden@127.0.0.1:9/log"}
        acted = fork.act("workflow_dispatch", "doctor", fork.checkout("tree"), secrets=secrets)
    assert acted.code == 0, acted.output
    assert acted.jobs == {"doctor": "success"}
    assert "| part | state | without it | to set it up |" in acted.summary
    assert "| schedule of `monitor` | missing | drift is not checked |" in acted.summary
    assert "| prediction log | missing |" in acted.summary
    assert "hidden" not in acted.output + acted.summary
