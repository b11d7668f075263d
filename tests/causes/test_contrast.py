"""What two answers are weighed by."""

import pytest
import torch

from qwenvl_debug.case import Case
from qwenvl_debug.causes import contrast
from qwenvl_debug.causes.contrast import lead_of
from qwenvl_debug.errors import CauseError, NothingToExplain


def test_answers_part_at_their_first_different_token_and_the_common_beginning_is_fed_in(answered, micro):
    correct, failing = answered("cat-under-zh")  # 在桌子下面 and 在桌子右边
    found = contrast(failing, correct)
    assert micro.tokenizer.decode(found.common) == "在桌子"
    assert (found.expected, found.given) == (correct.answer, failing.answer)


def test_the_reading_is_the_logit_difference_and_the_log_probabilities(answered):
    correct, failing = answered("pearl-fog")
    found = contrast(failing, correct)
    logits = torch.randn(640, generator=torch.Generator().manual_seed(0))
    read = found.read(logits)
    sums = [float(logits[list(ids)].exp().sum().log()) for ids in (found.expected_ids, found.given_ids)]
    assert read.difference == pytest.approx(sums[0] - sums[1], abs=1e-6)
    assert read.expected == pytest.approx(sums[0] - float(logits.logsumexp(-1)), abs=1e-6)


def test_all_spellings_of_a_token_count_for_it(answered, micro):
    _, failing = answered("cat-far")  # "under the table": the vocabulary has "on" and " on"
    found = contrast(failing, expected="on the table")
    texts = {micro.tokenizer.decode([token]) for token in found.expected_ids}
    assert {text.strip() for text in texts} == {"on"}
    if len(texts) > 1:
        logits = torch.zeros(640)
        logits[list(found.expected_ids)] = 5.0
        one = torch.zeros(640)
        one[found.expected_ids[0]] = 5.0
        assert found.read(logits).expected > found.read(one).expected


def test_the_correct_runs_own_words_are_the_expected_answer(answered):
    correct, failing = answered("pearl-fog")
    assert contrast(failing, correct).expected == correct.answer
    assert contrast(failing).expected == failing.case.expected
    assert contrast(failing, correct, expected="Eiffel Tower").expected == "Eiffel Tower"


def test_where_both_answer_alike_there_is_nothing_to_explain(answered):
    correct, failing = answered("pearl-fog")
    with pytest.raises(NothingToExplain, match="as expected"):
        contrast(correct)
    with pytest.raises(NothingToExplain):
        contrast(failing, expected=f" {failing.answer.upper()}.")


def test_a_forced_run_and_a_case_without_an_expected_answer_are_refused(answered, micro):
    _, failing = answered("pearl-fog")
    with pytest.raises(CauseError, match="fed its answer"):
        contrast(failing.force("Eiffel Tower"))
    unknown = micro.ask(Case(failing.case.pictures[0], failing.case.question))
    with pytest.raises(CauseError, match="which answer would be right"):
        contrast(unknown)


def test_an_answer_has_no_lead_where_the_model_does_not_think_first(answered):
    assert lead_of(answered("pearl-fog")[0]) == ()
