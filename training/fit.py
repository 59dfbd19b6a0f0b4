"""The training loop: mixed precision, layer-wise rates, weight averaging, checkpoints, curves.

One call trains one stage. Everything random follows from the seed, the epoch and the step, so a run
that was killed goes on from its last checkpoint.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from tokenizers import Tokenizer
from torch import Tensor

from training.batches import Batch, make_batch, plan
from training.loss import multi_task_loss, same_complaint_loss
from training.network import Network
from training.rows import Row
from training.segmentation import encode_sampled

_FEWEST_MASKED = 6  # the marks of start and end among them


@dataclass(frozen=True)
class FitSettings:
    """How one stage is trained.

    Attributes:
        rate: peak learning rate of the top layer and the encoder's last layer.
        layer_decay: factor on the rate from each layer to the one below; the embeddings come last.
        same_complaint: weight of the contrastive loss on sentence vectors; 0 is off.
        average: decay of the moving average of weights that is kept as the result; 0 is off.
        masked: chance up to which a text's pieces are masked, drawn anew for each reading.
        sampled: share of readings whose segmentation is drawn at random.
        checkpoint_seconds: time between checkpoints.
    """

    epochs: int
    rate: float
    layer_decay: float = 0.9
    warmup: float = 0.06
    weight_decay: float = 0.01
    smoothing: float = 0.02
    same_complaint: float = 0.0
    average: float = 0.998
    masked: float = 0.0
    sampled: float = 0.0
    max_rows: int = 32
    token_budget: int = 3072
    max_tokens: int = 128
    seed: int = 7
    checkpoint_seconds: float = 120.0


class CheckpointError(ValueError):
    """A checkpoint is of a run with other data or settings."""


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def fit(
    network: Network,
    tokenizer: Tokenizer,
    epoch_rows: Callable[[int], list[Row]],
    sources: dict[str, int],
    settings: FitSettings,
    folder: Path,
    name: str,
) -> None:
    """Train `network` in place on `epoch_rows(epoch)`; the averaged weights are its result.

    Writes `<name>.checkpoint.pt` (resumed from when present) and `<name>.curve.json` into `folder`.

    Raises:
        CheckpointError: the checkpoint there has another number of steps.
    """
    run = _Run(network.to(device()), settings, folder / f"{name}.checkpoint.pt")
    epochs = [epoch_rows(epoch) for epoch in range(settings.epochs)]
    steps = _plan_epochs(epochs, tokenizer, settings)
    run.start(sum(len(batches) for _, batches in steps))
    with _progress() as progress:
        task = progress.add_task(name, total=run.total, completed=run.step, loss=math.nan, rate=0.0)
        position = 0
        for rows, (ids, batches) in zip(epochs, steps, strict=True):
            for batch in batches:
                position += 1
                if position <= run.step:
                    continue
                made = make_batch([rows[i] for i in batch], [ids[i] for i in batch], sources)
                run.train_step(made)
                progress.update(task, completed=run.step, loss=run.smooth_loss, rate=run.speed)
    run.finish(folder / f"{name}.curve.json")


def _plan_epochs(
    epochs: list[list[Row]], tokenizer: Tokenizer, settings: FitSettings
) -> list[tuple[list[list[int]], list[list[int]]]]:
    planned = []
    for epoch, rows in enumerate(epochs):
        texts = [row.text for row in rows]
        seed = settings.seed * 1000 + epoch
        ids = encode_sampled(tokenizer, texts, settings.max_tokens, settings.sampled, seed)
        groups = [row.group for row in rows] if settings.same_complaint else ()
        lengths = [len(i) for i in ids]
        batches = plan(lengths, settings.token_budget, settings.max_rows, seed, groups)
        planned.append((ids, batches))
    return planned


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}  loss {task.fields[loss]:.3f}"),
        TextColumn("{task.fields[rate]:.0f} rows/s"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )


def mask_pieces(mask: Tensor, share: float) -> Tensor:
    """An attention mask [batch, pieces] in which pieces are left out (Shen et al. 2020, "token cutoff").

    Each text draws a chance from 0 to `share`, and each of its pieces but the mark of its start is left
    out with that chance: what a text says must be read from all of it, not from one piece that was learnt
    by heart. A text of fewer than four pieces stays whole: any of them may be what it says.
    """
    if not share:
        return mask
    chance = torch.rand(len(mask), 1) * share
    chance[mask.sum(1) < _FEWEST_MASKED] = 0
    keep = torch.rand(mask.shape) >= chance
    keep[:, 0] = True
    return mask * keep


class _Run:
    """The state of one stage: what a checkpoint holds."""

    def __init__(self, network: Network, settings: FitSettings, checkpoint: Path) -> None:
        self.network = network
        self.settings = settings
        self.checkpoint = checkpoint
        self.optimizer = torch.optim.AdamW(_parameter_groups(network, settings), fused=True)
        self.average = {n: t.detach().clone() for n, t in network.state_dict().items()}
        self.curve: list[dict[str, float]] = []
        self.step = self.total = 0
        self.smooth_loss = self.speed = math.nan
        self.seconds = 0.0
        self.saved_at = time.monotonic()

    def start(self, total: int) -> None:
        self.total = total
        warmup = max(1, int(total * self.settings.warmup))
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer,
            lambda s: min((s + 1) / warmup, max(0.0, (total - s) / max(1, total - warmup))),
        )
        if self.checkpoint.exists():
            self._load()
        self.network.train()

    def train_step(self, batch: Batch) -> None:
        began = time.perf_counter()
        torch.manual_seed(self.settings.seed * 1_000_003 + self.step)
        loss = self._loss(batch)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.schedule.step()
        self.step += 1
        self._average_weights()
        self._note(loss.item(), len(batch.ids), time.perf_counter() - began)

    def _loss(self, batch: Batch) -> Tensor:
        where = device()
        with torch.autocast(where.type, torch.bfloat16):
            mask = mask_pieces(batch.mask, self.settings.masked)
            logits, features = self.network(batch.ids.to(where), mask.to(where))
        logits = logits.float() + self.network.offsets(batch.source.to(where))
        loss = multi_task_loss(
            logits,
            batch.labels.to(where),
            batch.sentiment.to(where),
            batch.weight.to(where),
            self.settings.smoothing,
        )
        if self.settings.same_complaint:
            vectors = self.network.vectors(features.float())
            contrast = same_complaint_loss(vectors, batch.group.to(where))
            loss = loss + self.settings.same_complaint * contrast
        return loss

    def _average_weights(self) -> None:
        decay = min(self.settings.average, self.step / (self.step + 10))
        state = self.network.state_dict()
        names = [n for n, t in state.items() if t.is_floating_point()]
        torch._foreach_lerp_([self.average[n] for n in names], [state[n] for n in names], 1 - decay)

    def _note(self, loss: float, rows: int, seconds: float) -> None:
        self.seconds += seconds
        smooth = self.smooth_loss
        self.smooth_loss = loss if math.isnan(smooth) else 0.98 * smooth + 0.02 * loss
        speed = rows / seconds
        self.speed = speed if math.isnan(self.speed) else 0.95 * self.speed + 0.05 * speed
        if self.step % 20 == 0 or self.step == self.total:
            self.curve.append(
                {"step": self.step, "loss": self.smooth_loss, "seconds": round(self.seconds, 1)}
            )
        if time.monotonic() - self.saved_at > self.settings.checkpoint_seconds:
            self._save()

    def _save(self) -> None:
        state = {
            "network": self.network.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "step": self.step,
            "total": self.total,
            "curve": self.curve,
            "loss": self.smooth_loss,
            "seconds": self.seconds,
        }
        part = self.checkpoint.with_suffix(".part")
        torch.save(state, part)
        part.replace(self.checkpoint)
        self.saved_at = time.monotonic()

    def _load(self) -> None:
        state = torch.load(self.checkpoint, map_location=device(), weights_only=True)
        if state["total"] != self.total:
            raise CheckpointError(
                f"{self.checkpoint} is of a run with other data or settings"
                f" ({state['total']} steps, now {self.total}): remove it to start anew"
            )
        self.network.load_state_dict(state["network"])
        self.average = state["average"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.step, self.curve = state["step"], state["curve"]
        self.smooth_loss, self.seconds = state["loss"], state["seconds"]

    def finish(self, curve: Path) -> None:
        if self.settings.average:
            self.network.load_state_dict(self.average)
        self.network.eval()
        curve.write_text(json.dumps(self.curve))
        self._save()


def _parameter_groups(network: Network, settings: FitSettings) -> list[dict[str, object]]:
    """Rates fall by `layer_decay` from layer to layer; new parts learn ten times as fast."""
    layers = network.encoder.config.num_hidden_layers
    groups = []
    for name, parameter in network.named_parameters():
        decay = settings.weight_decay if parameter.ndim > 1 and "offsets" not in name else 0.0
        depth = _depth(name, layers)
        rate = settings.rate * (10.0 if depth < 0 else settings.layer_decay**depth)
        groups.append({"params": [parameter], "lr": rate, "weight_decay": decay})
    return groups


def _depth(name: str, layers: int) -> int:
    """0 for the encoder's last layer, `layers` for the embeddings, -1 for parts outside it."""
    if name.startswith("encoder.embeddings"):
        return layers
    if name.startswith("encoder.encoder.layer."):
        return layers - 1 - int(name.split(".")[3])
    return -1
