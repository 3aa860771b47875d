"""Fitting extractors: what is learnt, from which images, and the same for the same seed."""

import numpy as np
import pytest
import torch
from torch import Tensor

from ganray.errors import GanrayError
from ganray.metrics.feature_extractor import extractor_hash, save
from ganray.metrics.fitting import Dataset, fit_classifier, fit_rotation
from ganray.metrics.tasks import crop_square, rotate_all, rotate_each, shift_and_flip

NUM = 400


def noise(height: int, width: int) -> Tensor:
    return torch.randint(0, 60, (NUM, 1, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def stripes() -> tuple[Tensor, Tensor]:
    """Images uint8 [NUM, 1, 16, 16] with level or upright stripes, classes 0 and 1."""
    images, labels = noise(16, 16), torch.arange(NUM) % 2
    images[labels == 0, :, ::4] += 150
    images[labels == 1, :, :, ::4] += 150
    return images, labels


def dataset(images: Tensor, labels: Tensor) -> Dataset:
    def sample(rows: np.ndarray) -> tuple[Tensor, Tensor]:
        return images[rows], labels[rows]

    return Dataset(sample, len(images), images.shape[1])


def test_a_classifier_learns_classes_and_says_how_far_it_is() -> None:
    seen: list[tuple[int, int]] = []
    network, accuracy = fit_classifier(dataset(*stripes()), 2, num_images=1000, progress=lambda done, total: seen.append((done, total)))
    assert accuracy is not None
    assert accuracy > 0.9
    assert not network.training
    assert seen[-1] == (1000, 1000)
    assert seen == sorted(seen)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    def fitted(seed: int) -> str:
        return extractor_hash(save(fit_classifier(dataset(*stripes()), 2, num_images=300, seed=seed)[0], {}))

    torch.manual_seed(1)
    first = fitted(0)
    torch.manual_seed(2)
    assert fitted(0) == first
    assert fitted(1) != first


def test_a_fit_leaves_threads_and_global_random_numbers_alone() -> None:
    torch.manual_seed(3)
    expected, threads = torch.rand(1), torch.get_num_threads()
    torch.manual_seed(3)
    torch.set_num_threads(1)
    fit_classifier(dataset(*stripes()), 2, num_images=200)
    assert torch.get_num_threads() == 1
    torch.set_num_threads(threads)
    assert torch.rand(1) == expected


def test_images_without_a_label_are_left_out() -> None:
    images, labels = stripes()
    unlabelled = torch.arange(NUM) % 3 == 0
    _, accuracy = fit_classifier(dataset(images, labels.masked_fill(unlabelled, -1)), 2, num_images=1000)
    assert accuracy is not None
    assert accuracy > 0.9


def test_a_classifier_without_any_label_is_a_users_mistake() -> None:
    images, labels = stripes()
    with pytest.raises(GanrayError, match=r"evaluate\.extractor\.kind: .* use rotation"):
        fit_classifier(dataset(images, torch.full_like(labels, -1)), 2, num_images=200)


def test_rotations_are_learnt_without_labels_from_images_that_are_not_square() -> None:
    images = noise(24, 16) + torch.linspace(0, 190, 24)[:, None].to(torch.uint8)  # dark above, light below
    _, accuracy = fit_rotation(dataset(images, torch.full((NUM,), -1)), num_images=1000)
    assert accuracy is not None
    assert accuracy > 0.9


def test_a_shift_keeps_what_is_the_same_everywhere_and_moves_the_rest_by_little() -> None:
    generator = torch.Generator().manual_seed(0)
    plain = torch.full((50, 3, 32, 32), 7, dtype=torch.uint8)
    assert torch.equal(shift_and_flip(plain, generator), plain)
    dot = torch.zeros(50, 1, 32, 32, dtype=torch.uint8)
    dot[:, :, 16, 10] = 255
    rows, columns = shift_and_flip(dot, generator).nonzero()[:, 2:].unbind(1)
    assert len(rows) == 50
    assert set(rows.tolist()) == {14, 15, 16, 17, 18}
    assert set(columns.tolist()) == {8, 9, 10, 11, 12} | {19, 20, 21, 22, 23}


def test_turned_images_turn_back_by_their_labels() -> None:
    squares = crop_square(noise(24, 16))
    assert torch.equal(squares, noise(24, 16)[:, :, 4:20])
    turned, turns = rotate_each(squares, torch.Generator().manual_seed(0))
    assert set(turns.tolist()) == {0, 1, 2, 3}
    back = torch.stack([image.rot90(-int(turn), (1, 2)) for image, turn in zip(turned, turns, strict=True)])
    assert torch.equal(back, squares)
    all_turned, all_turns = rotate_all(squares)
    assert torch.equal(all_turned[all_turns == 0], squares)
    assert torch.equal(all_turned[all_turns == 3].rot90(-3, (2, 3)), squares)
