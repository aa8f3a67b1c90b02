"""A daemon in one time zone, and readers in others."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.local("no job runs in it")]

ZONES = {"Asia/Tokyo": 9, "America/Bogota": -5, "UTC": 0, "UTC-13": 13}


@pytest.fixture
def daemon(instance):
    """It believes to be far from all readers."""
    instance.env["TZ"] = "UTC+11"
    instance.start("--workers", "1")
    return instance


@pytest.mark.parametrize("zone", ZONES)
def test_each_time_is_in_the_readers_zone(zone, daemon):
    now = datetime.now(UTC)
    # What is shown of now has another minute.
    minute = (now.minute + 30) % 60
    at = (now + timedelta(days=40)).replace(minute=minute, second=0, microsecond=0)
    here = f"{at + timedelta(hours=ZONES[zone]):%Y-%m-%d %H:%M}"
    job = daemon.id_of("--at", at.isoformat(), "true")
    told = [["show", str(job)], ["status"], ["ls"]]
    for words in told:
        said = daemon.jobctl(*words, env={"TZ": zone}).stdout
        assert here in said, (words, said)
        found = re.findall(rf"\d{{4}}-\d\d-\d\d[ T]\d\d:{minute:02}\S*", said)
        assert {f"{shown[:10]} {shown[11:16]}" for shown in found} == {here}, (words, said)
    edited = daemon.jobctl("edit", str(job), "--at", at.isoformat(), env={"TZ": zone})
    assert f"not before {at + timedelta(hours=ZONES[zone]):%a} {here}:00" in edited.stderr
    shown = json.loads(daemon.jobctl("show", str(job), "--json", env={"TZ": zone}).stdout)
    assert shown["not_before"] == f"{at:%Y-%m-%dT%H:%M:%S}Z"
    assert f"not before {at:%Y-%m-%dT%H:%M:%S}Z, in " in shown["why"]


@pytest.mark.parametrize("zone", ZONES)
def test_a_refusal_too(zone, daemon):
    past = datetime(2020, 5, 17, 12, 34, tzinfo=UTC)
    here = past + timedelta(hours=ZONES[zone])
    refused = daemon.jobctl(
        "submit", "--at", past.isoformat(), "true", env={"TZ": zone}, code=2
    ).stderr
    assert refused.startswith(f"jobctl: --at: {here:%Y-%m-%d %H:%M} is in the past")
