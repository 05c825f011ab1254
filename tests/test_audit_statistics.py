"""The audit's statistics against published examples and hand calculation."""

from __future__ import annotations

from math import sqrt

import pytest

from marrowpoint.audit.statistics import kappa, limits_around, limits_of_agreement, share

# Bland and Altman, Lancet 1986;1:307, table 1: peak flow (l/min) by Wright meter and by mini meter, first readings of 17 people
WRIGHT = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]


def pairs(table):
    return [(i, j) for i, row in enumerate(table) for j, count in enumerate(row) for _ in range(count)]


def test_wilson_by_hand():
    # n = 10, k = 5, z = 1.95996: centre 0.5, half = z * sqrt(p(1-p)/n + z^2/(4n^2)) / (1 + z^2/n)
    z = 1.959964
    half = z * sqrt(0.25 / 10 + z**2 / 400) / (1 + z**2 / 10)
    found = share(5, 10)
    assert found is not None
    assert (found.value, found.lower, found.upper) == pytest.approx((0.5, 0.5 - half, 0.5 + half), abs=1e-5)


def test_nobody_of_ten_is_not_certainly_nobody():
    found = share(0, 10)
    assert found is not None
    assert found.lower == 0
    # z^2 / (n + z^2)
    assert found.upper == pytest.approx(3.841459 / 13.841459, abs=1e-5)
    assert share(0, 0) is None


def test_bland_and_altman_s_own_example():
    # the paper: mean difference -2.1, SD 38.8, limits -79.7 and 75.5 (with 2 SD), standard errors 9.4 and 16.3
    found = limits_of_agreement([a - b for a, b in zip(WRIGHT, MINI, strict=True)])
    assert found is not None
    assert found.count == 17
    assert found.bias.value == pytest.approx(-2.1, abs=0.05)
    assert (found.upper.value - found.lower.value) / (2 * 1.96) == pytest.approx(38.8, abs=0.05)
    # t with 16 degrees of freedom is 2.12; the paper's interval of the bias is -22.0 to 17.8
    assert (found.bias.lower, found.bias.upper) == pytest.approx((-22.0, 17.8), abs=0.1)
    # the paper rounds 1 + 1.96^2/2 to 3: 2.12 * 16.3 = 34.6 around each limit
    assert found.upper.upper - found.upper.value == pytest.approx(34.6, rel=0.02)


def test_two_pairs_show_no_agreement():
    assert limits_of_agreement([1.0, 2.0]) is None


def test_kappa_of_a_two_by_two_table():
    # 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: observed 0.7, by chance 0.5
    found = kappa(pairs([[20, 5], [10, 15]]))
    assert found is not None
    assert found.value == pytest.approx(0.4)
    # Fleiss, Cohen and Everitt by hand: rows .5 .5, columns .6 .4, k = .4
    # diagonal: .4 (1 - 1.1*.6)^2 + .3 (1 - .9*.6)^2 = .04624 + .06348 = .10972
    # beside: .36 (.1 (.6+.5)^2 ... ) with p12 = .1 (column 1 + row 2 = 1.1), p21 = .2 (column 2 + row 1 = .9)
    #   cell (1,2): .1 (column total of 1 + row total of 2)^2 = .1 * 1.1^2; cell (2,1): .2 * .9^2, sum .283, times .36 = .10188
    # rest: (.4 - .5*.6)^2 = .01; variance = (.10972 + .10188 - .01) / (50 * .25)
    error = sqrt(0.2016 / 12.5)
    assert (found.upper - found.lower) / 2 == pytest.approx(1.959964 * error, rel=1e-4)


def test_kappa_of_perfect_and_of_chance_agreement():
    perfect = kappa(pairs([[10, 0], [0, 10]]))
    chance = kappa(pairs([[9, 9], [9, 9]]))
    assert perfect is not None
    assert (perfect.value, perfect.lower, perfect.upper) == pytest.approx((1, 1, 1))
    assert chance is not None
    assert chance.value == pytest.approx(0)
    # by chance alone: 1 / sqrt(n) for even margins
    assert chance.upper == pytest.approx(1.959964 / 6, rel=0.01)


def test_kappa_where_it_is_not_defined():
    assert kappa([]) is None
    assert kappa([("a", "a")] * 5) is None


def test_kappa_does_not_depend_on_the_order_of_the_labels():
    table = [[7, 1, 2], [0, 8, 1], [3, 1, 6]]
    turned = [row[::-1] for row in table[::-1]]
    a, b = kappa(pairs(table)), kappa(pairs(turned))
    assert a is not None
    assert b is not None
    assert (a.value, a.lower) == pytest.approx((b.value, b.lower))


def test_limits_around_a_share():
    # ten fair coins: P(heads <= 1) = 11/1024 = 0.0107, P(<= 2) = 56/1024 = 0.0547
    assert limits_around(0.5, 10, 0.95) == (0.2, 0.8)
    assert limits_around(0.5, 10, 0.99) == (0.1, 0.9)
    assert limits_around(0.0, 10, 0.95) == (0.0, 0.0)
    assert limits_around(1.0, 3, 0.95) == (1.0, 1.0)


def test_more_cases_narrow_the_limits():
    widths = [high - low for low, high in (limits_around(0.3, n, 0.95) for n in (10, 100, 1000))]
    assert widths == sorted(widths, reverse=True)
