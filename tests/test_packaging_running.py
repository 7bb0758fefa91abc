from pathlib import Path

import pytest

from ratchet.errors import InputError
from ratchet.packaging.running import served


def test_a_service_that_ends_at_once_is_not_reported_as_slow(tmp_path: Path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho There is no service in $4\nexit 3\n")
    python.chmod(0o755)
    message = (
        r"^The service ended with exit code 3 before it was ready\. The end of its output:"
        r" There is no service in bentos$"
    )
    with (
        pytest.raises(InputError, match=message),
        served("bentos", python, tmp_path / "logs", {}),
    ):
        pass
