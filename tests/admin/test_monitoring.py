"""What is shipped for those who watch: alert rules that fire when they should, a dashboard."""

import json
import re
import subprocess
from pathlib import Path

import pytest

import jobd.admin
from tests.prometheus import program

SHIPPED = Path(jobd.admin.__file__).parent / "monitoring"
ALERTS = SHIPPED / "alerts.yml"
STORIES = Path(__file__).with_name("alerts_test.yml")
"""For promtool: series, and which alerts are to fire when."""


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_alerts_fire_when_they_should_and_not_before(tmp_path):
    promtool = program("promtool")
    stories = tmp_path / STORIES.name
    stories.write_text(STORIES.read_text().replace("alerts.yml", str(ALERTS)))
    run(promtool, "check", "rules", ALERTS)
    run(promtool, "test", "rules", stories)


def test_every_alert_has_its_story():
    alerts = re.findall(r"- alert: (\w+)", ALERTS.read_text())
    assert alerts
    for alert in alerts:
        assert f"alertname: {alert}\n" in STORIES.read_text()


def names_in(text):
    found = set(re.findall(r"\bjobd_[a-z_]+", text))
    return {re.sub(r"_(bucket|total)$", "", name) for name in found}


@pytest.mark.parametrize("name", ["alerts.yml", "dashboard.json"])
def test_no_metric_is_asked_for_that_does_not_exist(name):
    families = (SHIPPED.parents[1] / "daemon/metrics/families.py").read_text()
    known = {
        f"jobd_{name}" for name in re.findall(r'_(?:gauge|counter|histogram)\(\s*"(\w+)"', families)
    }
    assert names_in((SHIPPED / name).read_text()) <= known


def test_the_dashboard_is_whole():
    board = json.loads((SHIPPED / "dashboard.json").read_text())
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids)) > 10
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        assert panel["targets"]
