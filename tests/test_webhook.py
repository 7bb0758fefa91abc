"""Messages to a webhook: real HTTP, and servers that refuse or do not answer."""

import pytest

from ratchet import webhook
from ratchet.report import Report, write_report
from tests.chat import chat


def test_a_report_with_a_message_is_sent_once(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_RUN_ID", raising=False)
    with chat() as (address, received):
        monkeypatch.setenv("RATCHET_WEBHOOK_URL", address)
        write_report(Report("drift", {}, "", message="The data of model 'iris' drifted"))
        write_report(Report("drift", {}, ""))
    assert received == [{"text": "The data of model 'iris' drifted"}]


def test_a_message_of_a_workflow_links_to_its_run():
    env = {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "me/fork"}
    with chat() as (address, received):
        webhook.send("Done.", env | {"GITHUB_RUN_ID": "7", "RATCHET_WEBHOOK_URL": address})
    assert received == [{"text": "Done. https://github.com/me/fork/actions/runs/7"}]


def test_a_server_that_refuses_is_a_warning_without_the_address(
    capsys: pytest.CaptureFixture[str],
):
    with chat(status=403) as (address, _):
        webhook.send("Done.", {"RATCHET_WEBHOOK_URL": address})
    webhook.send("Done.", {"RATCHET_WEBHOOK_URL": address})  # the server has stopped
    webhook.send("Done.", {"RATCHET_WEBHOOK_URL": "secret-path"})
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "Warning: the webhook did not take the message: it answered 403"
    assert said[1].startswith("Warning: the webhook did not take the message: <urlopen error")
    assert said[2].startswith("Warning: the webhook did not take the message: ")
    assert "secret-path" not in "".join(said)


def test_nothing_is_sent_without_an_address():
    webhook.send("Done.", {})
