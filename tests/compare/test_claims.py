"""What is claimed follows from the results, and unreached goals count against the one that missed them."""

import pytest
from compare.results import Curve, measures, seeds

from robot_hil.compare import claims, verdicts
from robot_hil.compare.claims import Ratio

FAST: Curve = [(5, 9), (5, 10)]
SLOW: Curve = [(20, 1), (40, 5), (80, 9)]
NEVER: Curve = [(20, 1), (40, 2), (90, 3)]


def test_ratio_compares_what_was_spent_until_90_percent_seed_by_seed() -> None:
    found = claims.ratio(seeds("default", FAST, FAST), seeds("hil_serl", SLOW, SLOW), "human_steps")
    assert found == Ratio(value=5 / 80, interval=(5 / 80, 5 / 80), censored=0)
    steps = claims.ratio(seeds("default", FAST), seeds("hil_serl", SLOW), "env_steps")
    assert steps is not None
    assert steps.value == pytest.approx(1 / 3)


def test_a_baseline_that_never_got_there_counts_with_all_its_steps() -> None:
    found = claims.ratio(seeds("default", FAST, FAST), seeds("hil_serl", SLOW, NEVER), "human_steps")
    assert found is not None
    assert found.value == pytest.approx(10 / 170)
    assert found.censored == 1


def test_ours_that_never_got_there_has_no_ratio() -> None:
    assert claims.ratio(seeds("default", FAST, NEVER), seeds("hil_serl", SLOW, SLOW), "env_steps") is None
    assert claims.ratio(seeds("default"), seeds("hil_serl", SLOW), "env_steps") is None


def test_seeds_that_only_one_side_has_do_not_count() -> None:
    found = claims.ratio(seeds("default", FAST, FAST), seeds("hil_serl", SLOW, None), "human_steps")
    assert found is not None
    assert found.value == 5 / 80


def test_against_baseline_both_ratios_must_be_small_enough() -> None:
    found = [
        seeds("default", FAST), seeds("hil_serl", SLOW),
        seeds("default", FAST, task="reach_pillar"), seeds("hil_serl", [(8, 9)], task="reach_pillar"),
        seeds("default", NEVER, person="poor"), seeds("hil_serl", NEVER, person="poor"),
    ]  # fmt: skip
    rows = claims.against_baseline(found, "default", "hil_serl")
    assert [(row["task"], row["person"], row["reached"]) for row in rows] == [
        ("peg_slot", "competent", True),
        ("reach_pillar", "competent", False),
        ("peg_slot", "poor", False),
    ]
    text = verdicts.baseline_text(rows)
    assert "| never reached | never reached | **no** |" in text
    assert "With `competent` both ratios are at most 0.5 on 1 of 2 tasks (promised: 4)." in text


def test_unreached_baseline_is_marked_as_a_bound() -> None:
    text = verdicts.baseline_text(claims.against_baseline([seeds("d", FAST), seeds("h", NEVER)], "d", "h"))
    assert "| <= 0.33 [0.33, 0.33] | <= 0.06 [0.06, 0.06] | yes |" in text


def test_degradation_is_the_share_of_success_lost_with_the_bad_person() -> None:
    found = [seeds("default", [(5, 10)]), seeds("default", [(5, 7)], person="poor")]
    [row] = claims.degradation(found, "default", "competent", "poor")
    assert row["lost"] == pytest.approx(0.3)
    assert row["reached"] is False
    assert "| `default` | `peg_slot` | 30% | **no** |" in verdicts.degradation_text([row])
    [fine] = claims.degradation([found[0], seeds("default", [(5, 8)], person="poor")], "default", "competent", "poor")
    assert fine["reached"] is True


def test_term_earns_its_place_where_the_whole_is_better_for_certain() -> None:
    good: list[Curve] = [[(10, 9)], [(10, 10)], [(10, 9)]]
    bad: list[Curve] = [[(10, 2)], [(10, 3)], [(10, 2)]]
    mixed: list[Curve] = [[(10, 10)], [(10, 8)], [(10, 10)]]
    found = [seeds("default", *good), seeds("no_anchor", *bad), seeds("no_caution", *mixed)]
    verdict = {row["entry"]: row["verdict"] for row in claims.ablations(found, "default")}
    assert verdict == {"no_anchor": "earns", "no_caution": "unclear"}
    turned = claims.ablations([seeds("default", *bad), seeds("no_anchor", *good)], "default")
    assert turned[0]["verdict"] == "costs"
    assert "| `no_anchor` | `peg_slot` | `competent` | -0.70 [" in verdicts.ablation_text(turned)


def test_terms_are_judged_by_all_tasks_together_too() -> None:
    found = [
        *(seeds("default", [(10, 9)], [(10, 8)], task=task) for task in ("peg_slot", "peg_grip")),
        seeds("no_anchor", [(10, 5)], [(10, 4)]),
        seeds("no_anchor", [(10, 7)], [(10, 8)], task="peg_grip"),
        seeds("no_caution", [(10, 9)], [(10, 8)]),
        seeds("no_caution", [(10, 8)], [(10, 9)], task="peg_grip"),
    ]
    rows = claims.ablations(found, "default")
    assert [(row["entry"], row["task"]) for row in rows] == [
        ("no_anchor", "peg_slot"), ("no_anchor", "peg_grip"), ("no_anchor", claims.ALL),
        ("no_caution", "peg_slot"), ("no_caution", "peg_grip"), ("no_caution", claims.ALL),
    ]  # fmt: skip
    whole = rows[2]
    assert whole["success"] == pytest.approx((0.4 + 0.4 + 0.2 + 0.0) / 4)
    assert 0 < whole["success_ci95"][0] < 0.25 < whole["success_ci95"][1] <= 0.4
    text = verdicts.ablation_text(rows)
    assert "- 1 of 2 earn their place over all tasks together: `no_anchor`." in text
    assert "- 1 of 2 make no difference that these seeds show: `no_caution`." in text
    assert "| earns | earns: `peg_slot` |" in text  # with two seeds the grip's interval begins at 0
    assert "| unclear |  |" in text


def test_one_task_needs_no_row_for_all_of_them() -> None:
    rows = claims.ablations([seeds("default", [(10, 9)]), seeds("no_anchor", [(10, 5)])], "default")
    assert [row["task"] for row in rows] == ["peg_slot"]
    assert "over all tasks" not in verdicts.ablation_text(rows)


def test_ablation_is_paired_by_seed() -> None:
    rows = claims.ablations(
        [seeds("default", [(10, 9)], [(10, 1)]), seeds("no_anchor", [(10, 8)], [(10, 0)])], "default"
    )
    assert rows[0]["success_ci95"] == pytest.approx([0.1, 0.1])


def test_cost_of_a_goal_never_reached_is_all_that_was_spent() -> None:
    assert claims.cost(measures(NEVER), "human_steps") == (90.0, False)
    assert claims.cost(measures(SLOW), "env_steps") == (300.0, True)
