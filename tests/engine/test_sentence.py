import pytest

from engine.recipe_reading import recipe_from
from engine.sentence import goal, network, sentence
from engine.yaml12 import parse


def recipe(text):
    return recipe_from(parse(f"name: a\n{text}", "a.yaml"))


def test_the_sentence_of_a_recipe():
    made = recipe(
        "prune: {criterion: magnitude, scope: global, schedule: {name: cubic, begin: 0.1, end: 0.75},"
        " target: {sparsity: 0.9}, repair: {name: fine_tune, epochs: 3}}"
    )
    assert sentence(made) == (
        "Score single weights by the magnitude of the weights, choose across the whole network, "
        "gradually while it trains (from 10 % to 75 %), until a share of 90 % is gone; then fine-tune for 3 epochs."
    )


def test_steps_are_no_shares():
    made = recipe("prune: {schedule: {name: cubic, begin: 100, end: 2000}}")
    assert "(from 100 to 2000)" in sentence(made)


def test_several_repairs_in_their_order():
    made = recipe("prune: {repair: [{name: fine_tune, epochs: 2}, recalibrate]}")
    assert "then fine-tune for 2 epochs, then recalibrate BatchNorm" in sentence(made)


def test_without_pruning():
    assert sentence(recipe("train: {epochs: 1}")) == "Train for 1 epoch; prune nothing."


def test_a_sweep_says_what_is_taken_in_turn():
    made = recipe("prune: {target: {sparsity: 0.8}}\nsweep: {prune.target.sparsity: [0.0, 0.5, 0.95], seed: [1, 2]}")
    assert "until the share in turn is gone" in sentence(made)
    assert sentence(made).endswith("Again for each sparsity of 0 %, 50 %, 95 % and each seed of 1, 2.")
    assert goal(made) == "sweep"


def test_activation_of_units_is_not_that_of_weights():
    made = recipe("prune: {criterion: activation, granularity: unit}")
    assert sentence(made).startswith("Score whole units by their mean activation, ")


def test_the_network():
    assert network(recipe("model: {name: mlp, hidden: [300, 100]}")) == (
        "On 8x8 handwritten digits, with an MLP with hidden layers 300, 100; 10 epochs of training."
    )


@pytest.mark.parametrize(
    ("prune", "said"),
    [("{target: {sparsity: 0.95}}", "95 %"), ('{granularity: "2:4"}', "2:4"), ("{target: pq_index}", "auto"),
     ("{target: {flops: 0.5}}", "flops 50 %")],
)  # fmt: skip
def test_the_goal_in_a_word(prune, said):
    assert goal(recipe(f"prune: {prune}")) == said


def test_one_epoch_is_no_epochs():
    assert "then fine-tune for 1 epoch." in sentence(recipe("prune: {repair: {name: fine_tune, epochs: 1}}"))
    assert "then fine-tune for 11 epochs." in sentence(recipe("prune: {repair: {name: fine_tune, epochs: 11}}"))


@pytest.mark.parametrize(("grow", "said"), [("gradient", "where the gradient is largest"), ("random", "by chance")])
def test_of_dropping_and_growing_the_score_is_only_for_the_beginning(grow, said):
    made = recipe(
        f"prune: {{criterion: random, scope: erk, schedule: {{name: drop_grow, grow: {grow}, frequency: 20}},"
        " target: {sparsity: 0.9}}"
    )
    assert sentence(made) == (
        "Score single weights by chance, choose with ERK shares, before training, until a share of 90 % is gone, and"
        f" every 20 steps of training drop the smallest and grow others {said}; repair nothing."
    )


def test_the_baseline_of_sap_does_not_heed_the_pq_index():
    made = recipe("prune: {schedule: iterative, target: {name: pq_index, rounds: 15, baseline: lottery}}")
    assert "in rounds of 20 % of what is left, for 15 rounds, whatever the PQ Index says; repair" in sentence(made)
    assert "as far as the PQ Index allows" in sentence(recipe("prune: {schedule: iterative, target: pq_index}"))


def test_a_sweep_of_what_is_pruned_says_it_as_the_sentence_does():
    made = recipe(
        "prune: {}\n"
        "sweep: {prune: [{criterion: magnitude, granularity: weight}, {criterion: l2_norm, granularity: unit}]}"
    )
    assert sentence(made).endswith(
        "Again for single weights by the magnitude of the weights, whole units by the L2 norm of their columns."
    )


def test_rounds_that_are_given_are_told_and_no_share_that_is_not_used() -> None:
    made = sentence(recipe("prune: {schedule: {name: iterative, rounds: 5, rewind: none}, target: {sparsity: 0.8}}"))
    assert "in 5 rounds that cut equal shares of what is left, until a share of 80 % is gone; repair" in made
    assert "20 %" not in made


def test_where_weights_go_back_to_and_what_a_control_changes_is_told() -> None:
    for schedule, words in (
        ("iterative", "is gone, each round from the first weights; repair"),
        ("{name: iterative, rewind: early}", "is gone, each round from the weights of an early step; repair"),
        ("{name: iterative, rewind: none}", "is gone; repair"),
        ("{name: at_init, control: shuffle}", "is gone, and as a control shuffle the mask inside each layer; repair"),
        ("{name: at_init, control: reinitialise}", "as a control put new random weights under the last mask; repair"),
    ):
        assert words in sentence(recipe(f"prune: {{schedule: {schedule}, target: {{sparsity: 0.8}}}}"))


def test_distillation_is_told() -> None:
    made = sentence(recipe("prune: {target: {sparsity: 0.8}, repair: {name: fine_tune, epochs: 2, distillation: 0.5}}"))
    assert made.endswith("then fine-tune for 2 epochs, taught by the dense model too.")
