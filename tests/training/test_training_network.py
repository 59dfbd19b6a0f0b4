import torch
from torch import nn

from tests.training import small
from training.network import FeatureDropout


def test_feature_dropout_zeroes_the_same_features_for_all_tokens_of_a_text() -> None:
    torch.manual_seed(0)
    states = torch.ones(8, 5, 64)
    dropped = FeatureDropout(0.1).train()(states)
    kept = dropped != 0
    assert torch.equal(kept, kept[:, :1].expand_as(kept))
    assert not torch.equal(kept[0], kept[1])
    assert 0.05 < 1 - kept.float().mean() < 0.15
    torch.testing.assert_close(dropped[kept], states[kept] / 0.9)


def test_feature_dropout_does_nothing_in_evaluation() -> None:
    states = torch.rand(8, 5, 64)
    assert torch.equal(FeatureDropout(0.1).eval()(states), states)


def test_the_encoder_has_no_other_dropout() -> None:
    encoder = small.network().encoder
    modules = [module for _, module in encoder.named_modules(remove_duplicate=False)]
    assert sum(isinstance(module, FeatureDropout) for module in modules) == 1 + 2 * small.LAYERS
    assert {module.p for module in modules if type(module) is nn.Dropout} <= {0.0}
