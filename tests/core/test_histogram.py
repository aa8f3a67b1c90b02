"""Histograms: where a value falls, and what Prometheus reads of it."""

from jobd.core.histogram import Histogram


def test_a_value_counts_in_its_bucket_and_in_all_above():
    taken = Histogram((0.1, 1, 10))
    for value in (0.05, 0.1, 0.5, 10, 11):
        taken.observe(value)
    assert taken.buckets() == [("0.1", 2), ("1.0", 3), ("10.0", 4), ("+Inf", 5)]
    assert taken.sum == 21.65


def test_an_empty_one_has_all_its_buckets():
    assert Histogram((1,)).buckets() == [("1.0", 0), ("+Inf", 0)]
