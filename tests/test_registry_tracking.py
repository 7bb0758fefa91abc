"""The connection to MLflow: an address that is missing by mistake stops a run."""

import pytest

from ratchet.errors import InputError
from ratchet.registry.tracking import require_store
from ratchet.store import state


@pytest.mark.parametrize(
    ("store", "uri", "message"),
    [
        ("server", "", "RATCHET_STORE is 'server', but MLFLOW_TRACKING_URI is empty"),
        ("git", "http://ml.example.org", "RATCHET_STORE is 'git', but MLFLOW_TRACKING_URI is set"),
        ("branch", "", "RATCHET_STORE is 'branch'. Expected: git, server, or not set"),
    ],
)
def test_an_address_that_contradicts_the_chosen_store_is_an_error(
    monkeypatch: pytest.MonkeyPatch, store: str, uri: str, message: str
):
    monkeypatch.setenv("RATCHET_STORE", store)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(InputError, match=message):
        require_store()
    with pytest.raises(InputError, match=message):
        state.uses_server()


@pytest.mark.parametrize(
    ("store", "uri"),
    [("", ""), ("", "http://ml"), ("git", ""), ("server", "http://ml")],
)
def test_an_address_that_fits_the_chosen_store_is_accepted(
    monkeypatch: pytest.MonkeyPatch, store: str, uri: str
):
    monkeypatch.setenv("RATCHET_STORE", store)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert state.uses_server() == bool(uri)
