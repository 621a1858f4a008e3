"""`callboard backup` and `callboard doctor` as commands, beside a running system."""

import json
import os
import re
from pathlib import Path

from callboard import AgentSystem
from tests.callboard.in_process import in_process
from tests.callboard.terminal import piped


def test_a_backup_and_an_examination_beside_a_running_system(system: AgentSystem, tmp_path: Path) -> None:
    data = system.settings.data_dir
    system.execute("What is 2 + 2?")
    copy = tmp_path / "copy.db"
    made = piped("backup", str(copy), home=tmp_path, CALLBOARD_DATA_DIR=str(data))
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.splitlines()[0] == f"wrote {copy}: 1 task, {copy.stat().st_size:,} bytes, integrity_check ok"
    assert all(str(data / name) in made.stdout for name in ("secret.key", "webhook.secret", "workspaces"))
    again = in_process("backup", str(copy), home=tmp_path, CALLBOARD_DATA_DIR=str(data))
    assert (again.returncode, again.stdout) == (1, "")
    assert "is there already" in again.stderr

    report = piped("doctor", "--json", home=tmp_path, CALLBOARD_DATA_DIR=str(data))
    found = json.loads(report.stdout)
    assert (report.returncode, found["ok"]) == (0, True), found
    told = next(finding for finding in found["findings"] if finding["check"] == "server")
    assert re.match(
        rf"A server is at work on it: it is process {os.getpid()} \(.*`kill {os.getpid()}` ends", told["message"]
    )
    assert system.execute("What is 3 + 3?").output == 6


def test_an_error_is_told_by_the_exit_status(tmp_path: Path) -> None:
    report = in_process("doctor", home=tmp_path, CALLBOARD_DATA_DIR=str(tmp_path / "none"))
    assert report.returncode == 1
    assert report.stdout.startswith("error   There is no data folder")
    assert "        Start the server" in report.stdout


def test_a_setting_that_cannot_work_is_told_as_json_too(tmp_path: Path) -> None:
    report = in_process("doctor", "--json", home=tmp_path, CALLBOARD_PORT="http")
    found = json.loads(report.stdout)
    assert (report.returncode, report.stderr, found["ok"]) == (78, "", False)
    [finding] = found["findings"]
    assert (finding["level"], finding["check"], "CALLBOARD_PORT" in finding["message"]) == ("error", "settings", True)
    told = in_process("doctor", home=tmp_path, CALLBOARD_PORT="http")
    assert (told.returncode, told.stdout, "CALLBOARD_PORT" in told.stderr) == (78, "", True)


def test_a_start_with_a_spoilt_key_says_which_file_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "secret.key").touch()
    report = in_process("serve", "--port", "0", home=tmp_path, CALLBOARD_DATA_DIR=str(tmp_path))
    assert (report.returncode, report.stdout) == (78, "")
    assert str(tmp_path / "secret.key") in report.stderr
    assert "Restore it from the backup" in report.stderr
